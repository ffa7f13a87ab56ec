//! Messages through the platform, next to the same load through proxies that do nothing but pass it on.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{CONNECTIONS, Scale};
use crate::{
    children::{Nginx, Part},
    contest::{self, AGAINST, Builds, Contestant, MOLECULE},
    figure::{Figure, Target, progress, rounded},
    http1::request,
    load::{Template, UNIQUE, median},
    org::{self, Agent},
    server::{Home, Mode, Server},
    upstream::RPC_ID,
};

/// Workspaces that write to each other, in a ring.
const AGENTS: usize = 8;
/// Connections of the latency load: few, so that answers do not queue for the processor.
const QUIET_CONNECTIONS: usize = 4;

const DIRECT: &str = "direct";
const BARE: &str = "bare_proxy";
const NGINX: &str = "nginx";

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

    /// Warms everybody up, then lets them run in turns.
    async fn rounds(&mut self, connections: usize, scale: &Scale) -> anyhow::Result<()> {
        for contestant in &mut self.contestants {
            contestant.warm_up(connections, scale).await?;
        }
        contest::rounds(&mut self.contestants, connections, scale).await
    }

    fn find(&self, name: &str) -> anyhow::Result<&Contestant> {
        contest::find(&self.contestants, name).with_context(|| format!("{name} runs"))
    }

    /// Ratios of `ours` to another contestant's rate, round by round; `None` where there is no such contestant.
    fn ratios(&self, ours: &Contestant, name: &str) -> Option<Vec<f64>> {
        contest::find(&self.contestants, name).map(|other| ours.ratios(other))
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
    let bare = field.find(BARE)?;
    let figure = Figure::new("baseline", bare.rate(), "requests/s")
        .with("connections", CONNECTIONS)
        .with("request_bytes", message_body().len());
    let figure = match field.ratios(bare, NGINX) {
        Some(ratios) => figure.number("of_nginx", median(ratios)),
        None => figure,
    };
    field.describe(figure, "").print()
}

/// Throughput, its ratio to the bare proxy, and the latency that the platform adds.
pub(crate) async fn measure(builds: &Builds, scale: &Scale) -> anyhow::Result<()> {
    progress("a2a: messages between workspaces");
    let mut field = Field::without_molecule().await?;
    // By name: the guard refuses loopback addresses at registration (REG-43).
    let url = format!("http://localhost:{}/", field.upstream.port());
    let mut servers = vec![];
    for (name, binary) in builds.each() {
        let home = Home::new()?;
        let mut server = Server::start(binary, &home, Mode::Server).await?;
        let agents = org::push_agents(&mut server, AGENTS, &url).await?;
        field
            .contestants
            .push(Contestant::new(name, server.address(), ring(&agents), server.pid()));
        servers.push((server, agents, home));
    }
    let logs = |servers: &[(Server, Vec<Agent>, Home)]| {
        let tails = servers.iter().map(|(server, ..)| server.log_tail());
        tails.collect::<Vec<_>>().join("\n")
    };

    field.rounds(CONNECTIONS, scale).await.with_context(|| logs(&servers))?;
    print_throughput(&field)?;
    field
        .rounds(QUIET_CONNECTIONS, scale)
        .await
        .with_context(|| logs(&servers))?;
    print_latency(&field)?;
    for (mut server, agents, _home) in servers {
        check_records(&mut server, &agents).await?;
        server.stop().await?;
    }
    Ok(())
}

fn print_throughput(field: &Field) -> anyhow::Result<()> {
    let ours = field.find(MOLECULE)?;
    let rate = Figure::new("a2a", ours.rate(), "requests/s")
        .with("connections", CONNECTIONS)
        .with("request_bytes", message_body().len())
        .with(MOLECULE, ours.summary());
    field.describe(rate, MOLECULE).print()?;
    let ratios = field.ratios(ours, BARE).context("the bare proxy runs")?;
    let bare = field.find(BARE)?;
    Figure::new(
        "a2a_ratio",
        median(ratios.iter().copied()),
        "of the bare proxy's requests/s",
    )
    .target(Target::AtLeast(0.35))
    .number("baseline", bare.rate())
    .with("rounds", ratios.into_iter().map(rounded).collect::<Vec<_>>())
    .print()?;
    for (other, name, unit) in [
        (NGINX, "a2a_ratio_nginx", "of nginx proxy_pass' requests/s"),
        (AGAINST, "a2a_of_against", "of the other build's requests/s"),
    ] {
        let Some(ratios) = field.ratios(ours, other) else {
            continue;
        };
        Figure::new(name, median(ratios.iter().copied()), unit)
            .with("rounds", ratios.into_iter().map(rounded).collect::<Vec<_>>())
            .print()?;
    }
    Ok(())
}

fn print_latency(field: &Field) -> anyhow::Result<()> {
    let ours = field.find(MOLECULE)?;
    let direct = field.find(DIRECT)?;
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
}
