//! The ring of frames that sockets read from.

use std::{collections::VecDeque, sync::Arc};

use molecule_core::limits;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Frame;

/// Hands every frame to every subscriber, without ever waiting for one. What is held for the slowest is bounded by
/// number and by bytes; who falls further behind loses the oldest (ACT-73).
#[derive(Debug)]
pub(super) struct Bus {
    ring: Arc<Mutex<Ring>>,
    /// Frames published so far.
    head: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Frames dropped so far: the number of the oldest held.
    dropped: u64,
}

impl Ring {
    fn push(&mut self, frame: Frame) -> u64 {
        self.bytes += frame.text.len();
        self.frames.push_back(frame);
        while self.frames.len() > limits::SOCKET_BUFFER || self.bytes > limits::SOCKET_BUFFER_BYTES {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.text.len();
            self.dropped += 1;
        }
        self.dropped + self.frames.len() as u64
    }
}

impl Bus {
    pub(super) fn new() -> Self {
        Self {
            ring: Arc::default(),
            head: watch::Sender::new(0),
        }
    }

    /// Does anybody listen?
    pub(super) fn has_subscribers(&self) -> bool {
        self.head.receiver_count() > 0
    }

    /// How many listen.
    pub(super) fn subscribers(&self) -> usize {
        self.head.receiver_count()
    }

    /// Publishes frames together: whoever waits is woken once.
    pub(super) fn publish(&self, frames: impl IntoIterator<Item = Frame>) {
        if !self.has_subscribers() {
            return;
        }
        // Under the lock, so that the head never goes back.
        let mut ring = self.ring.lock();
        if let Some(head) = frames.into_iter().map(|frame| ring.push(frame)).last() {
            self.head.send_replace(head);
        }
    }

    pub(super) fn subscribe(&self) -> Subscription {
        let ring = self.ring.lock();
        let mut head = self.head.subscribe();
        let next = *head.borrow_and_update();
        drop(ring);
        Subscription {
            ring: self.ring.clone(),
            head,
            next,
        }
    }
}

/// Why a subscription had no frame to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// So many frames were dropped because they were not read in time; the next call goes on behind them.
    #[error("{0} events dropped")]
    Dropped(u64),
    /// The bus is gone.
    #[error("the event bus is closed")]
    Closed,
}

/// Everything published since it was made.
#[derive(Debug)]
pub struct Subscription {
    ring: Arc<Mutex<Ring>>,
    head: watch::Receiver<u64>,
    /// Number of the frame to be read next.
    next: u64,
}

impl Subscription {
    /// The next frame. Cancel-safe.
    ///
    /// # Errors
    /// [`Missed`].
    pub async fn recv(&mut self) -> Result<Frame, Missed> {
        loop {
            if let Some(frame) = self.try_recv()? {
                return Ok(frame);
            }
            if self.head.changed().await.is_err() {
                return Err(Missed::Closed);
            }
        }
    }

    /// Waits for a frame and takes what is there, so many at most, to the end of `frames`. Cancel-safe.
    ///
    /// # Errors
    /// [`Missed`]; nothing was taken.
    pub async fn recv_many(&mut self, frames: &mut Vec<Frame>, most: usize) -> Result<(), Missed> {
        loop {
            if self.take(frames, most)? > 0 {
                return Ok(());
            }
            if self.head.changed().await.is_err() {
                return Err(Missed::Closed);
            }
        }
    }

    fn take(&mut self, frames: &mut Vec<Frame>, most: usize) -> Result<usize, Missed> {
        let ring = self.ring.lock();
        if let Some(lost) = ring.dropped.checked_sub(self.next).filter(|lost| *lost > 0) {
            self.next = ring.dropped;
            metrics::counter!("molecule_events_dropped_total").increment(lost);
            return Err(Missed::Dropped(lost));
        }
        let at = usize::try_from(self.next - ring.dropped).unwrap_or(usize::MAX);
        let before = frames.len();
        frames.extend(ring.frames.iter().skip(at).take(most).cloned());
        let taken = frames.len() - before;
        self.next += taken as u64;
        Ok(taken)
    }

    /// The next frame, if it is there already.
    ///
    /// # Errors
    /// [`Missed::Dropped`].
    pub fn try_recv(&mut self) -> Result<Option<Frame>, Missed> {
        let mut frames = Vec::new();
        self.take(&mut frames, 1)?;
        Ok(frames.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame {
            workspace_id: None,
            text: "x".repeat(bytes).into(),
        }
    }

    #[tokio::test]
    async fn a_subscriber_reads_everything_since_it_came() {
        // ACT-80
        let bus = Bus::new();
        bus.publish([frame(1)]);
        let mut subscription = bus.subscribe();
        assert_eq!(subscription.try_recv().unwrap().map(|frame| frame.text.len()), None);
        bus.publish([frame(2)]);
        bus.publish([frame(3)]);
        let mut other = bus.subscribe();
        for length in [2, 3] {
            assert_eq!(subscription.recv().await.unwrap().text.len(), length);
        }
        let waiting = tokio::spawn(async move { (other.recv().await.unwrap().text.len(), other) });
        bus.publish([frame(4)]);
        let (length, mut other) = waiting.await.unwrap();
        assert_eq!(length, 4);
        drop(bus);
        assert_eq!(subscription.recv().await.unwrap().text.len(), 4);
        assert_eq!(subscription.recv().await.unwrap_err(), Missed::Closed);
        assert_eq!(other.recv().await.unwrap_err(), Missed::Closed);
    }

    #[tokio::test]
    async fn who_does_not_read_loses_the_oldest() {
        // ACT-73
        let bus = Bus::new();
        let (mut slow, mut quick) = (bus.subscribe(), bus.subscribe());
        for _ in 0..limits::SOCKET_BUFFER + 3 {
            bus.publish([frame(1)]);
            assert!(quick.recv().await.is_ok());
        }
        assert_eq!(slow.recv().await.unwrap_err(), Missed::Dropped(3));
        for _ in 0..limits::SOCKET_BUFFER {
            assert!(slow.recv().await.is_ok());
        }
        assert!(slow.try_recv().unwrap().is_none());
    }

    #[tokio::test]
    async fn frames_are_taken_together_up_to_a_number() {
        // D34
        let bus = Bus::new();
        let mut subscription = bus.subscribe();
        bus.publish((1..=5).map(frame));
        let mut taken = Vec::new();
        subscription.recv_many(&mut taken, 3).await.unwrap();
        subscription.recv_many(&mut taken, 3).await.unwrap();
        assert_eq!(
            taken.iter().map(|frame| frame.text.len()).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5]
        );
        bus.publish((0..limits::SOCKET_BUFFER + 2).map(|_| frame(1)));
        assert_eq!(subscription.recv_many(&mut taken, 3).await, Err(Missed::Dropped(2)));
        drop(bus);
        subscription.recv_many(&mut taken, limits::SOCKET_BUFFER).await.unwrap();
        assert_eq!(subscription.recv_many(&mut taken, 1).await, Err(Missed::Closed));
    }

    #[tokio::test]
    async fn what_is_held_is_bounded_by_bytes() {
        // ACT-73
        let bus = Bus::new();
        let mut slow = bus.subscribe();
        let length = limits::SOCKET_BUFFER_BYTES / 4;
        for _ in 0..20 {
            bus.publish([frame(length)]);
            assert!(bus.ring.lock().bytes <= limits::SOCKET_BUFFER_BYTES);
        }
        assert_eq!(slow.recv().await.unwrap_err(), Missed::Dropped(16));
        // One that is longer than the whole is lost, and only then.
        bus.publish([frame(limits::SOCKET_BUFFER_BYTES + 1)]);
        bus.publish([frame(7)]);
        assert!(matches!(slow.recv().await, Err(Missed::Dropped(_))));
        assert_eq!(slow.recv().await.unwrap().text.len(), 7);
    }
}
