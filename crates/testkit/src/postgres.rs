//! PostgreSQL databases for tests, in a private cluster that `scripts/postgres` starts: fresh data directory, unix
//! socket, no port.
//!
//! `make test` starts one cluster for all test binaries and hands it over in [`URL_VARIABLE`]. A test binary that runs
//! without it starts a cluster of its own at the first [`database`]. That cluster serves until its standard input ends,
//! which the kernel sees to however the test process ends, so none is left behind.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use crate::PATIENCE;

/// Environment variable with the URL of a running cluster's `postgres` database, of a role that may create databases.
pub const URL_VARIABLE: &str = "MOLECULE_TEST_POSTGRES";
/// Environment variable with the directory of `psql` and the other programs.
pub const BIN_VARIABLE: &str = "MOLECULE_POSTGRES_BIN";
/// Reason to skip a test for which [`database`] is `None`.
pub const NOT_FOUND: &str = "no PostgreSQL programs found; `make test` installs them";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
/// Exit status of the script when there are no PostgreSQL programs.
const NONE_FOUND: i32 = 3;

/// A fresh, empty database. Dropped with this value, along with the connections that are still open.
#[derive(Debug)]
pub struct TestDatabase {
    cluster: &'static Cluster,
    name: String,
    url: String,
}

impl TestDatabase {
    /// `postgres:///<name>?host=<socket directory>&user=…`, as libpq, sqlx and SeaORM read it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program `psql`, for a connection that stays.
    #[must_use]
    pub fn psql(&self) -> &Path {
        &self.cluster.psql
    }

    /// Runs SQL in this database and returns what `psql` prints: fields split by `|`, rows by line ends.
    /// For arranging and checking around the code under test, such as cutting its connections.
    ///
    /// # Panics
    /// When the statement fails.
    #[must_use]
    pub fn sql(&self, statement: &str) -> String {
        let output = self.cluster.psql(&self.url, statement);
        assert!(
            output.status.success(),
            "{statement}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let deadline = Instant::now() + PATIENCE;
        let mut output = self.cluster.psql(&self.cluster.url, &statement);
        // The server waits five seconds for the connections it cut; meanwhile a pool may open the next.
        while is_in_use(&output) && Instant::now() < deadline {
            output = self.cluster.psql(&self.cluster.url, &statement);
        }
        // A second panic while a failed test unwinds would abort the process and hide the first.
        if !thread::panicking() {
            assert!(
                output.status.success(),
                "drop {}: {}",
                self.name,
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

fn is_in_use(output: &Output) -> bool {
    !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("is being accessed by other users")
}

/// Creates a database for the test of that name, or reports it as skipped.
///
/// # Panics
/// As [`database`] does.
#[must_use]
pub fn database_for(test: &str) -> Option<TestDatabase> {
    let database = database();
    if database.is_none() {
        crate::skip(test, NOT_FOUND);
    }
    database
}

/// Creates a database with a name of its own, or `None` when there are no PostgreSQL programs; then the test is to be
/// skipped with [`crate::skip`] and [`NOT_FOUND`].
///
/// # Panics
/// When the cluster does not start or does not answer: something broken must not look like something missing.
#[must_use]
pub fn database() -> Option<TestDatabase> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(Cluster::obtain).as_ref()?;
    let name = unique_name();
    // template0: nobody can be connected to it, and a connection to the template would make this fail.
    let output = cluster.psql(&cluster.url, &format!("CREATE DATABASE {name} TEMPLATE template0"));
    assert!(
        output.status.success(),
        "create {name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let url = with_database(&cluster.url, &name);
    Some(TestDatabase { cluster, name, url })
}

/// Unique among the test processes of one cluster.
fn unique_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!(
        "test_{}_{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

/// The URL of another database of the same cluster.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let path = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    format!("{}/{name}{query}", &base[..path])
}

#[derive(Debug)]
struct Cluster {
    /// URL of the `postgres` database.
    url: String,
    /// Path of the client program.
    psql: PathBuf,
    /// The script that serves this process's own cluster; the open pipe to it is what keeps the cluster alive.
    _server: Option<Child>,
}

impl Cluster {
    fn obtain() -> Option<Self> {
        match env::var(URL_VARIABLE) {
            Ok(url) if !url.is_empty() => {
                let psql = env::var_os(BIN_VARIABLE).map_or_else(|| "psql".into(), |bin| Path::new(&bin).join("psql"));
                Some(Self {
                    url,
                    psql,
                    _server: None,
                })
            }
            _ => Self::start(),
        }
    }

    fn start() -> Option<Self> {
        let mut server = Command::new(SCRIPT)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of reach of the terminal's Ctrl-C, which would end the script before it has cleaned up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{SCRIPT}: {error}"));
        let lines = BufReader::new(server.stdout.take().expect("standard output is piped")).lines();
        let lines: Vec<String> = lines.take(2).collect::<Result<_, _>>().expect("the script prints text");
        if let [url, bin] = lines.as_slice() {
            return Some(Self {
                url: url.clone(),
                psql: Path::new(bin).join("psql"),
                _server: Some(server),
            });
        }
        let mut reason = String::new();
        server
            .stderr
            .take()
            .expect("standard error is piped")
            .read_to_string(&mut reason)
            .expect("the script prints text");
        let status = server.wait().expect("the script ends");
        assert_eq!(
            status.code(),
            Some(NONE_FOUND),
            "the PostgreSQL cluster did not start: {reason}"
        );
        None
    }

    fn psql(&self, url: &str, statement: &str) -> Output {
        Command::new(&self.psql)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
            ])
            .args(["--command", statement, url])
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.psql.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_other_databases() {
        let socket = "postgres:///postgres?host=/tmp/x&user=postgres";
        assert_eq!(with_database(socket, "a"), "postgres:///a?host=/tmp/x&user=postgres");
        assert_eq!(
            with_database("postgres://me:pw@db:5432/postgres", "a"),
            "postgres://me:pw@db:5432/a"
        );
        assert_eq!(with_database("postgres://db", "a"), "postgres://db/a");
    }
}
