//! The agent as a process: exit codes, exit file, signals, sandbox (RUN-11, D18, D19).
//!
//! The child is this test binary again, running only [`child`].

#![allow(clippy::unwrap_used, reason = "in a test there is nobody else to tell")]

mod common;

use std::{
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use common::{FakePlatform, Home, http};
use molecule_testkit::PATIENCE;
use serde_json::{Value, json};

/// The agent's `main`.
#[test]
#[ignore = "the process of another test"]
fn child() {
    let code = molecule_agent::main(molecule_agent::env::Vars::from_process());
    std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { 1 });
}

fn spawn(home: &Home) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(home.vars.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the child does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn exit_file(home: &Home) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(home.file("state/exit.json")).ok()?).ok()
}

async fn port(home: &Home) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let endpoint = std::fs::read(home.file("state/endpoint.json")).ok();
        if let Some(endpoint) = endpoint.and_then(|body| serde_json::from_slice::<Value>(&body).ok()) {
            return endpoint["port"].as_u64().unwrap();
        }
        assert!(Instant::now() < deadline, "no endpoint file");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_cleanly() {
    // D19
    let platform = FakePlatform::start().await;
    let home = Home::new(&platform, "echo", "name: E").with("MOLECULE_SANDBOX", "off");
    std::fs::write(
        home.file("state/exit.json"),
        r#"{"code":1,"reason":"of an earlier life"}"#,
    )
    .unwrap();
    let mut agent = spawn(&home);
    port(&home).await;
    assert_eq!(exit_file(&home), None, "an earlier instance's word is gone");
    let pid = rustix::process::Pid::from_raw(i32::try_from(agent.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(wait(&mut agent).await.code(), Some(0));
    assert_eq!(exit_file(&home).unwrap(), json!({"code": 0, "reason": "asked to stop"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_says_nothing_and_its_message_can_be_sent_again() {
    // D6, D14
    let platform = FakePlatform::start().await;
    let home = Home::new(&platform, "echo", "name: E").with("MOLECULE_SANDBOX", "off");
    let mut agent = spawn(&home);
    let url = format!("http://127.0.0.1:{}", port(&home).await);
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": common::message("m", "c", "crash")});
    assert!(
        http()
            .post(url)
            .bearer_auth("inbound-secret")
            .json(&body)
            .send()
            .await
            .is_err()
    );
    assert_eq!(wait(&mut agent).await.code(), Some(3));
    assert_eq!(exit_file(&home), None);
    // Again means again: the interrupted turn runs afresh, and crashes again.
    std::fs::remove_file(home.file("state/endpoint.json")).unwrap();
    let mut agent = spawn(&home);
    let url = format!("http://127.0.0.1:{}", port(&home).await);
    assert!(
        http()
            .post(url)
            .bearer_auth("inbound-secret")
            .json(&body)
            .send()
            .await
            .is_err()
    );
    assert_eq!(wait(&mut agent).await.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    // RUN-1, RUN-2, RUN-11, RUN-16, D18
    let platform = FakePlatform::start().await;
    for (home, words) in [
        (
            Home::new(&platform, "claude-code", ""),
            "\"claude-code\" is not part of this build; this build runs: echo, exec, native",
        ),
        (Home::new(&platform, "echo", "- not a mapping"), "not a YAML mapping"),
        (
            Home::new(&platform, "echo", "runtime_config: {required_env: [SOME_KEY]}"),
            "SOME_KEY",
        ),
        (
            Home::new(&platform, "native", "").with("LLM_PROVIDER", "anthropic"),
            "ANTHROPIC_API_KEY",
        ),
        (
            Home::new(&platform, "echo", "").with("MOLECULE_BIND", "192.0.2.1:0"),
            "cannot listen",
        ),
        (
            Home::new(&platform, "echo", "").with("WORKSPACE_ID", "nonsense"),
            "WORKSPACE_ID",
        ),
    ] {
        let home = home.with("MOLECULE_SANDBOX", "off");
        let mut agent = spawn(&home);
        assert_eq!(wait(&mut agent).await.code(), Some(1));
        let exit = exit_file(&home).unwrap_or_else(|| panic!("no exit file: {words}"));
        assert_eq!(exit["code"], 1);
        assert!(exit["reason"].as_str().unwrap().contains(words), "{words}: {exit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_sandbox_is_there_or_nothing_is() {
    // D18
    let platform = FakePlatform::start().await;
    let home = Home::new(
        &platform,
        "exec",
        "runtime_config: {command: sh, args: [-c, 'cat /proc/1/environ ../outside; echo end']}",
    )
    .with("MOLECULE_SANDBOX", "required");
    std::fs::write(home.file("outside"), "not for agents").unwrap();
    let mut agent = spawn(&home);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if agent.try_wait().unwrap().is_some() {
            let reason = exit_file(&home).unwrap()["reason"].as_str().unwrap().to_owned();
            assert!(reason.contains("Landlock"), "{reason}");
            return;
        }
        if home.file("state/endpoint.json").exists() {
            break;
        }
        assert!(Instant::now() < deadline, "neither started nor ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let url = format!("http://127.0.0.1:{}", port(&home).await);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": common::message("m", "c", "x")});
    let answer: Value = http()
        .post(url)
        .bearer_auth("inbound-secret")
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(common::text_of(&answer["result"]), "end");
    agent.kill().unwrap();
    agent.wait().unwrap();
}
