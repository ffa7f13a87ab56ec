//! Event streams of agents, relayed frame by frame (D15).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use molecule_a2a::{ReplyTranslator, reply::Reply, sse};
use molecule_core::limits;
use tokio::sync::mpsc;

use super::{
    Delivered, MessagingError, Messenger,
    deliver::Call,
    push::{Clocks, PushFailure},
};

/// Frames that may wait for a slow reader. A reader that falls further behind slows the agent down.
const FRAMES: usize = 64;

/// The frames of an agent's reply, encoded for the wire.
#[derive(Debug)]
pub struct FrameStream(mpsc::Receiver<Bytes>);

impl Stream for FrameStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll_recv(cx)
    }
}

/// Records that a stream began and relays it in a task of its own: a reader that goes away does not end it, the rest
/// is drained and recorded (A2A-68).
pub(super) async fn begin(
    messenger: &Messenger,
    call: Call,
    clocks: Clocks,
    response: http::Response<Incoming>,
) -> Result<Delivered, MessagingError> {
    let row = messenger.record_stream(&call).await;
    let (frames, reader) = mpsc::channel(FRAMES);
    let this = messenger.clone();
    messenger.inner.supervisor.spawn("a2a-stream", async move {
        let mut relay = Relay {
            translator: call.request.reply_translator(call.target_version),
            last: None,
            frames: Some(frames),
        };
        let failure = relay.run(&this, &call, &clocks, response.into_body()).await.err();
        if let Some(failure) = failure {
            relay.send(sse::Frame::data(interrupted(&call, failure)).encode()).await;
        }
        this.finish_stream_row(&call, row, relay.last.as_ref(), clocks.elapsed(), failure)
            .await;
    });
    Ok(Delivered::Stream(FrameStream(reader)))
}

/// What the reader is told when a stream breaks off: a JSON-RPC error, so that no client takes it for an end.
fn interrupted(call: &Call, failure: PushFailure) -> String {
    let id = call.request.request_id.as_deref().map_or("null", |id| id.get());
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":"stream interrupted: {}"}}}}"#,
        failure.describe()
    )
}

struct Relay {
    translator: Option<ReplyTranslator>,
    /// The last frame that says something: what the row keeps as the reply.
    last: Option<Bytes>,
    /// `None` once the reader has gone.
    frames: Option<mpsc::Sender<Bytes>>,
}

impl Relay {
    async fn run(
        &mut self,
        messenger: &Messenger,
        call: &Call,
        clocks: &Clocks,
        mut body: Incoming,
    ) -> Result<(), PushFailure> {
        let broken = PushFailure::Body {
            delivery_confirmed: true,
        };
        let mut parser = sse::Parser::new(limits::A2A_REPLY_BYTES);
        let mut active = Instant::now();
        let mut parsed = Vec::new();
        loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                failure = messenger.expired(call, clocks, active) => return Err(PushFailure::Transport(failure)),
            };
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| broken)?.into_data() else {
                continue;
            };
            active = Instant::now();
            parser.push(&data, &mut parsed).map_err(|_| broken)?;
            for frame in parsed.drain(..) {
                self.relay(frame).await;
            }
        }
        Ok(())
    }

    async fn relay(&mut self, frame: sse::Frame) {
        if frame.data.is_empty() {
            return;
        }
        let data = Bytes::from(frame.data.clone());
        let says = |body: &Bytes| Reply::parse(body).is_some_and(|r| r.text().is_some() || r.rpc_error().is_some());
        // The final frame of a stream may be a bare status; it must not hide the text before it.
        if says(&data) || self.last.as_ref().is_none_or(|last| !says(last)) {
            self.last = Some(data);
        }
        let translated = match &self.translator {
            Some(translator) => translator.frame(&frame.data).unwrap_or(frame.data),
            None => frame.data,
        };
        self.send(
            sse::Frame {
                data: translated,
                ..frame
            }
            .encode(),
        )
        .await;
    }

    async fn send(&mut self, frame: String) {
        if let Some(frames) = &self.frames
            && frames.send(frame.into()).await.is_err()
        {
            self.frames = None;
        }
    }
}
