//! Memory for request bodies (D33): whoever sends one draws on a budget of their own, agents and strangers together on
//! another, and all on one. Nobody waits for it while holding any: a body reserves what it announces, or the most its
//! route takes, at once.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::Holder;
use crate::config::Bodies;

/// Bytes that any body may have without a share: heartbeats and most messages, which go on whatever others send.
const UNRESERVED: usize = 16 << 10;
/// Time a body waits for its share: longer than it takes to give a stalled one up.
const MEMORY_WAIT: Duration = Duration::from_secs(10);
/// Time a body has to arrive; a client that trickles holds its connection no longer.
const BODY_LIMIT: Duration = Duration::from_secs(120);
/// While memory is short a body has to grow by [`LEAST_PROGRESS`] in so much time.
const STALL: Duration = Duration::from_secs(3);
/// Bytes; about 10 KiB/s, which the slowest of links carries.
const LEAST_PROGRESS: usize = 32 << 10;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// More bytes than the route takes.
    TooLong,
    /// The connection broke, or the encoding is wrong.
    Broken,
    /// It did not arrive in time.
    TooSlow,
    /// Others use the memory up.
    NoMemory,
}

/// A body that has arrived, and the share that it keeps until both are dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The body.
    pub(crate) bytes: Bytes,
    /// Kept while what was made of the body is in use, too.
    pub(crate) share: Option<Arc<Share>>,
}

/// A part of the memory, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share(Vec<OwnedSemaphorePermit>);

impl Share {
    /// Is somebody waiting for a pool that this is a part of? A waiter takes whatever is left of it at once.
    fn is_wanted(&self) -> bool {
        self.0.iter().any(|permit| permit.semaphore().available_permits() == 0)
    }
}

/// The memory. Permits are KiB.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    all: Arc<Semaphore>,
    /// What agents and strangers may take up together, so that the operator always has the rest.
    guests: Arc<Semaphore>,
    own: Mutex<HashMap<Holder, Weak<Semaphore>>>,
    sizes: Bodies,
}

impl BodyMemory {
    pub(crate) fn new(sizes: Bodies) -> Self {
        let pool = |bytes: usize| Arc::new(Semaphore::new(bytes / 1024));
        Self {
            all: pool(sizes.all),
            guests: pool(sizes.of_guests),
            own: Mutex::default(),
            sizes,
        }
    }

    /// Reads a body of at most `limit` bytes for `holder`. One that announces more is not read at all.
    pub(crate) async fn read(&self, body: Body, limit: usize, holder: Holder) -> Result<Taken, Unreadable> {
        let hint = HttpBody::size_hint(&body);
        let bytes = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
        if bytes(hint.lower()) > limit {
            return Err(Unreadable::TooLong);
        }
        let mut reading = Reading {
            memory: self,
            holder,
            announced: hint.exact().map(bytes),
            limit,
            read: Vec::new(),
            share: None,
        };
        if reading.announced.is_some_and(|length| length > UNRESERVED) {
            reading.reserve().await?;
        }
        reading.run(body).await
    }

    async fn reserve(&self, holder: Holder, bytes: usize) -> Option<Share> {
        let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let guest = matches!(holder, Holder::Workspace(_) | Holder::Address(_));
        // One's own first: who waits there keeps nothing from others.
        let pools = [
            Some(self.own(holder)),
            guest.then(|| self.guests.clone()),
            Some(self.all.clone()),
        ];
        let mut share = Share(Vec::with_capacity(pools.len()));
        let take = async {
            for pool in pools.into_iter().flatten() {
                // The pools are never closed.
                share.0.push(pool.acquire_many_owned(permits).await.ok()?);
            }
            Some(())
        };
        timeout(MEMORY_WAIT, take).await.ok()??;
        Some(share)
    }

    fn own(&self, holder: Holder) -> Arc<Semaphore> {
        let mut own = self.own.lock();
        own.retain(|_, pool| pool.strong_count() > 0);
        if let Some(pool) = own.get(&holder).and_then(Weak::upgrade) {
            return pool;
        }
        let bytes = match holder {
            Holder::Admin(_) | Holder::Local => self.sizes.of_admin,
            Holder::Workspace(_) | Holder::Address(_) => self.sizes.of_guests / 4,
        };
        let pool = Arc::new(Semaphore::new(bytes / 1024));
        own.insert(holder, Arc::downgrade(&pool));
        pool
    }
}

/// A body on its way.
struct Reading<'a> {
    memory: &'a BodyMemory,
    holder: Holder,
    announced: Option<usize>,
    limit: usize,
    read: Vec<u8>,
    share: Option<Share>,
}

impl Reading<'_> {
    /// Bytes it can come to.
    fn most(&self) -> usize {
        self.announced.unwrap_or(self.limit)
    }

    async fn reserve(&mut self) -> Result<(), Unreadable> {
        let share = self.memory.reserve(self.holder, self.most()).await;
        self.share = Some(share.ok_or(Unreadable::NoMemory)?);
        Ok(())
    }

    async fn run(mut self, mut body: Body) -> Result<Taken, Unreadable> {
        let begun = Instant::now();
        let (mut window, mut before) = (begun, 0);
        loop {
            // The timer is set only for a piece that is not at hand.
            let next = match timeout_at((window + STALL).min(begun + BODY_LIMIT), body.frame()).await {
                Ok(None) => return Ok(self.taken()),
                Ok(Some(frame)) => Some(frame.map_err(|_| Unreadable::Broken)?),
                Err(_) if begun.elapsed() >= BODY_LIMIT => return Err(Unreadable::TooSlow),
                Err(_) => None,
            };
            // Trailers are nobody's business.
            if let Some(piece) = next.and_then(|frame| frame.into_data().ok()) {
                if self.read.is_empty() && self.announced == Some(piece.len()) && self.share.is_none() {
                    return Ok(whole(piece));
                }
                self.take(&piece).await?;
            }
            if window.elapsed() >= STALL {
                let stalls = self.read.len() - before < LEAST_PROGRESS;
                if stalls && self.share.as_ref().is_some_and(Share::is_wanted) {
                    return Err(Unreadable::TooSlow);
                }
                (window, before) = (Instant::now(), self.read.len());
            }
        }
    }

    /// Copied: a piece is a part of a buffer that may be much larger.
    async fn take(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        let length = self.read.len() + piece.len();
        if length > self.limit {
            return Err(Unreadable::TooLong);
        }
        if self.share.is_none() && length > UNRESERVED {
            self.reserve().await?;
        }
        if self.share.is_some() {
            // Untouched pages cost nothing, and what grows is copied no more.
            self.read.reserve_exact(self.most() - self.read.len());
        }
        self.read.extend_from_slice(piece);
        Ok(())
    }

    fn taken(self) -> Taken {
        struct Held {
            bytes: Vec<u8>,
            _share: Arc<Share>,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
        let Some(share) = self.share else {
            return whole(self.read.into());
        };
        let share = Arc::new(share);
        let bytes = Bytes::from_owner(Held {
            bytes: self.read,
            _share: share.clone(),
        });
        Taken {
            bytes,
            share: Some(share),
        }
    }
}

/// A body that is too short for a share.
fn whole(bytes: Bytes) -> Taken {
    Taken { bytes, share: None }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use futures_util::{FutureExt, StreamExt, stream};
    use molecule_core::limits;

    use super::*;

    const MIB: usize = 1 << 20;
    const AGENT: Holder = Holder::Workspace(1);

    /// Sends what is given and then nothing, for ever.
    fn stalled(bytes: usize) -> Body {
        let first = stream::iter([Ok::<_, Error>(Bytes::from(vec![b' '; bytes]))]);
        Body::from_stream(first.chain(stream::pending()))
    }

    async fn read(memory: &BodyMemory, body: Body, limit: usize) -> Result<usize, Unreadable> {
        memory.read(body, limit, AGENT).await.map(|taken| taken.bytes.len())
    }

    #[tokio::test]
    async fn bodies_have_a_limit() {
        // SEC-190
        let memory = BodyMemory::new(Bodies::default());
        for limit in [10, UNRESERVED + 10] {
            assert_eq!(read(&memory, Body::from(vec![0; limit]), limit).await, Ok(limit));
            let announced = read(&memory, Body::from(vec![0; limit + 1]), limit).await;
            assert_eq!(announced, Err(Unreadable::TooLong));
            let pieces = |count: usize| {
                let pieces = (0..count).map(move |_| Ok::<_, Error>(Bytes::from(vec![0; limit / 2])));
                Body::from_stream(stream::iter(pieces))
            };
            assert_eq!(read(&memory, pieces(2), limit).await, Ok(limit));
            assert_eq!(read(&memory, pieces(3), limit).await, Err(Unreadable::TooLong));
        }
        let broken = stream::iter([Err::<Bytes, _>(Error::other("gone"))]);
        assert_eq!(
            read(&memory, Body::from_stream(broken), 10).await,
            Err(Unreadable::Broken)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickling_body_is_given_up_in_the_end() {
        let memory = BodyMemory::new(Bodies::default());
        let begun = Instant::now();
        assert_eq!(read(&memory, stalled(MIB), 2 * MIB).await, Err(Unreadable::TooSlow));
        assert_eq!(begun.elapsed(), BODY_LIMIT, "while there is memory it may stall");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_gives_way_to_others() {
        // D33
        let memory = BodyMemory::new(Bodies::default());
        let begun = Instant::now();
        let most = limits::GUEST_BODIES_BYTES / 4 / (2 * MIB);
        let mut bodies: Vec<_> = (0..most)
            .map(|_| Box::pin(read(&memory, stalled(MIB), 2 * MIB)))
            .collect();
        for body in &mut bodies {
            assert!(body.now_or_never().is_none());
        }
        // Others and short ones do not wait for it.
        let other = memory.read(Body::from(vec![0; MIB]), 2 * MIB, Holder::Workspace(2));
        assert!(other.now_or_never().unwrap().is_ok());
        assert_eq!(
            read(&memory, Body::from(vec![0; UNRESERVED]), MIB).now_or_never(),
            Some(Ok(UNRESERVED))
        );
        // One more of the same agent does, and one that stalls makes room for it.
        let late = async {
            assert_eq!(read(&memory, Body::from(vec![0; MIB]), MIB).await, Ok(MIB));
            begun.elapsed()
        };
        let stalled = futures_util::future::join_all(bodies);
        let (waited, stalled) = tokio::join!(late, stalled);
        assert_eq!(waited, 2 * STALL, "it grew in the first of them");
        assert!(stalled.iter().all(|outcome| *outcome == Err(Unreadable::TooSlow)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_memory_is_told() {
        // D33
        let memory = BodyMemory::new(Bodies::default());
        let begun = Instant::now();
        let held: Vec<_> = std::iter::from_fn(|| memory.reserve(AGENT, 2 * MIB).now_or_never().flatten()).collect();
        assert_eq!(held.len(), limits::GUEST_BODIES_BYTES / 4 / (2 * MIB));
        assert_eq!(
            read(&memory, Body::from(vec![0; MIB]), MIB).await,
            Err(Unreadable::NoMemory)
        );
        assert_eq!(begun.elapsed(), MEMORY_WAIT);
        drop(held);
        assert_eq!(
            read(&memory, Body::from(vec![0; MIB]), MIB).now_or_never(),
            Some(Ok(MIB))
        );
    }

    #[tokio::test]
    async fn a_share_lasts_as_long_as_its_body_and_what_was_made_of_it() {
        // D33
        let memory = BodyMemory::new(Bodies::default());
        let left = || memory.all.available_permits();
        let before = left();
        let Taken { bytes, share } = memory.read(Body::from(vec![0; MIB]), MIB, AGENT).await.unwrap();
        assert_eq!(left(), before - 1024);
        let part = bytes.slice(..1);
        drop(bytes);
        assert_eq!(left(), before - 1024);
        drop(part);
        assert_eq!(left(), before - 1024);
        drop(share);
        assert_eq!(left(), before);
        memory.own(AGENT);
        assert_eq!(memory.own.lock().len(), 1, "who holds nothing is forgotten");
    }

    #[tokio::test]
    async fn guests_leave_room_for_the_operator() {
        // D33
        let memory = BodyMemory::new(Bodies::default());
        let take = |holder, bytes| memory.reserve(holder, bytes).now_or_never().flatten();
        let guests: Vec<_> = (0..1_000)
            .map_while(|of| take(Holder::Workspace(of), 2 * MIB))
            .collect();
        assert_eq!(guests.len() * 2 * MIB, limits::GUEST_BODIES_BYTES);
        assert!(take(Holder::Address(None), 2 * MIB).is_none());
        assert!(take(Holder::Admin(0), limits::JSON_BODY_BYTES).is_some());
        assert!(take(Holder::Local, limits::JSON_BODY_BYTES).is_some());
    }
}
