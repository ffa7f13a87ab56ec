//! The private cluster: databases are apart, dropped under open connections, and no server outlives its user.

#![allow(clippy::unwrap_used, reason = "everything here is a test")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use molecule_testkit::{PATIENCE, both_engines, postgres, skip};

#[test]
fn databases_are_apart() {
    let (Some(one), Some(other)) = (postgres::database(), postgres::database()) else {
        return skip("postgres::databases_are_apart", postgres::NOT_FOUND);
    };
    assert_eq!(
        one.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); SELECT a, a FROM t"),
        "1|1\n2|2"
    );
    assert_eq!(other.sql("SELECT to_regclass('t')"), "");
}

#[test]
fn a_database_is_dropped_under_an_open_connection() {
    let (Some(database), Some(observer)) = (postgres::database(), postgres::database()) else {
        return skip(
            "postgres::a_database_is_dropped_under_an_open_connection",
            postgres::NOT_FOUND,
        );
    };
    let name = database.name().to_owned();
    let mut connected = Command::new(database.psql())
        .args([database.url(), "--command", "SELECT pg_sleep(600)"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the connection is open", || {
        observer.sql(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
        )) == "1"
    });
    drop(database);
    assert_eq!(
        observer.sql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")),
        "0"
    );
    assert!(!connected.wait().unwrap().success(), "its connection was cut");
}

both_engines! {
    async fn one_body_for_both(url: String) {
        let scheme = url.split(':').next();
        assert!(matches!(scheme, Some("sqlite" | "postgres")), "{url}");
    }
}

#[test]
fn the_cluster_ends_with_its_user() {
    let Some(mut server) = Served::start() else {
        return skip("postgres::the_cluster_ends_with_its_user", postgres::NOT_FOUND);
    };
    assert!(server.postmaster_runs());
    // What the kernel does when the process at the other end of the pipe dies, in whatever way.
    drop(server.script.stdin.take());
    server.script.wait().unwrap();
    assert!(!server.directory.exists());
    assert!(!server.postmaster_runs());
}

#[test]
fn no_server_outlives_a_killed_script() {
    let Some(mut server) = Served::start() else {
        return skip("postgres::no_server_outlives_a_killed_script", postgres::NOT_FOUND);
    };
    server.script.kill().unwrap();
    server.script.wait().unwrap();
    eventually("the server is gone", || !server.postmaster_runs());
    fs::remove_dir_all(&server.directory).unwrap();
}

struct Served {
    script: Child,
    directory: PathBuf,
    postmaster: String,
}

impl Served {
    fn start() -> Option<Self> {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres"))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let Some(url) = BufReader::new(script.stdout.take().unwrap()).lines().next() else {
            script.wait().unwrap();
            return None;
        };
        let url = url.unwrap();
        let directory = PathBuf::from(url.split_once("host=").unwrap().1.split('&').next().unwrap());
        let pid_file = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap().to_owned();
        Some(Self {
            script,
            directory,
            postmaster,
        })
    }

    fn postmaster_runs(&self) -> bool {
        // A zombie does not count: it waits for whoever inherited it.
        fs::read_to_string(Path::new("/proc").join(&self.postmaster).join("stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "did not come about: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
