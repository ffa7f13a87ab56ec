//! Event streams of agents, relayed frame by frame (D15).

use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming;
use molecule_a2a::{ProtocolVersion, ReplyTranslator, assemble::Assembly, sse};
use molecule_core::limits;
use tracing::Instrument;

use super::{
    BodyFailure, FrameStream, Messenger,
    call::Call,
    frames::Frames,
    memory::{Share, UNRESERVED_BYTES},
    reply::size_class,
};

/// Records that a stream began and relays it in a task of its own: a reader that goes away does not end it, the rest
/// is drained and recorded (A2A-68).
pub(super) async fn begin(messenger: &Messenger, call: Call, response: http::Response<Incoming>) -> FrameStream {
    let row = messenger.record_stream(&call).await;
    let (frames, reader) = Frames::new();
    let this = messenger.clone();
    let span = call.span();
    let relaying = async move {
        let mut relay = Relay {
            translator: call.request.reply_translator(call.target_version),
            recorder: ReplyTranslator::new(call.target_version, ProtocolVersion::V0_3, call.request.known_method()),
            reply: Assembly::new(UNRESERVED_BYTES),
            kept: Vec::new(),
            frames,
        };
        let failure = relay.run(&this, &call, response.into_body()).await.err();
        if let Some(failure) = failure {
            let told = sse::Frame::data(interrupted(&call, failure)).encode();
            relay.frames.send(told.into()).await;
        }
        let reply = relay.reply.reply().map(Bytes::from);
        this.finish_stream(&call, row, reply.as_ref(), failure).await;
    };
    messenger
        .inner
        .supervisor
        .spawn("a2a-stream", relaying.instrument(span));
    reader
}

/// What the reader is told when a stream breaks off: a JSON-RPC error, so that no client takes it for an end.
fn interrupted(call: &Call, failure: BodyFailure) -> String {
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
    /// The memory it takes up.
    kept: Vec<Share>,
    frames: Frames,
}

impl Relay {
    async fn run(&mut self, messenger: &Messenger, call: &Call, mut body: Incoming) -> Result<(), BodyFailure> {
        let mut parser = sse::Parser::new(limits::A2A_REPLY_BYTES);
        // Of the frame under way.
        let mut share: Option<Share> = None;
        let mut active = Instant::now();
        let mut parsed = Vec::new();
        while let Some(data) = messenger.next_data(call, active, &mut body).await? {
            let pending = parser.pending() + data.len();
            if pending > share.as_ref().map_or(UNRESERVED_BYTES, Share::bytes) {
                let size = size_class(pending).max(pending);
                share = Some(messenger.reserve(call, size).await?);
            }
            parser.push(&data, &mut parsed).map_err(|_| BodyFailure::TooLong)?;
            for frame in parsed.drain(..) {
                // The first is the one that was under way; what follows it fits into one read.
                self.relay(messenger, call, frame, share.take()).await;
            }
            active = Instant::now();
        }
        // An agent that ends its stream without the last blank line has said it all the same.
        if let Some(frame) = parser.finish() {
            self.relay(messenger, call, frame, share.take()).await;
        }
        Ok(())
    }

    async fn relay(&mut self, messenger: &Messenger, call: &Call, frame: sse::Frame, share: Option<Share>) {
        if frame.data.is_empty() {
            return;
        }
        match self.recorder.as_ref().and_then(|recorder| recorder.frame(&frame.data)) {
            Some(recorded) => self.keep(messenger, call, &recorded),
            None => self.keep(messenger, call, &frame.data),
        }
        if !self.frames.is_read() {
            return;
        }
        let translated = self
            .translator
            .as_ref()
            .and_then(|translator| translator.frame(&frame.data));
        let data = translated.unwrap_or(frame.data);
        let encoded = Bytes::from(sse::Frame { data, ..frame }.encode());
        let encoded = match share {
            Some(share) => share.hold(encoded),
            None => encoded,
        };
        self.frames.send(encoded).await;
    }

    /// Adds an event to the reply of the row, as far as there is memory for it: the record is cut rather than the
    /// stream kept waiting.
    fn keep(&mut self, messenger: &Messenger, call: &Call, event: &str) {
        let wanted = self.reply.size() + event.len();
        let missing = wanted.saturating_sub(self.reply.limit());
        if missing > 0 && wanted <= limits::A2A_REPLY_BYTES {
            let more = missing.next_multiple_of(UNRESERVED_BYTES);
            if let Some(share) = messenger.inner.memory.record(call.route.id, more) {
                self.reply.allow(self.reply.limit() + more);
                self.kept.push(share);
            }
        }
        self.reply.push(event);
    }
}
