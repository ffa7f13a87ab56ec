//! Checks of the machine: data directory, disk, server or port, database, sandbox.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use molecule_client::Client;
use molecule_templates::orgs::OrgLibrary;
use molecule_wire::ops::ServerInfo;
use rustix::fs::Access;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use super::{Check, Verdict, sandbox};
use crate::{
    boot::{DataDir, templates},
    commands::facts,
    config::{BackendChoice, ServerConfig},
};

/// Time anything on the network has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const GIB: u64 = 1 << 30;
/// Below this a server soon fails to write.
const LEAST_FREE: u64 = 100 << 20;

pub(super) async fn checks(config: &ServerConfig, client: Option<&Client>) -> Vec<Check> {
    let dir = DataDir::at(&config.data_dir);
    let mut checks = data_dir(&dir);
    checks.push(disk(&config.data_dir));
    let running = running(client).await;
    checks.push(server(config, &dir, client).await);
    match &running {
        Some(server) => checks.extend(of_server(server)),
        None => checks.push(database(config).await),
    }
    checks.push(sandbox::check(config).await);
    checks.extend(limits(config, &dir));
    checks.push(agent_binary(&config.agent_binary));
    checks.push(org_templates(config, &dir));
    checks
}

fn data_dir(dir: &DataDir) -> Vec<Check> {
    const NAME: &str = "data directory";
    let root = dir.root();
    let shown = root.display();
    let existing = nearest_existing(root);
    let usable = existing.is_dir() && rustix::fs::access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    let mut checks = vec![if !usable {
        let found = format!("{shown} cannot be written (by this user)");
        Check::bad(
            NAME,
            Verdict::Failed,
            found,
            "choose another with --data-dir or MOLECULE_DATA_DIR",
        )
    } else if existing == root {
        Check::ok(NAME, shown.to_string())
    } else {
        Check::ok(NAME, format!("{shown}, created at the first start"))
    }];
    if let Some(version) = dir.version().filter(|version| !DataDir::understands(version)) {
        let found = format!(
            "written by Molecule {version}, newer than this {}",
            env!("CARGO_PKG_VERSION")
        );
        checks.push(Check::bad(
            "data version",
            Verdict::Failed,
            found,
            "upgrade this program",
        ));
    }
    checks
}

/// Where org templates are looked for, and how many each place has.
fn org_templates(config: &ServerConfig, dir: &DataDir) -> Check {
    const NAME: &str = "org templates";
    let paths = templates::paths(config.configs_dir.as_deref(), dir);
    let places: Vec<String> = paths
        .orgs
        .into_iter()
        .map(|root| {
            let shown = root.display().to_string();
            let found = if root.is_dir() {
                OrgLibrary::new([root]).list().len().to_string()
            } else {
                "not there".to_owned()
            };
            format!("{shown} ({found})")
        })
        .collect();
    Check::ok(NAME, places.join(", "))
}

fn disk(path: &Path) -> Check {
    const NAME: &str = "disk space";
    let Ok(stat) = rustix::fs::statvfs(nearest_existing(path)) else {
        return Check::bad(NAME, Verdict::Warning, "could not be read", "look at it with df");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let found = format!("{:.1} GiB free", free as f64 / GIB as f64);
    let remedy = "make room, or move the data directory with --data-dir";
    match free {
        free if free < LEAST_FREE => Check::bad(NAME, Verdict::Failed, found, remedy),
        free if free < GIB => Check::bad(NAME, Verdict::Warning, found, remedy),
        _ => Check::ok(NAME, found),
    }
}

/// What the running server says of itself; `None` where none runs, or it does not take the credential.
async fn running(client: Option<&Client>) -> Option<ServerInfo> {
    let client = client?.clone().with_timeout(PATIENCE);
    client.server_info().await.ok()
}

/// Of a running server its own word counts, not what this shell's environment would make of one.
fn of_server(server: &ServerInfo) -> Vec<Check> {
    let database = facts::database(server);
    let runtimes: Vec<&str> = server.runtimes.iter().map(|runtime| runtime.as_str()).collect();
    let mut checks = vec![
        Check::ok("database", format!("{database}, in use by the running server")),
        Check::ok("runtimes", runtimes.join(", ")),
    ];
    if let Some(found) = facts::other_version(server) {
        checks.push(Check::bad(
            "version",
            Verdict::Warning,
            found,
            "restart the server with this program, or use the server's",
        ));
    }
    checks.push(match facts::backend(server) {
        Ok(backend) => Check::ok("backend", backend),
        Err(none) => Check::bad(
            "backend",
            Verdict::Warning,
            none,
            "start the server with MOLECULE_BACKEND=process to run agents on its machine",
        ),
    });
    checks
}

/// A running server, or a port that one could have.
async fn server(config: &ServerConfig, dir: &DataDir, client: Option<&Client>) -> Check {
    const NAME: &str = "server";
    let client = client.cloned().map(|client| client.with_timeout(PATIENCE));
    if let Some(client) = &client
        && client.health().await.is_ok()
    {
        return match client.liveness().await {
            Ok(_) => Check::ok(
                NAME,
                format!("answers at {}, and takes this credential", client.base_url()),
            ),
            Err(error) => {
                let found = format!("answers at {}, but: {error}", client.base_url());
                Check::bad(
                    NAME,
                    Verdict::Warning,
                    found,
                    "set MOLECULE_TOKEN to the server's admin token",
                )
            }
        };
    }
    if let Some(pid) = dir.locked_by() {
        let who = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
        let found = format!("{who} uses the data directory but no server answers");
        return Check::bad(
            NAME,
            Verdict::Failed,
            found,
            "give its address with --url, or stop that process",
        );
    }
    port(NAME, config.listen()).await
}

async fn port(name: &'static str, address: SocketAddr) -> Check {
    match TcpListener::bind(address).await {
        Ok(_) => Check::ok(name, format!("not running; {address} is free")),
        Err(error) => {
            let found = format!("not running, and {address} cannot be listened on: {error}");
            Check::bad(name, Verdict::Failed, found, "choose another with --host and --port")
        }
    }
}

async fn database(config: &ServerConfig) -> Check {
    const NAME: &str = "database";
    let url = config.database_url.expose_secret();
    if url.starts_with("sqlite:") {
        return Check::ok(NAME, "SQLite, built in");
    }
    let remedy = "check DATABASE_URL, and that PostgreSQL 14 or newer runs there";
    match tokio::time::timeout(PATIENCE, molecule_db::Db::connect(url)).await {
        Ok(Ok(db)) => match db.close().await {
            Ok(()) => Check::ok(NAME, "PostgreSQL answers and takes the user"),
            Err(error) => Check::bad(
                NAME,
                Verdict::Warning,
                format!("PostgreSQL answers, but: {error}"),
                remedy,
            ),
        },
        Ok(Err(error)) => Check::bad(NAME, Verdict::Failed, error.to_string(), remedy),
        Err(_) => Check::bad(NAME, Verdict::Failed, "PostgreSQL does not answer", remedy),
    }
}

/// Whether what was configured for tiers can be enforced where the server runs, or would if started from here.
fn limits(config: &ServerConfig, dir: &DataDir) -> Option<Check> {
    const NAME: &str = "tier limits";
    if !matches!(config.backend, BackendChoice::Auto | BackendChoice::Process) {
        return None;
    }
    let weak = "agents only stand back for the server (nice, oom_score_adj)";
    if config.tier_limits.is_empty() {
        return Some(Check::ok(NAME, format!("none configured: {weak}")));
    }
    Some(match molecule_backends::process::limits_of(dir.locked_by().flatten()) {
        Ok(how) => Check::ok(NAME, format!("by {how}")),
        Err(reason) => Check::bad(
            NAME,
            Verdict::Warning,
            format!("not enforced ({reason}): {weak}"),
            "run the server as a systemd service with Delegate=cpu memory and DelegateSubgroup=server",
        ),
    })
}

fn agent_binary(path: &Path) -> Check {
    const NAME: &str = "agent program";
    if rustix::fs::access(path, Access::EXEC_OK).is_ok() && path.is_file() {
        return Check::ok(NAME, path.display().to_string());
    }
    let found = format!("{} cannot be run", path.display());
    Check::bad(
        NAME,
        Verdict::Failed,
        found,
        "set MOLECULE_AGENT_BINARY to the molecule program",
    )
}

/// The path itself, or the closest directory above it that exists.
fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(checks: &[Check]) -> Vec<Verdict> {
        checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn data_directories() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(
            verdicts(&data_dir(&DataDir::at(temp.path().join("new/one")))),
            [Verdict::Ok]
        );
        assert!(!temp.path().join("new").exists(), "looking creates nothing");
        let dir = DataDir::create(temp.path()).unwrap();
        std::fs::write(dir.server().join("version"), "99.0.0\n").unwrap();
        assert_eq!(verdicts(&data_dir(&dir)), [Verdict::Ok, Verdict::Failed]);
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(verdicts(&data_dir(&DataDir::at(file.join("below")))), [Verdict::Failed]);
    }

    #[tokio::test]
    async fn a_taken_port_is_a_failure() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(port("server", address).await.verdict, Verdict::Failed);
        assert_eq!(
            port("server", "127.0.0.1:0".parse().unwrap()).await.verdict,
            Verdict::Ok
        );
    }
}
