//! Fixed windows (SEC-205, SEC-206).

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Locks, so that requests of different keys seldom meet.
const SHARDS: usize = 16;
/// Idle buckets live at least this long; a shorter life would void limits of longer windows (SEC-206).
const IDLE: Duration = Duration::from_secs(600);

/// What a request was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests per window; `None` is no limit.
    pub limit: Option<u32>,
    /// Requests left in this window.
    pub remaining: u32,
    /// Seconds until the window ends, rounded up.
    pub reset: u32,
    /// This request is one too many.
    pub exceeded: bool,
}

impl Allowance {
    /// No limit applies.
    pub(crate) const UNLIMITED: Self = Self {
        limit: None,
        remaining: 0,
        reset: 0,
        exceeded: false,
    };
}

struct Bucket {
    begun: Instant,
    taken: u32,
}

struct Shard<K> {
    buckets: HashMap<K, Bucket>,
    swept: Instant,
}

/// Counts requests per key in fixed windows that begin with the first request after the last one ended.
pub(crate) struct Windows<K> {
    limit: u32,
    window: Duration,
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K>>>,
}

impl<K> std::fmt::Debug for Windows<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows")
            .field("limit", &self.limit)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl<K: Hash + Eq> Windows<K> {
    /// `limit` requests per `window`; 0 is no limit.
    pub(crate) fn new(limit: u32, window: Duration) -> Self {
        let now = Instant::now();
        let shard = || {
            Mutex::new(Shard {
                buckets: HashMap::new(),
                swept: now,
            })
        };
        Self {
            limit,
            window,
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }
    }

    /// Takes one request of a key.
    pub(crate) fn take(&self, key: K, now: Instant) -> Allowance {
        if self.limit == 0 {
            return Allowance::UNLIMITED;
        }
        let mut shard = self.shards[self.shard_of(&key)].lock();
        self.sweep(&mut shard, now);
        let bucket = shard.buckets.entry(key).or_insert(Bucket { begun: now, taken: 0 });
        if now.duration_since(bucket.begun) >= self.window {
            *bucket = Bucket { begun: now, taken: 0 };
        }
        let exceeded = bucket.taken >= self.limit;
        if !exceeded {
            bucket.taken += 1;
        }
        let left = self.window.saturating_sub(now.duration_since(bucket.begun));
        Allowance {
            limit: Some(self.limit),
            remaining: self.limit - bucket.taken,
            reset: u32::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX),
            exceeded,
        }
    }

    fn shard_of(&self, key: &K) -> usize {
        // The remainder is below SHARDS and fits.
        usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
    }

    /// Drops buckets whose window is long over, at most once per window and shard.
    fn sweep(&self, shard: &mut Shard<K>, now: Instant) {
        if now.duration_since(shard.swept) >= self.window {
            let idle = IDLE.max(self.window);
            shard
                .buckets
                .retain(|_, bucket| now.duration_since(bucket.begun) < idle);
            shard.swept = now;
        }
    }
}

/// The key of a peer: its address, of IPv6 the /64 that one host commands.
pub(crate) fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            segments[4..].fill(0);
            IpAddr::V6(Ipv6Addr::from(segments))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_window_is_counted_down_and_begins_anew() {
        // SEC-205
        let windows = Windows::new(2, MINUTE);
        let begun = Instant::now();
        let first = windows.take("a", begun);
        assert_eq!(
            first,
            Allowance {
                limit: Some(2),
                remaining: 1,
                reset: 60,
                exceeded: false
            }
        );
        assert!(!windows.take("a", begun).exceeded);
        let third = windows.take("a", begun + Duration::from_millis(58_500));
        assert_eq!(
            third,
            Allowance {
                limit: Some(2),
                remaining: 0,
                reset: 2,
                exceeded: true
            }
        );
        assert!(!windows.take("b", begun).exceeded, "another key has its own window");
        // The first request after the window begins the next one.
        let next = windows.take("a", begun + MINUTE);
        assert_eq!((next.remaining, next.reset, next.exceeded), (1, 60, false));
    }

    #[test]
    fn an_idle_bucket_outlives_its_window_but_not_for_ever() {
        // SEC-206
        let hour = Duration::from_secs(3_600);
        let windows = Windows::new(1, hour);
        let begun = Instant::now();
        windows.take(1, begun);
        // Other keys of every shard make it sweep.
        for key in 2..200 {
            windows.take(key, begun + hour - MINUTE);
        }
        assert!(windows.take(1, begun + hour - MINUTE).exceeded);
        for key in 2..200 {
            windows.take(key, begun + 2 * hour);
        }
        let held: usize = windows.shards.iter().map(|shard| shard.lock().buckets.len()).sum();
        assert!(held <= 199, "{held}");
        assert!(!windows.take(1, begun + 2 * hour).exceeded);
    }

    #[test]
    fn zero_is_no_limit() {
        let windows = Windows::new(0, MINUTE);
        assert!((0..1_000).all(|_| windows.take((), Instant::now()) == Allowance::UNLIMITED));
    }

    #[test]
    fn one_ipv6_host_has_one_bucket() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:9::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }
}
