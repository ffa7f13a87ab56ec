//! The way of a stream's frames to their reader.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// Bytes of frames that may wait for a slow reader. A reader that falls further behind slows the agent down.
const WINDOW_BYTES: usize = 256 << 10;
/// What a frame takes of the window besides its bytes, so that many tiny ones count for what they cost.
const FRAME_BYTES: usize = 256;
/// How long a frame waits for a reader that takes nothing.
const READER_PATIENCE: Duration = Duration::from_secs(60);

/// The reader took nothing for so long that it was given up; the stream went on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the stream took nothing for too long")]
pub struct ReaderTooSlow;

/// A frame and its part of the window.
type Waiting = (Bytes, OwnedSemaphorePermit);

/// The frames of an agent's reply, encoded for the wire. It ends with an error if frames are missing at its end.
#[derive(Debug)]
pub struct FrameStream(mpsc::UnboundedReceiver<Result<Waiting, ReaderTooSlow>>);

impl Stream for FrameStream {
    type Item = Result<Bytes, ReaderTooSlow>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0
            .poll_recv(cx)
            .map(|frame| Some(frame?.map(|(frame, _window)| frame)))
    }
}

/// The writing end of a [`FrameStream`].
pub(super) struct Frames {
    /// `None` once the reader is given up.
    reader: Option<mpsc::UnboundedSender<Result<Waiting, ReaderTooSlow>>>,
    window: Arc<Semaphore>,
}

impl Frames {
    pub(super) fn new() -> (Self, FrameStream) {
        let (reader, frames) = mpsc::unbounded_channel();
        let this = Self {
            reader: Some(reader),
            window: Arc::new(Semaphore::new(WINDOW_BYTES)),
        };
        (this, FrameStream(frames))
    }

    /// Whether anybody still reads.
    pub(super) fn is_read(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.is_closed())
    }

    /// Hands a frame on once there is room for it; a frame longer than the window takes the whole of it. A reader that
    /// has gone, or takes nothing for a while, is given up.
    pub(super) async fn send(&mut self, frame: Bytes) {
        let Some(reader) = &self.reader else { return };
        let cost = (frame.len() + FRAME_BYTES).min(WINDOW_BYTES);
        let room = self
            .window
            .clone()
            .acquire_many_owned(u32::try_from(cost).unwrap_or(u32::MAX));
        let Ok(Ok(room)) = timeout(READER_PATIENCE, room).await else {
            tracing::info!("the reader of a stream took nothing and is given up");
            // Behind what waits already, so that it does not take the last of that for the end.
            reader.send(Err(ReaderTooSlow)).ok();
            self.reader = None;
            return;
        };
        if reader.send(Ok((frame, room))).is_err() {
            self.reader = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_told_that_frames_are_missing() {
        // D15
        let (mut frames, mut reader) = Frames::new();
        let frame = Bytes::from(vec![b'x'; 1 << 10]);
        let mut sent = 0;
        while frames.is_read() {
            frames.send(frame.clone()).await;
            sent += 1;
        }
        assert!(sent * frame.len() <= WINDOW_BYTES, "{sent}");
        for _ in 1..sent {
            assert_eq!(reader.next().await, Some(Ok(frame.clone())));
        }
        assert_eq!(reader.next().await, Some(Err(ReaderTooSlow)));
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_by_bytes() {
        // D15
        let (mut frames, mut reader) = Frames::new();
        let long = Bytes::from(vec![b'x'; 4 * WINDOW_BYTES]);
        frames.send(long.clone()).await;
        assert!(frames.send(Bytes::from_static(b"x")).now_or_never().is_none());
        assert_eq!(reader.next().await, Some(Ok(long)));
        let tiny = Bytes::from_static(b"x");
        let mut waiting = 0;
        while frames.send(tiny.clone()).now_or_never().is_some() {
            waiting += 1;
        }
        assert!(waiting <= WINDOW_BYTES / FRAME_BYTES, "{waiting}");
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_keeps_nothing_waiting() {
        // A2A-68
        let (mut frames, reader) = Frames::new();
        frames.send(Bytes::from(vec![b'x'; WINDOW_BYTES])).await;
        drop(reader);
        frames.send(Bytes::from_static(b"x")).await;
        assert!(!frames.is_read());
    }
}
