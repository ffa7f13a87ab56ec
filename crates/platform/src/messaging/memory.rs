//! Memory for what is held of agents' replies, all calls together (D15).

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use molecule_core::WorkspaceId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Held of each reply without a share: most replies are shorter.
pub(super) const UNRESERVED_BYTES: usize = 64 << 10;
/// Replies up to here are of the medium size, longer ones of the large one.
pub(super) const MEDIUM_BYTES: usize = 1 << 20;
/// The part of a pool that the replies of one agent may take up, so that it cannot starve the others: one in so many.
const AGENT_PART: usize = 4;

/// The memory, in pools. A reply whose length is not known takes a medium share first and then, holding that, a large
/// one: who waits for a pool only ever holds shares of smaller pools, so nobody waits in a circle. What streams keep
/// for their rows lives long and has a pool of its own, for which nobody waits.
pub(super) struct ReplyMemory {
    all: Pools,
    by_agent: Mutex<HashMap<WorkspaceId, Arc<Pools>>>,
    /// What the replies of one agent may take up.
    agent_bytes: usize,
}

/// Permits are KiB.
struct Pools {
    medium: Arc<Semaphore>,
    large: Arc<Semaphore>,
    records: Arc<Semaphore>,
}

impl Pools {
    fn new(bytes: usize) -> Self {
        let quarter = bytes / 4 / 1024;
        Self {
            medium: Arc::new(Semaphore::new(quarter)),
            large: Arc::new(Semaphore::new(2 * quarter)),
            records: Arc::new(Semaphore::new(quarter)),
        }
    }

    /// The pool that a reply of so many bytes takes its share from.
    fn of(&self, bytes: usize) -> Arc<Semaphore> {
        if bytes <= MEDIUM_BYTES {
            self.medium.clone()
        } else {
            self.large.clone()
        }
    }
}

/// A part of the memory, given back when it is dropped.
pub(super) struct Share {
    permits: [OwnedSemaphorePermit; 2],
    bytes: usize,
    /// Keeps the agent's pools while any of its shares is out.
    _agent: Arc<Pools>,
}

impl Share {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what exceeds `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let excess = kib(self.bytes).saturating_sub(kib(bytes));
        for permit in &mut self.permits {
            permit.split(excess as usize);
        }
        self.bytes = self.bytes.min(bytes);
    }

    /// Bytes that hold their share until the last reference to them is gone.
    pub(super) fn hold(self, bytes: Bytes) -> Bytes {
        struct Held {
            bytes: Bytes,
            _share: Share,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
        Bytes::from_owner(Held { bytes, _share: self })
    }
}

impl ReplyMemory {
    /// `bytes` for all replies together.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            all: Pools::new(bytes),
            by_agent: Mutex::default(),
            agent_bytes: bytes / AGENT_PART,
        }
    }

    /// A share for a reply of the agent; waits while others use the memory up.
    pub(super) async fn reserve(&self, agent: WorkspaceId, bytes: usize) -> Share {
        let own = self.agent(agent);
        // The agent's own limit first: who waits there keeps nothing from others.
        let permits = [
            acquire(own.of(bytes), bytes).await,
            acquire(self.all.of(bytes), bytes).await,
        ];
        Share {
            permits,
            bytes,
            _agent: own,
        }
    }

    /// A share for what a stream keeps for its row, if there is one left.
    pub(super) fn record(&self, agent: WorkspaceId, bytes: usize) -> Option<Share> {
        let own = self.agent(agent);
        let permits = [
            own.records.clone().try_acquire_many_owned(kib(bytes)).ok()?,
            self.all.records.clone().try_acquire_many_owned(kib(bytes)).ok()?,
        ];
        Some(Share {
            permits,
            bytes,
            _agent: own,
        })
    }

    fn agent(&self, agent: WorkspaceId) -> Arc<Pools> {
        let mut agents = self.by_agent.lock();
        agents.retain(|_, pools| Arc::strong_count(pools) > 1);
        let new = || Arc::new(Pools::new(self.agent_bytes));
        agents.entry(agent).or_insert_with(new).clone()
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

async fn acquire(pool: Arc<Semaphore>, bytes: usize) -> OwnedSemaphorePermit {
    match pool.acquire_many_owned(kib(bytes)).await {
        Ok(permit) => permit,
        Err(_) => unreachable!("the pools are never closed"),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use molecule_core::limits;

    use super::*;

    const MIB: usize = 1 << 20;
    /// Large pool of an agent: room for the longest reply.
    const _: () = assert!(limits::A2A_BUFFERED_BYTES / AGENT_PART / 2 >= limits::A2A_REPLY_BYTES);

    fn memory() -> ReplyMemory {
        ReplyMemory::new(limits::A2A_BUFFERED_BYTES)
    }

    /// Shares of `bytes` that the agent gets without waiting, at most `most`.
    fn take(memory: &ReplyMemory, agent: WorkspaceId, bytes: usize, most: usize) -> Vec<Share> {
        (0..most)
            .map_while(|_| memory.reserve(agent, bytes).now_or_never())
            .collect()
    }

    #[test]
    fn one_agent_leaves_room_for_the_others() {
        // D15
        let memory = memory();
        let greedy = WorkspaceId::random();
        let held = take(&memory, greedy, limits::A2A_REPLY_BYTES, 100);
        assert_eq!(held.len(), 3);
        assert_eq!(
            take(&memory, WorkspaceId::random(), limits::A2A_REPLY_BYTES, 1).len(),
            1
        );
        // Nor do its long replies keep its shorter ones waiting.
        assert_eq!(take(&memory, greedy, MIB, 1).len(), 1);
        drop(held);
        assert_eq!(take(&memory, greedy, limits::A2A_REPLY_BYTES, 1).len(), 1);
    }

    #[test]
    fn all_together_stay_within_the_memory() {
        // D15
        let memory = memory();
        let held: Vec<_> = (0..100)
            .flat_map(|_| take(&memory, WorkspaceId::random(), limits::A2A_REPLY_BYTES, 100))
            .collect();
        let long: usize = held.iter().map(Share::bytes).sum();
        assert!(long <= limits::A2A_BUFFERED_BYTES / 2, "{long}");
        let medium = (0..1_000).flat_map(|_| take(&memory, WorkspaceId::random(), MIB, 1_000));
        assert_eq!(medium.collect::<Vec<_>>().len() * MIB, limits::A2A_BUFFERED_BYTES / 4);
    }

    #[test]
    fn bytes_keep_their_share_until_the_last_reference_is_gone() {
        // D15
        let memory = memory();
        let agent = WorkspaceId::random();
        let mut share = take(&memory, agent, limits::A2A_REPLY_BYTES, 1).remove(0);
        share.shrink(2 * MIB);
        let reply = share.hold(Bytes::from(vec![b'x'; 2 * MIB]));
        assert_eq!(take(&memory, agent, 30 * MIB, 1).len(), 1, "the rest was given back");
        let part = reply.slice(..1);
        drop(reply);
        assert!(take(&memory, agent, 32 * MIB, 1).is_empty());
        drop(part);
        assert_eq!(take(&memory, agent, 32 * MIB, 1).len(), 1);
        assert!(
            memory.by_agent.lock().len() <= 1,
            "agents without a share are forgotten"
        );
    }

    #[test]
    fn records_never_wait_and_keep_no_reply_waiting() {
        // D15
        let memory = memory();
        let agent = WorkspaceId::random();
        let held: Vec<_> = std::iter::from_fn(|| memory.record(agent, MIB)).collect();
        assert_eq!(held.len(), 16);
        assert!(memory.record(WorkspaceId::random(), MIB).is_some());
        assert_eq!(take(&memory, agent, MIB, 1).len(), 1);
    }
}
