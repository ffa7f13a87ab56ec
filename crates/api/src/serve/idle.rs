//! Connections that wait for a request. Each costs a descriptor, so that the longest idle one gives way once there are
//! nearly as many connections as the system has descriptors for us.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Connections by when they became idle.
#[derive(Debug, Clone, Default)]
pub(super) struct Idlers(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Idlers {
    /// A connection that has not asked for anything yet.
    pub(super) fn enter(&self) -> Idle {
        let idle = Idle {
            idlers: self.clone(),
            place: Arc::default(),
            evicted: CancellationToken::new(),
        };
        idle.rest();
        idle
    }

    /// Closes the one that has been idle longest. `false` if all are at work.
    pub(super) fn evict(&self) -> bool {
        let longest = self.0.lock().waiting.pop_first();
        longest.is_some_and(|(_, evicted)| {
            evicted.cancel();
            true
        })
    }
}

/// One connection's place among the idle. Requests of a connection come one after the other.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    idlers: Idlers,
    place: Arc<Mutex<Option<u64>>>,
    evicted: CancellationToken,
}

impl Idle {
    fn rest(&self) {
        let mut queue = self.idlers.0.lock();
        let place = queue.next;
        queue.next += 1;
        queue.waiting.insert(place, self.evicted.clone());
        *self.place.lock() = Some(place);
    }

    fn leave(&self) {
        let place = self.place.lock().take();
        if let Some(place) = place {
            self.idlers.0.lock().waiting.remove(&place);
        }
    }

    /// The connection works until this is dropped.
    pub(super) fn work(&self) -> Working {
        self.leave();
        Working(self.clone())
    }

    /// Resolves when the connection is to give way.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// The connection has ended.
    pub(super) fn end(&self) {
        self.leave();
    }
}

/// A request in progress, up to the last byte of its answer.
#[derive(Debug)]
pub(super) struct Working(Idle);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// The body of an answer, and the work that it is.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _working: Working,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_longest_idle_gives_way_and_who_works_does_not() {
        let idlers = Idlers::default();
        let (first, second, third) = (idlers.enter(), idlers.enter(), idlers.enter());
        let working = first.work();
        let given_up = |idle: &Idle| idle.evicted().now_or_never().is_some();
        assert!(idlers.evict());
        assert!(given_up(&second) && !given_up(&first) && !given_up(&third));
        // Idle again, and behind the third.
        drop(working);
        assert!(idlers.evict());
        assert!(given_up(&third) && !given_up(&first));
        let working = first.work();
        assert!(!idlers.evict(), "all are at work");
        drop(working);
        first.end();
        assert!(!idlers.evict(), "who has ended is not there");
    }
}
