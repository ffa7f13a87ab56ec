//! What an operator relies on: numbers that Prometheus takes, connections that never use the descriptors up, addresses
//! that proxies serve, an installation that starts.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use molecule_client::{A2aOptions, Client};
use molecule_core::WorkspaceId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{Site, eventually, id_of, message, online};

/// Is there such a program?
fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Sends a text; the answer.
async fn say(client: &Client, to: WorkspaceId, text: &str) -> String {
    let sent = client.send_a2a(to, &message(text, text), &A2aOptions::default()).await;
    let reply = sent.unwrap();
    assert!(reply.is_success(), "{reply:?}");
    String::from_utf8(reply.body.to_vec()).unwrap()
}

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

// SEC-212, ACT-205
#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_what_prometheus_takes() {
    let site = Site::new(None);
    let server = site.start("up");
    let client = server.client();
    let all = online(&client, 3).await;
    say(&client, id_of(&all, "Lead"), "hello").await;
    let text = eventually("everything is counted", || async {
        let text = client.metrics().await.map_err(|error| error.to_string())?;
        let wanted = [
            "molecule_workspaces{status=\"online\"} 3\n",
            "molecule_workspaces{status=\"failed\"} 0\n",
            "molecule_messages_total{outcome=\"answered\"} 1\n",
            "molecule_a2a_calls_total{outcome=\"ok\"} 1\n",
            "molecule_a2a_call_duration_seconds_bucket{outcome=\"ok\",le=\"+Inf\"} 1\n",
            "molecule_activity_writer_lag_seconds_bucket{le=\"+Inf\"} ",
            "molecule_http_request_duration_seconds_bucket{",
            "molecule_http_request_duration_seconds_total{",
            "molecule_http_requests_total{",
            "molecule_websocket_connections_active ",
            "molecule_server_lag_seconds ",
        ];
        match wanted.iter().find(|line| !text.contains(**line)) {
            Some(missing) => Err(format!("no {missing:?} in:\n{text}")),
            None => Ok(text),
        }
    })
    .await;
    for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not explained");
    }
    if !has("promtool") {
        molecule_testkit::skip("operations::promtool", "Prometheus is not installed");
        return;
    }
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].map(|said| String::from_utf8(said).unwrap());
    assert!(checked.status.success() && said.concat().is_empty(), "{said:?}");
}

/// Asks for `/health` on a connection that stays open.
async fn ask(stream: &mut TcpStream, host: &str) -> std::io::Result<String> {
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 4_096];
    let read = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_never_use_the_descriptors_up() {
    const DESCRIPTORS: u32 = 160;
    let site = Site::new(None);
    let server = site.start_with_descriptors("up", DESCRIPTORS);
    let client = server.client();
    let all = online(&client, 3).await;
    let host = server.url.strip_prefix("http://").unwrap();
    // Each asks once and then stays: twice as many as there are descriptors.
    let mut held = Vec::new();
    for n in 0..2 * DESCRIPTORS {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let answer = ask(&mut stream, host).await;
        let answer = answer.unwrap_or_else(|error| panic!("connection {n}: {error}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "connection {n}: {answer:?}");
        held.push(stream);
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    assert!(open < DESCRIPTORS as usize, "{open} descriptors are open");
    // There is room left to do everything with: a file, a database, an agent.
    let reply = say(&client, id_of(&all, "Lead"), "still there?").await;
    assert!(reply.contains("still there?"), "{reply}");
    let created = molecule_wire::workspaces::CreateWorkspace {
        name: "Another".to_owned(),
        runtime: Some("echo".into()),
        ..Default::default()
    };
    client.create_workspace(&created).await.unwrap();
    online(&client, 4).await;
    let log = server.log_tail();
    assert!(!log.contains("Too many open files"), "{log}");
    drop(held);
}

// D28
#[tokio::test(flavor = "multi_thread")]
async fn a_login_link_begins_with_the_public_address() {
    let mut site = Site::new(None);
    site.set("MOLECULE_PUBLIC_URL", "https://m.example/team/molecule/");
    let mut server = site.start("up");
    let line = server.line_with("Sign in");
    assert!(line.contains("https://m.example/team/molecule/#code="), "{line}");
    let ran = site.run(&["login"]).await;
    assert!(
        ran.out.contains("https://m.example/team/molecule/#code="),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn an_installation_is_complete() {
    let root = tempfile::tempdir().unwrap();
    let installed = Command::new(tree().join("scripts/install"))
        .arg(env!("CARGO_BIN_EXE_molecule"))
        .env("DESTDIR", root.path())
        .env("PREFIX", "/opt/molecule")
        .output()
        .unwrap();
    assert!(
        installed.status.success(),
        "{}",
        String::from_utf8_lossy(&installed.stderr)
    );
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    let program = at("/opt/molecule/bin/molecule");
    let version = Command::new(&program).arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("molecule "));
    for (shell, path) in [
        ("bash", "/opt/molecule/share/bash-completion/completions/molecule"),
        ("zsh", "/opt/molecule/share/zsh/site-functions/_molecule"),
        ("fish", "/opt/molecule/share/fish/vendor_completions.d/molecule.fish"),
    ] {
        let text = std::fs::read_to_string(at(path)).unwrap();
        assert!(text.contains("molecule"), "{shell}");
    }
    let unit = std::fs::read_to_string(at("/etc/systemd/system/molecule.service")).unwrap();
    assert!(
        unit.contains("\nExecStart=/opt/molecule/bin/molecule server\n"),
        "{unit}"
    );
    assert!(
        unit.contains("\nKillMode=process\n") && unit.contains("\nDelegate=cpu memory\n"),
        "{unit}"
    );
    if !has("systemd-analyze") {
        molecule_testkit::skip("operations::systemd", "systemd is not installed");
        return;
    }
    // Where it will be is not where it is now.
    let here = unit.replace("/opt/molecule/bin/molecule", program.to_str().unwrap());
    let file = root.path().join("molecule.service");
    std::fs::write(&file, here).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    // Older versions do not know the group of its own, and leave it out.
    let faults: Vec<_> = said
        .lines()
        .filter(|line| line.contains("molecule.service") && !line.contains("DelegateSubgroup"))
        .collect();
    assert!(faults.is_empty(), "{said}");
}
