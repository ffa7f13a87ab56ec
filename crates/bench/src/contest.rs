//! Contestants of an interleaved run: whoever answers requests at an address.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    figure::{progress, rounded},
    figures::Scale,
    load::{Load, Outcome, Template, median},
    server::cpu_seconds,
};

/// Name of the server under measurement.
pub(crate) const MOLECULE: &str = "molecule";
/// Name of the build that it is compared with.
pub(crate) const AGAINST: &str = "against";

/// Unmeasured loads until a contestant counts as warm or is measured as it is.
const WARM_UPS: usize = 8;
/// Two loads in a row whose rates differ by no more than this share are the same state.
const STEADY: f64 = 0.1;

/// The builds that take part: the one under measurement, and another one where it is named.
pub(crate) struct Builds {
    pub(crate) binary: PathBuf,
    pub(crate) against: Option<PathBuf>,
}

impl Builds {
    /// Names and programs, the one under measurement first.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let against = self.against.as_deref().map(|binary| (AGAINST, binary));
        [(MOLECULE, self.binary.as_path())].into_iter().chain(against)
    }
}

/// What it took to reach the state that is measured.
#[derive(Clone, Copy)]
pub(crate) struct Warm {
    loads: usize,
    steady: bool,
}

/// Who is measured, and what was measured so far.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) requests: Vec<Template>,
    /// Process whose time is counted.
    pub(crate) pid: Option<u32>,
    warm: Option<Warm>,
    /// One per round.
    pub(crate) rates: Vec<f64>,
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
    /// Processor time and answers of all rounds: the kernel counts in hundredths of a second, too coarse for one.
    cpu_seconds: f64,
    answers: u64,
}

impl Contestant {
    pub(crate) fn new(name: &'static str, address: SocketAddr, requests: Vec<Template>, pid: Option<u32>) -> Self {
        Self {
            name,
            address,
            requests,
            pid,
            warm: None,
            rates: vec![],
            p50: vec![],
            p99: vec![],
            cpu_seconds: 0.0,
            answers: 0,
        }
    }

    fn load<'a>(&'a self, requests: &'a [Template], connections: usize, scale: &Scale) -> Load<'a> {
        Load {
            address: self.address,
            requests,
            connections,
            duration: scale.load,
        }
    }

    /// Runs unmeasured loads until two in a row are equally fast, and says how it went.
    pub(crate) async fn warm_up(&mut self, connections: usize, scale: &Scale) -> anyhow::Result<()> {
        self.forget();
        let mut rates: Vec<f64> = vec![];
        while rates.len() < WARM_UPS && !steady(&rates) {
            let load = self.load(&self.requests, connections, scale);
            let outcome = load.run().await.with_context(|| format!("load on {}", self.name))?;
            rates.push(outcome.per_second());
        }
        let warm = Warm {
            loads: rates.len(),
            steady: steady(&rates),
        };
        progress(&format!(
            "{}: {} after {} loads, {connections} connections",
            self.name,
            if warm.steady { "steady" } else { "still not steady" },
            warm.loads
        ));
        self.warm = Some(warm);
        Ok(())
    }

    /// One measured load.
    pub(crate) async fn round(&mut self, connections: usize, scale: &Scale) -> anyhow::Result<()> {
        let before = self.clock()?;
        let load = self.load(&self.requests, connections, scale);
        let outcome = load.run().await.with_context(|| format!("load on {}", self.name))?;
        self.count(before, &outcome)
    }

    /// Every one of `requests` once, measured as a round.
    pub(crate) async fn once(
        &mut self,
        requests: &[Template],
        connections: usize,
        scale: &Scale,
    ) -> anyhow::Result<()> {
        let before = self.clock()?;
        let load = self.load(requests, connections, scale);
        let outcome = load.once().await.with_context(|| format!("load on {}", self.name))?;
        self.count(before, &outcome)
    }

    fn clock(&self) -> anyhow::Result<f64> {
        self.pid.map_or(Ok(0.0), cpu_seconds)
    }

    fn count(&mut self, before: f64, outcome: &Outcome) -> anyhow::Result<()> {
        self.cpu_seconds += self.clock()? - before;
        self.answers += outcome.answers;
        self.rates.push(outcome.per_second());
        self.p50.push(outcome.quantile_ms(0.5));
        self.p99.push(outcome.quantile_ms(0.99));
        Ok(())
    }

    /// Forgets what was measured; who it is stays.
    pub(crate) fn forget(&mut self) {
        for values in [&mut self.rates, &mut self.p50, &mut self.p99] {
            values.clear();
        }
        (self.cpu_seconds, self.answers, self.warm) = (0.0, 0, None);
    }

    /// Median rate over the rounds.
    pub(crate) fn rate(&self) -> f64 {
        median(self.rates.iter().copied())
    }

    /// Ratios of this one's rate to another one's, round by round.
    pub(crate) fn ratios(&self, other: &Self) -> Vec<f64> {
        self.rates
            .iter()
            .zip(&other.rates)
            .map(|(ours, other)| ours / other)
            .collect()
    }

    /// `{"per_second":…,"p50_ms":…,"p99_ms":…[,"cpu_us":…][,"warm_up_loads":…,"steady":…]}`: medians over the rounds;
    /// `cpu_us` is the processor time of the contestant's own process per answer, over all rounds.
    pub(crate) fn summary(&self) -> Value {
        let middle = |values: &[f64]| rounded(median(values.iter().copied()));
        let mut summary = json!({
            "per_second": middle(&self.rates),
            "p50_ms": middle(&self.p50),
            "p99_ms": middle(&self.p99),
        });
        if self.pid.is_some() {
            summary["cpu_us"] = rounded(self.cpu_seconds * 1e6 / self.answers as f64).into();
        }
        if let Some(Warm { loads, steady }) = self.warm {
            summary["warm_up_loads"] = loads.into();
            summary["steady"] = steady.into();
        }
        summary
    }
}

fn steady(rates: &[f64]) -> bool {
    matches!(rates, [.., before, last] if (last - before).abs() <= STEADY * last.max(*before))
}

/// One measured load of each, `rounds` times; each round begins with another one, because the processor may be warmer
/// or slower for whoever comes later.
pub(crate) async fn rounds(contestants: &mut [Contestant], connections: usize, scale: &Scale) -> anyhow::Result<()> {
    for round in 0..scale.rounds {
        contestants.rotate_left(1);
        for contestant in &mut *contestants {
            contestant.round(connections, scale).await?;
        }
        progress(&format!(
            "round {} of {}, {connections} connections",
            round + 1,
            scale.rounds
        ));
    }
    Ok(())
}

/// The one of this name.
pub(crate) fn find<'a>(contestants: &'a [Contestant], name: &str) -> Option<&'a Contestant> {
    contestants.iter().find(|contestant| contestant.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answering(status: u16, body: &'static str) -> SocketAddr {
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let app = axum::Router::new().fallback(move || async move { (status, body) });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    fn request() -> Template {
        Template::new(crate::http1::request("GET", "/", &[], b""))
    }

    const SHORT: Scale = Scale {
        load: std::time::Duration::from_millis(50),
        ..Scale::QUICK
    };

    #[tokio::test]
    async fn a_contestant_is_measured() {
        let address = answering(200, "{}").await;
        let mut contestant = Contestant::new(MOLECULE, address, vec![request()], Some(std::process::id()));
        contestant.warm_up(2, &SHORT).await.unwrap();
        assert!(contestant.rates.is_empty(), "the warm-up is not measured");
        contestant.round(2, &SHORT).await.unwrap();
        assert!(contestant.rates[0] > 0.0 && contestant.p99[0] >= contestant.p50[0]);
        let summary = contestant.summary();
        assert!(summary["cpu_us"].as_f64().is_some());
        assert!(summary["warm_up_loads"].as_u64() >= Some(2), "{summary}");
        let mut other = Contestant::new(AGAINST, address, vec![request()], None);
        other.once(&vec![request(); 7], 3, &SHORT).await.unwrap();
        assert_eq!(other.answers, 7, "each once");
        assert_eq!(contestant.ratios(&other).len(), 1);
    }

    #[tokio::test]
    async fn refusals_are_no_throughput() {
        let address = answering(403, "access denied").await;
        let mut contestant = Contestant::new(MOLECULE, address, vec![request()], None);
        let error = contestant.round(1, &Scale::QUICK).await.unwrap_err();
        assert!(format!("{error:#}").contains("403 access denied"), "{error:#}");
    }

    #[test]
    fn equal_rates_are_a_state() {
        for (rates, expected) in [
            (&[][..], false),
            (&[100.0], false),
            (&[100.0, 95.0], true),
            (&[100.0, 200.0], false),
            (&[100.0, 200.0, 210.0], true),
        ] {
            assert_eq!(steady(rates), expected, "{rates:?}");
        }
    }
}
