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
use molecule_a2a::{ProtocolVersion, ReplyTranslator, assemble::Assembly, sse};
use molecule_core::limits;
use tokio::sync::mpsc;

use super::{
    Delivered, MessagingError, Messenger,
    deliver::Call,
    push::{Clocks, PushFailure},
};

/// Frames that may wait for a slow reader. A reader that falls further behind slows the agent down.
const FRAMES: usize = 64;
/// How long a frame waits for a reader that takes nothing.
const READER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

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
            recorder: ReplyTranslator::new(call.target_version, ProtocolVersion::V0_3, call.request.known_method()),
            reply: Assembly::new(limits::A2A_REPLY_BYTES),
            frames: Some(frames),
        };
        let failure = relay.run(&this, &call, &clocks, response.into_body()).await.err();
        if let Some(failure) = failure {
            relay.send(sse::Frame::data(interrupted(&call, failure)).encode()).await;
        }
        let reply = relay.reply.reply().map(Bytes::from);
        this.finish_stream_row(&call, row, reply.as_ref(), clocks.elapsed(), failure)
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
    /// Into the caller's version.
    translator: Option<ReplyTranslator>,
    /// Into the version that rows keep.
    recorder: Option<ReplyTranslator>,
    /// What the row keeps as the reply.
    reply: Assembly,
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
        // An agent that ends its stream without the last blank line has said it all the same.
        if let Some(frame) = parser.finish() {
            self.relay(frame).await;
        }
        Ok(())
    }

    async fn relay(&mut self, frame: sse::Frame) {
        if frame.data.is_empty() {
            return;
        }
        match self.recorder.as_ref().and_then(|recorder| recorder.frame(&frame.data)) {
            Some(recorded) => self.reply.push(&recorded),
            None => self.reply.push(&frame.data),
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

    /// A reader that has gone, or takes nothing for a while, is given up; the rest is drained and recorded.
    async fn send(&mut self, frame: String) {
        if let Some(frames) = &self.frames {
            let sent = tokio::time::timeout(READER_PATIENCE, frames.send(frame.into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                self.frames = None;
            }
        }
    }
}
