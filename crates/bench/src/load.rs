//! Load on an address: a number of connections, each sending the next request when the last one is answered.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::http1::Connection;

/// Longest wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// A run with more failures than one in this many answers says nothing about speed.
const TOLERATED: u64 = 1_000;
/// Failures of one connection after which it gives up, so that a dead server does not cost the whole run's time.
const GIVE_UP: u64 = 20;
/// Text that is replaced by a number of the same width, different in every request.
pub(crate) const UNIQUE: &str = "0000000000000000";

/// A request that is sent again and again, each time with another number at [`UNIQUE`], if it contains it.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    unique_at: Option<usize>,
}

impl Template {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let unique_at = bytes
            .windows(UNIQUE.len())
            .position(|window| window == UNIQUE.as_bytes());
        Self { bytes, unique_at }
    }

    fn numbered(&mut self, number: u64) -> &[u8] {
        if let Some(at) = self.unique_at {
            let mut rest = number;
            for byte in self.bytes[at..at + UNIQUE.len()].iter_mut().rev() {
                *byte = b"0123456789abcdef"[(rest % 16) as usize];
                rest /= 16;
            }
        }
        &self.bytes
    }
}

/// What happened during a run.
pub(crate) struct Outcome {
    pub(crate) answers: u64,
    pub(crate) elapsed: Duration,
    /// Microseconds.
    latency: Histogram<u64>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }

    /// Milliseconds below which this share of the answers came.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// Where load comes from and where it goes.
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    /// Dealt out to the connections in turn; each connection cycles through its share.
    pub(crate) requests: &'a [Template],
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
}

impl Load<'_> {
    /// Runs the load for its duration. Fails when answers other than 2xx are more than stray.
    pub(crate) async fn run(&self) -> anyhow::Result<Outcome> {
        self.until(Some(Instant::now() + self.duration)).await
    }

    /// Sends every request once, however long it takes. Fails as [`Load::run`] does.
    pub(crate) async fn once(&self) -> anyhow::Result<Outcome> {
        self.until(None).await
    }

    async fn until(&self, deadline: Option<Instant>) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        let mut connections = JoinSet::new();
        // More connections than requests would share some, and send them twice.
        let wanted = deadline.map_or(self.connections.min(self.requests.len()), |_| self.connections);
        for index in 0..wanted {
            let share = share(self.requests, index, wanted);
            connections.spawn(drive(self.address, share, first_number(), deadline));
        }
        let mut latency = new_histogram()?;
        let (mut failures, mut first_failure) = (0, None);
        while let Some(result) = connections.join_next().await {
            let tally = result.context("a connection's task")??;
            latency.add(&tally.latency)?;
            failures += tally.failures;
            first_failure = first_failure.or(tally.first_failure);
        }
        let answers = latency.len();
        if let Some(reason) = first_failure.filter(|_| failures * TOLERATED > answers) {
            bail!(
                "{failures} failures beside {answers} answers from {}; the first: {reason}",
                self.address
            );
        }
        Ok(Outcome {
            answers,
            elapsed: started.elapsed(),
            latency,
        })
    }
}

/// Every `connections`-th request from `index` on; requests are shared when there are fewer of them.
fn share(requests: &[Template], index: usize, connections: usize) -> Vec<Template> {
    let start = index % requests.len();
    requests
        .iter()
        .skip(start)
        .step_by(connections.max(1))
        .cloned()
        .collect()
}

/// Where a connection begins to count; random, so that no two connections and no two runs repeat a number.
fn first_number() -> u64 {
    rand::random::<u64>() & !0xff_ffff
}

struct Tally {
    latency: Histogram<u64>,
    failures: u64,
    first_failure: Option<String>,
}

async fn drive(
    address: SocketAddr,
    mut requests: Vec<Template>,
    mut number: u64,
    deadline: Option<Instant>,
) -> anyhow::Result<Tally> {
    let mut connection = Connection::new(address);
    let mut tally = Tally {
        latency: new_histogram()?,
        failures: 0,
        first_failure: None,
    };
    loop {
        for request in &mut requests {
            let started = Instant::now();
            if deadline.is_some_and(|deadline| started >= deadline) || tally.failures >= GIVE_UP {
                return Ok(tally);
            }
            number = number.wrapping_add(1);
            let failure = match tokio::time::timeout(ANSWER_LIMIT, connection.exchange(request.numbered(number))).await
            {
                Ok(Ok(reply)) if reply.is_success() => None,
                Ok(Ok(reply)) => Some(reply.summary()),
                Ok(Err(error)) => Some(format!("{error:#}")),
                Err(_) => {
                    connection = Connection::new(address);
                    Some(format!("no answer within {ANSWER_LIMIT:?}"))
                }
            };
            if let Some(reason) = failure {
                tally.failures += 1;
                tally.first_failure.get_or_insert(reason);
            } else {
                let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                tally.latency.saturating_record(micros);
            }
        }
        if deadline.is_none() {
            return Ok(tally);
        }
    }
}

fn new_histogram() -> anyhow::Result<Histogram<u64>> {
    // 1 µs to one minute, three significant digits.
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// The middle value; of an even number, the upper one of the two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_length() {
        let mut template = Template::new(format!("x{UNIQUE}y").into_bytes());
        assert_eq!(template.numbered(0xabc), b"x0000000000000abcy");
        assert_eq!(template.numbered(u64::MAX), b"xffffffffffffffffy");
        assert_eq!(Template::new(b"plain".to_vec()).numbered(1), b"plain");
    }

    #[test]
    fn shares_cover_everything() {
        let requests: Vec<Template> = (0..10u8).map(|n| Template::new(vec![n])).collect();
        let mut seen: Vec<u8> = (0..3)
            .flat_map(|index| share(&requests, index, 3))
            .map(|t| t.bytes[0])
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<u8>>());
        assert_eq!(share(&requests[..2], 5, 64).len(), 1);
    }

    #[test]
    fn middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
