//! Reading an agent's reply whole (A2A-70, D15).

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use molecule_core::{WorkspaceId, limits};

use super::{
    BodyFailure, Messenger,
    call::Call,
    memory::{MEDIUM_BYTES, Share, UNRESERVED_BYTES},
};

/// What the agent answered, before it is judged.
pub(super) struct Upstream {
    /// HTTP status.
    pub(super) status: u16,
    /// Body, whole.
    pub(super) body: Bytes,
    /// Its part of the reply memory; short ones have none.
    pub(super) share: Option<Share>,
}

impl Messenger {
    /// Reads the body. Nothing beyond [`UNRESERVED_BYTES`] is kept before there is memory for it.
    pub(super) async fn read_reply(
        &self,
        call: &Call,
        response: http::Response<Incoming>,
    ) -> Result<Upstream, BodyFailure> {
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let length = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let mut buffer = BytesMut::with_capacity(length.map_or(0, |length| length.min(UNRESERVED_BYTES)));
        let mut share: Option<Share> = None;
        let mut active = Instant::now();
        while let Some(data) = self.next_data(call, active, &mut body).await? {
            let read = buffer.len() + data.len();
            let expected = length.unwrap_or(read).max(read);
            if expected > limits::A2A_REPLY_BYTES {
                tracing::warn!(target = %call.route.id, limit = limits::A2A_REPLY_BYTES, "agent reply too long");
                return Err(BodyFailure::TooLong);
            }
            if read > share.as_ref().map_or(UNRESERVED_BYTES, Share::bytes) {
                // The share held until then is given back only when the larger one is there.
                share = Some(self.reserve(call, length.unwrap_or_else(|| size_class(read))).await?);
                buffer.reserve(length.map_or(0, |length| length - buffer.len()));
            }
            buffer.extend_from_slice(&data);
            active = Instant::now();
        }
        if let Some(share) = &mut share {
            share.shrink(buffer.len());
        }
        Ok(Upstream {
            status,
            body: buffer.freeze(),
            share,
        })
    }

    /// The next piece of a body, `None` at its end. The idle timer runs since `active`.
    pub(super) async fn next_data(
        &self,
        call: &Call,
        active: Instant,
        body: &mut Incoming,
    ) -> Result<Option<Bytes>, BodyFailure> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                failure = self.expired(call, active) => return Err(BodyFailure::Expired(failure)),
            };
            let Some(frame) = frame else { return Ok(None) };
            // Trailers are no part of it.
            if let Ok(data) = frame.map_err(|_| BodyFailure::Broken)?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// Waits for memory, as long as the call has time and no longer than [`limits::A2A_MEMORY_WAIT`].
    pub(super) async fn reserve(&self, call: &Call, bytes: usize) -> Result<Share, BodyFailure> {
        let agent: WorkspaceId = call.route.id;
        tokio::select! {
            biased;
            share = self.inner.memory.reserve(agent, bytes) => return Ok(share),
            _ = self.expired(call, Instant::now()) => {}
            () = tokio::time::sleep(limits::A2A_MEMORY_WAIT) => {}
        }
        tracing::warn!(target = %agent, bytes, "no memory for an agent's reply");
        Err(BodyFailure::NoMemory)
    }
}

/// What is reserved for a body that has grown to `bytes`, its end unknown.
pub(super) fn size_class(bytes: usize) -> usize {
    if bytes <= MEDIUM_BYTES {
        MEDIUM_BYTES
    } else {
        limits::A2A_REPLY_BYTES
    }
}
