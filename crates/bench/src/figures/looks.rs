//! A load balancer that looks at `/health` while something else is measured.

use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use hdrhistogram::Histogram;

use crate::http1::{Connection, request};

/// Pause between two looks, as a load balancer's but denser.
const PAUSE: Duration = Duration::from_millis(10);

/// How long answers of `/health` took.
pub(crate) struct Looks(Histogram<u64>);

impl Looks {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, 60_000_000, 3)?))
    }

    /// Looks at the server at `address` until `work` is done.
    pub(crate) async fn during<T>(
        &mut self,
        address: SocketAddr,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let done = Cell::new(false);
        let work = async {
            let result = work.await;
            done.set(true);
            result
        };
        let (result, looked) = tokio::join!(work, self.look(address, &done));
        looked?;
        result
    }

    async fn look(&mut self, address: SocketAddr, done: &Cell<bool>) -> anyhow::Result<()> {
        let mut connection = Connection::new(address);
        let question = request("GET", "/health", &[], b"");
        while !done.get() {
            let asked = Instant::now();
            let reply = connection.exchange(&question).await.context("GET /health")?;
            anyhow::ensure!(reply.is_success(), "GET /health answered {}", reply.summary());
            self.0
                .saturating_record(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The 99th percentile, milliseconds.
    pub(crate) fn p99(&self) -> f64 {
        self.0.value_at_quantile(0.99) as f64 / 1e3
    }
}
