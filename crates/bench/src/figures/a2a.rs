//! Messages through the platform, next to the same load through proxies that do nothing but pass it on.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{CONNECTIONS, Scale};
use crate::{
    children::{Nginx, Part},
    figure::{Figure, Target, progress, rounded},
    http1::request,
    load::{Load, Outcome, Template, UNIQUE, median},
    org::{self, Agent},
    server::{Home, Mode, Server, cpu_seconds},
    upstream::RPC_ID,
};

/// Workspaces that write to each other, in a ring.
const AGENTS: usize = 8;
/// Connections of the latency load: few, so that answers do not queue for the processor.
const QUIET_CONNECTIONS: usize = 4;

const DIRECT: &str = "direct";
const BARE: &str = "bare_proxy";
const NGINX: &str = "nginx";
const MOLECULE: &str = "molecule";

struct Contestant {
    name: &'static str,
    address: SocketAddr,
    requests: Vec<Template>,
    pid: Option<u32>,
    /// One per round.
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu_micros: Vec<f64>,
}

impl Contestant {
    fn new(name: &'static str, address: SocketAddr, requests: Vec<Template>, pid: Option<u32>) -> Self {
        Self {
            name,
            address,
            requests,
            pid,
            rates: vec![],
            p50: vec![],
            p99: vec![],
            cpu_micros: vec![],
        }
    }

    async fn load(&mut self, connections: usize, scale: &Scale) -> anyhow::Result<Outcome> {
        let load = Load {
            address: self.address,
            requests: &self.requests,
            connections,
            duration: scale.load,
        };
        load.run().await.with_context(|| format!("load on {}", self.name))
    }

    async fn round(&mut self, connections: usize, scale: &Scale) -> anyhow::Result<()> {
        let before = self.pid.map(cpu_seconds).transpose()?;
        let outcome = self.load(connections, scale).await?;
        if let (Some(pid), Some(before)) = (self.pid, before) {
            self.cpu_micros
                .push((cpu_seconds(pid)? - before) * 1e6 / outcome.answers as f64);
        }
        self.rates.push(outcome.per_second());
        self.p50.push(outcome.quantile_ms(0.5));
        self.p99.push(outcome.quantile_ms(0.99));
        Ok(())
    }

    fn forget(&mut self) {
        for values in [&mut self.rates, &mut self.p50, &mut self.p99, &mut self.cpu_micros] {
            values.clear();
        }
    }

    /// `{"per_second":…,"p50_ms":…,"p99_ms":…[,"cpu_us":…]}`: medians over the rounds; `cpu_us` is the processor time
    /// of the contestant's own process per message.
    fn summary(&self) -> Value {
        let middle = |values: &[f64]| rounded(median(values.iter().copied()));
        let mut summary = json!({
            "per_second": middle(&self.rates),
            "p50_ms": middle(&self.p50),
            "p99_ms": middle(&self.p99),
        });
        if self.pid.is_some() {
            summary["cpu_us"] = middle(&self.cpu_micros).into();
        }
        summary
    }
}

/// The contestants; those that Molecule is compared with come first.
struct Field {
    contestants: Vec<Contestant>,
    // Processes that end when dropped.
    upstream: Part,
    _bare: Part,
    _nginx: Option<Nginx>,
}

impl Field {
    async fn without_molecule() -> anyhow::Result<Self> {
        let upstream = Part::upstream().await?;
        let bare = Part::proxy(upstream.port()).await?;
        let nginx = Nginx::start(upstream.port()).await?;
        if nginx.is_none() {
            progress("nginx is not installed; measured without it");
        }
        // The same bytes for everybody; only the server looks at the credential.
        let requests = vec![message("/", &"0".repeat(43), &"0".repeat(36))];
        let mut contestants = vec![
            Contestant::new(DIRECT, upstream.address(), requests.clone(), upstream.pid()),
            Contestant::new(BARE, bare.address(), requests.clone(), bare.pid()),
        ];
        contestants.extend(
            nginx
                .as_ref()
                .map(|nginx| Contestant::new(NGINX, nginx.address(), requests, None)),
        );
        Ok(Self {
            contestants,
            upstream,
            _bare: bare,
            _nginx: nginx,
        })
    }

    /// Lets everybody run once unmeasured, then in turns; each round begins with another contestant, because the
    /// processor may be warmer or slower for whoever comes later.
    async fn rounds(&mut self, connections: usize, scale: &Scale) -> anyhow::Result<()> {
        for contestant in &mut self.contestants {
            contestant.forget();
            contestant.load(connections, scale).await?;
        }
        for round in 0..scale.rounds {
            self.contestants.rotate_left(1);
            for contestant in &mut self.contestants {
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

    fn find(&self, name: &str) -> Option<&Contestant> {
        self.contestants.iter().find(|contestant| contestant.name == name)
    }

    /// Ratios of `ours` to another contestant's rate, round by round.
    fn ratios(&self, ours: &Contestant, name: &str) -> Option<Vec<f64>> {
        let other = self.find(name)?;
        Some(
            ours.rates
                .iter()
                .zip(&other.rates)
                .map(|(ours, other)| ours / other)
                .collect(),
        )
    }

    /// Adds everybody but `except` to a figure, each under its name.
    fn describe(&self, figure: Figure, except: &str) -> Figure {
        let others = self.contestants.iter().filter(|contestant| contestant.name != except);
        others.fold(figure, |figure, contestant| {
            figure.with(contestant.name, contestant.summary())
        })
    }
}

/// The contestants that need no server.
pub(crate) async fn baseline(scale: &Scale) -> anyhow::Result<()> {
    let mut field = Field::without_molecule().await?;
    field.rounds(CONNECTIONS, scale).await?;
    let bare = field.find(BARE).context("the bare proxy runs")?;
    let figure = Figure::new("baseline", median(bare.rates.iter().copied()), "requests/s")
        .with("connections", CONNECTIONS)
        .with("request_bytes", message_body().len());
    let figure = match field.ratios(bare, NGINX) {
        Some(ratios) => figure.number("of_nginx", median(ratios)),
        None => figure,
    };
    field.describe(figure, "").print()
}

/// Throughput, its ratio to the bare proxy, and the latency that the platform adds.
pub(crate) async fn measure(binary: &Path, scale: &Scale) -> anyhow::Result<()> {
    progress("a2a: messages between workspaces");
    let mut field = Field::without_molecule().await?;
    let home = Home::new()?;
    let mut server = Server::start(binary, &home, Mode::Server).await?;
    // By name: the guard refuses loopback addresses at registration (REG-43).
    let url = format!("http://localhost:{}/", field.upstream.port());
    let agents = org::push_agents(&mut server, AGENTS, &url).await?;
    field
        .contestants
        .push(Contestant::new(MOLECULE, server.address(), ring(&agents), server.pid()));

    field
        .rounds(CONNECTIONS, scale)
        .await
        .with_context(|| server.log_tail())?;
    print_throughput(&field)?;
    field
        .rounds(QUIET_CONNECTIONS, scale)
        .await
        .with_context(|| server.log_tail())?;
    print_latency(&field)?;
    check_records(&mut server, &agents).await?;
    server.stop().await
}

fn print_throughput(field: &Field) -> anyhow::Result<()> {
    let ours = field.find(MOLECULE).context("the server runs")?;
    let rate = Figure::new("a2a", median(ours.rates.iter().copied()), "requests/s")
        .with("connections", CONNECTIONS)
        .with("request_bytes", message_body().len())
        .with(MOLECULE, ours.summary());
    field.describe(rate, MOLECULE).print()?;
    let ratios = field.ratios(ours, BARE).context("the bare proxy runs")?;
    let bare = field.find(BARE).context("the bare proxy runs")?;
    Figure::new(
        "a2a_ratio",
        median(ratios.iter().copied()),
        "of the bare proxy's requests/s",
    )
    .target(Target::AtLeast(0.35))
    .number("baseline", median(bare.rates.iter().copied()))
    .with("rounds", ratios.into_iter().map(rounded).collect::<Vec<_>>())
    .print()?;
    if let Some(ratios) = field.ratios(ours, NGINX) {
        Figure::new(
            "a2a_ratio_nginx",
            median(ratios.iter().copied()),
            "of nginx proxy_pass' requests/s",
        )
        .with("rounds", ratios.into_iter().map(rounded).collect::<Vec<_>>())
        .print()?;
    }
    Ok(())
}

fn print_latency(field: &Field) -> anyhow::Result<()> {
    let ours = field.find(MOLECULE).context("the server runs")?;
    let direct = field.find(DIRECT).context("the upstream runs")?;
    let added = |ours: &[f64], direct: &[f64]| median(ours.iter().zip(direct).map(|(ours, direct)| ours - direct));
    let figure = Figure::new(
        "a2a_added_p50",
        added(&ours.p50, &direct.p50),
        "ms over the upstream alone",
    )
    .target(Target::Below(2.0))
    .number("added_p99", added(&ours.p99, &direct.p99))
    .with("connections", QUIET_CONNECTIONS)
    .with(MOLECULE, ours.summary());
    field.describe(figure, MOLECULE).print()
}

/// Every agent writes to the next one.
fn ring(agents: &[Agent]) -> Vec<Template> {
    let targets = agents.iter().cycle().skip(1);
    agents
        .iter()
        .zip(targets)
        .map(|(caller, target)| message(&format!("/workspaces/{}/a2a", target.id), &caller.token, &caller.id))
        .collect()
}

fn message(path: &str, token: &str, caller: &str) -> Template {
    let headers = [
        format!("authorization: Bearer {token}"),
        format!("x-workspace-id: {caller}"),
    ];
    Template::new(request("POST", path, &headers, &message_body()))
}

/// A message of the size that people send, with an id of its own every time.
fn message_body() -> Vec<u8> {
    let body = json!({
        "jsonrpc": "2.0",
        "id": RPC_ID,
        "method": "message/send",
        "params": { "message": {
            "kind": "message",
            "role": "user",
            "messageId": format!("bench-{UNIQUE}"),
            "contextId": "d0a4c7b2-9e31-4f6a-8b5d-1c2e3f4a5b6c",
            "parts": [{ "kind": "text", "text": "Please run the tests on the release branch and tell me what fails, with the first error of each." }],
        } },
    });
    body.to_string().into_bytes()
}

/// A proxy that keeps no record would win: looks whether the messages can be read back.
async fn check_records(server: &mut Server, agents: &[Agent]) -> anyhow::Result<()> {
    for agent in agents {
        let path = format!("/workspaces/{}/activity?type=a2a_receive&limit=1", agent.id);
        let rows = server.call("GET", &path, &Value::Null).await?;
        let found = rows.as_array().is_some_and(|rows| !rows.is_empty());
        ensure!(
            found,
            "the server answered messages to {} without recording them",
            agent.id
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_of_the_documented_size() {
        assert!((300..360).contains(&message_body().len()), "{}", message_body().len());
    }

    #[test]
    fn nobody_writes_to_itself() {
        let agents: Vec<Agent> = ["a", "b", "c"]
            .map(|id| Agent {
                id: id.to_owned(),
                token: format!("token-{id}"),
            })
            .to_vec();
        assert_eq!(ring(&agents).len(), 3);
    }

    #[tokio::test]
    async fn the_field_answers() {
        // The parts are this very program, which the test binary is not: play them here instead.
        let scale = Scale {
            load: std::time::Duration::from_millis(50),
            ..Scale::QUICK
        };
        let app = axum::Router::new().fallback(|| async { "{}" });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut contestant = Contestant::new(DIRECT, address, vec![message("/", "t", "c")], Some(std::process::id()));
        contestant.round(2, &scale).await.unwrap();
        assert!(contestant.rates[0] > 0.0 && contestant.p99[0] >= contestant.p50[0]);
        assert!(contestant.summary()["cpu_us"].as_f64().is_some());
    }

    #[tokio::test]
    async fn refusals_are_no_throughput() {
        let app = axum::Router::new().fallback(|| async { (axum::http::StatusCode::FORBIDDEN, "access denied") });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut contestant = Contestant::new(MOLECULE, address, vec![message("/", "t", "c")], None);
        let error = contestant.round(1, &Scale::QUICK).await.unwrap_err();
        assert!(format!("{error:#}").contains("403 access denied"), "{error:#}");
    }
}
