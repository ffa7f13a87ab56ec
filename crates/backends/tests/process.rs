//! The process backend: the conformance suite and what is particular to processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
    time::Duration,
};

use common::{ProcessHarness, exists};
use molecule_backends::{
    Backend, BackendError, ConfigFile, Exit, Instance, Running, WorkspaceSpec, backend_conformance,
    conformance::{Harness, PATIENCE, eventually, spec},
    process::{ProcessBackend, ProcessConfig},
};
use molecule_core::{
    Runtime, WorkspaceId,
    contract::{Allowance, Sandbox},
    validate::WorkspaceAccess,
};
use rustix::process::{Pid, Signal};
use tokio::sync::mpsc::UnboundedReceiver;

backend_conformance!(conformance, ProcessHarness::new());

fn with_env(pairs: &[(&str, &str)]) -> WorkspaceSpec {
    let mut spec = spec(WorkspaceId::random());
    spec.env = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    spec
}

async fn daemon_of(harness: &ProcessHarness, id: WorkspaceId) -> i32 {
    harness.state_file(id, "daemon").await.trim().parse().unwrap()
}

/// The next end that is reported.
async fn next(exits: &mut UnboundedReceiver<Exit>) -> Exit {
    tokio::time::timeout(PATIENCE, exits.recv())
        .await
        .expect("an end is reported")
        .unwrap()
}

/// Gone, or waiting for its adoptive parent to notice.
fn is_dead(pid: i32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    text.rsplit_once(')')
        .is_some_and(|(_, fields)| fields.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn the_endpoint_is_assigned_and_remembered() {
    // D13
    let harness = ProcessHarness::new();
    let spec = with_env(&[("TEST_PORT", "40404")]);
    let started = harness.backend().start(&spec).await.unwrap();
    assert_eq!(started.endpoint.as_deref(), Some("http://127.0.0.1:40404"));
    assert!(started.instance_ref.is_some());
    // What an agent says of its port later on is not believed.
    fs::write(harness.state(spec.id, "endpoint.json"), r#"{"port":1,"pid":1}"#).unwrap();
    let harness = harness.restart_server().await;
    let list = harness.backend().list().await.unwrap();
    assert_eq!(
        list,
        [Instance {
            id: spec.id,
            generation: 1,
            endpoint: started.endpoint
        }]
    );
    harness.backend().stop(spec.id).await.unwrap();
}

#[tokio::test]
async fn the_environment_is_cleared_and_the_backends_own_names_stay() {
    // D18, PROV-61
    let harness = ProcessHarness::with(|config| {
        config.sandbox = Sandbox::Required;
        config.withheld = vec!["/etc/molecule.toml".into()];
        config
            .allowances
            .insert(Runtime::Echo, BTreeSet::from([Allowance::UnixSockets]));
        config.path = vec!["/opt/agents/bin".into()];
        config.inherited_env.insert("TZ".into(), "UTC".into());
    });
    let spec = with_env(&[
        ("MOLECULE_INSTANCE", "forged"),
        ("MOLECULE_SANDBOX", "off"),
        ("MOLECULE_SANDBOX_WITHHELD", "[]"),
        ("MOLECULE_SANDBOX_ALLOW", "terminals"),
        ("LD_PRELOAD", "/x.so"),
    ]);
    harness.backend().start(&spec).await.unwrap();
    let environment = harness.environment(spec.id).await;
    let volume = harness.volume(spec.id);
    let [home, tmp, work, state, configs] =
        ["home", "tmp", "work", "state", "configs"].map(|name| volume.join(name).display().to_string());
    let data = harness.config.data_dir.canonicalize().unwrap();
    let kept = format!(r#"["{}","/etc/molecule.toml"]"#, data.display());
    let expected = [
        ("MOLECULE_SANDBOX", "required"),
        ("MOLECULE_SANDBOX_WITHHELD", kept.as_str()),
        ("MOLECULE_SANDBOX_ALLOW", "unix-sockets"),
        ("MOLECULE_BIND", "127.0.0.1:0"),
        ("MOLECULE_AGENT_RUNTIME", "echo"),
        ("MOLECULE_WORKSPACE_ACCESS", "none"),
        ("TZ", "UTC"),
        ("HOME", home.as_str()),
        ("TMPDIR", tmp.as_str()),
        ("MOLECULE_WORKSPACE_DIR", work.as_str()),
        ("MOLECULE_STATE_DIR", state.as_str()),
        ("CONFIGS_DIR", configs.as_str()),
        ("WORKSPACE_CONFIG_PATH", configs.as_str()),
    ];
    for (key, value) in &expected {
        assert_eq!(environment[*key], *value, "{key}");
    }
    assert!(environment["PATH"].starts_with("/opt/agents/bin:/usr/local/"));
    assert_ne!(environment["MOLECULE_INSTANCE"], "forged");
    let others = [
        "MOLECULE_GENERATION",
        "MOLECULE_INSTANCE",
        "MOLECULE_URL",
        "PATH",
        "PLATFORM_URL",
        "PLUGINS_DIR",
    ];
    let known: BTreeSet<&str> = expected
        .iter()
        .map(|(key, _)| *key)
        .chain(others)
        .chain(["TIER", "WORKSPACE_ID"])
        .collect();
    assert_eq!(environment.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    for name in ["", "home", "tmp", "work", "configs", "state"] {
        let mode = fs::metadata(volume.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{name}");
    }
    harness.backend().stop(spec.id).await.unwrap();
}

#[tokio::test]
async fn the_agent_leads_its_own_session_and_its_files_are_the_servers() {
    let harness = ProcessHarness::new();
    let spec = spec(WorkspaceId::random());
    harness.backend().start(&spec).await.unwrap();
    let pid = harness.pid(spec.id);
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Group, session and no terminal (D32).
    assert_eq!(fields[2..5], [pid.to_string(), pid.to_string(), "0".to_owned()]);
    let log = harness.config.data_dir.join(format!("server/logs/{}.log", spec.id));
    for file in [harness.record(spec.id), log] {
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/fd/0")).unwrap().to_str(),
        Some("/dev/null")
    );
    harness.backend().stop(spec.id).await.unwrap();
    assert!(!harness.record(spec.id).exists());
}

#[tokio::test]
async fn a_daemon_that_left_the_group_dies_with_the_instance() {
    // D19: found by its environment, or, if it cleared that, by its parent.
    for kind in ["1", "2"] {
        let harness = ProcessHarness::new();
        let spec = with_env(&[("TEST_DAEMON", kind)]);
        harness.backend().start(&spec).await.unwrap();
        let daemon = daemon_of(&harness, spec.id).await;
        assert!(exists(daemon));
        harness.backend().stop(spec.id).await.unwrap();
        assert!(is_dead(daemon), "kind {kind}");
    }
}

#[tokio::test]
async fn a_daemon_that_outlives_a_crash_is_cleared_away() {
    let harness = ProcessHarness::new();
    let mut exits = harness.backend().exits().unwrap();
    let spec = with_env(&[("TEST_DAEMON", "1")]);
    harness.backend().start(&spec).await.unwrap();
    daemon_of(&harness, spec.id).await;
    harness.crash(spec.id, 9).await;
    assert_eq!(next(&mut exits).await.reason, "exit code 9: told to crash");
    eventually("nothing left", || async { !harness.is_alive(spec.id).await }).await;
    eventually("record gone", || async { !harness.record(spec.id).exists() }).await;
}

#[tokio::test]
async fn a_daemon_without_a_record_is_found() {
    // The record was lost, or the server died before it was complete.
    let harness = ProcessHarness::new();
    let spec = with_env(&[("TEST_DAEMON", "1")]);
    harness.backend().start(&spec).await.unwrap();
    daemon_of(&harness, spec.id).await;
    let record = fs::read_to_string(harness.record(spec.id)).unwrap();
    let mut early: serde_json::Value = serde_json::from_str(&record).unwrap();
    early["process"] = serde_json::Value::Null;
    early["endpoint"] = serde_json::Value::Null;
    fs::write(harness.record(spec.id), early.to_string()).unwrap();
    let harness = harness.restart_server().await;
    assert_eq!(harness.backend().list().await.unwrap(), []);
    assert!(!harness.is_alive(spec.id).await && !harness.record(spec.id).exists());

    harness.backend().start(&spec).await.unwrap();
    fs::remove_file(harness.record(spec.id)).unwrap();
    let harness = harness.restart_server().await;
    harness.backend().stop(spec.id).await.unwrap();
    assert!(!harness.is_alive(spec.id).await);
}

#[tokio::test]
async fn a_damaged_record_hides_nothing() {
    let harness = ProcessHarness::new();
    let spec = spec(WorkspaceId::random());
    harness.backend().start(&spec).await.unwrap();
    fs::write(harness.record(spec.id), "{").unwrap();
    let harness = harness.restart_server().await;
    assert!(matches!(harness.backend().running(spec.id).await, Running::Unknown(_)));
    assert_eq!(harness.backend().list().await.unwrap(), []);
    assert!(!harness.is_alive(spec.id).await && !harness.record(spec.id).exists());
}

#[tokio::test]
async fn a_recycled_pid_is_left_alone() {
    // D19
    let harness = ProcessHarness::new();
    let mut innocent = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let spec = spec(WorkspaceId::random());
    harness.backend().start(&spec).await.unwrap();
    let text = fs::read_to_string(harness.record(spec.id)).unwrap();
    harness.backend().stop(spec.id).await.unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["process"]["pid"] = innocent.id().into();
    // Both may have begun within one clock tick; a recycled pid's process began later than that.
    record["process"]["start_ticks"] = 1.into();
    let plant = |record: &serde_json::Value| fs::write(harness.record(spec.id), record.to_string()).unwrap();

    plant(&record);
    assert!(matches!(harness.backend().running(spec.id).await, Running::No));
    harness.backend().stop(spec.id).await.unwrap();
    assert!(!harness.record(spec.id).exists());
    plant(&record);
    assert_eq!(harness.backend().list().await.unwrap(), []);
    assert!(!harness.record(spec.id).exists());

    // The right process of another boot is not it either.
    let start = fs::read_to_string(format!("/proc/{}/stat", innocent.id())).unwrap();
    let start = start
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(19)
        .unwrap()
        .parse::<u64>()
        .unwrap();
    record["process"]["start_ticks"] = start.into();
    record["boot_id"] = "another".into();
    plant(&record);
    harness.backend().stop(spec.id).await.unwrap();
    assert!(innocent.try_wait().unwrap().is_none());
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

#[tokio::test]
async fn a_stubborn_agent_is_killed() {
    let harness = ProcessHarness::with(|config| config.stop_grace = Duration::from_millis(200));
    let mut exits = harness.backend().exits().unwrap();
    let spec = with_env(&[("TEST_STUBBORN", "1")]);
    harness.backend().start(&spec).await.unwrap();
    harness.backend().stop(spec.id).await.unwrap();
    assert!(!harness.is_alive(spec.id).await);
    assert!(exits.try_recv().is_err());
}

#[tokio::test]
async fn exit_reasons() {
    let harness = ProcessHarness::new();
    let mut exits = harness.backend().exits().unwrap();
    let spec = WorkspaceSpec {
        generation: 6,
        ..spec(WorkspaceId::random())
    };
    harness.backend().start(&spec).await.unwrap();
    let pid = Pid::from_raw(harness.pid(spec.id)).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    let exit = next(&mut exits).await;
    assert_eq!((exit.generation, exit.reason.as_str()), (6, "killed by signal 9"));

    let mut spec = spec;
    spec.env.insert("CONFORMANCE_FAIL".into(), "7".into());
    let error = harness.backend().start(&spec).await.unwrap_err();
    let BackendError::EndedDuringStart(text) = error else {
        panic!("{error:?}")
    };
    // Only what this instance printed, not its predecessor.
    assert_eq!(
        text,
        "exit code 7: told to fail; its last output:\ninstance of generation 6\nrefusing to start"
    );
}

#[tokio::test]
async fn no_zombies() {
    let harness = ProcessHarness::new();
    let spec = with_env(&[("TEST_DAEMON", "1")]);
    let mut pids = Vec::new();
    for _ in 0..3 {
        harness.backend().start(&spec).await.unwrap();
        pids.push(harness.pid(spec.id));
    }
    harness.crash(spec.id, 1).await;
    eventually("exit", || async {
        matches!(harness.backend().running(spec.id).await, Running::No)
    })
    .await;
    harness.backend().start(&spec).await.unwrap();
    pids.push(harness.pid(spec.id));
    let harness = harness.restart_server().await;
    harness.backend().stop(spec.id).await.unwrap();
    let left: Vec<_> = pids.iter().filter(|pid| exists(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
}

#[tokio::test]
async fn an_agent_that_never_gets_ready_is_ended() {
    let harness = ProcessHarness::with(|config| config.start_deadline = Duration::from_millis(300));
    let spec = with_env(&[("TEST_SILENT", "1"), ("TEST_DAEMON", "1")]);
    let error = harness.backend().start(&spec).await.unwrap_err();
    assert!(
        matches!(error, BackendError::NotReady(after) if after < harness.config.start_deadline),
        "{error:?}"
    );
    assert!(!harness.is_alive(spec.id).await);
    assert!(!harness.record(spec.id).exists());
}

#[tokio::test]
async fn a_nonsensical_endpoint_fails_the_start() {
    let harness = ProcessHarness::new();
    for port in ["0", "\"x\"", "99999"] {
        let spec = with_env(&[("TEST_PORT", port)]);
        let error = harness.backend().start(&spec).await.unwrap_err();
        assert!(matches!(error, BackendError::Io { .. }), "{port}: {error:?}");
        assert!(!harness.is_alive(spec.id).await);
    }
}

#[tokio::test]
async fn an_abandoned_start_leaves_nothing() {
    // D17: a stop cancels a running start.
    let harness = ProcessHarness::new();
    let spec = with_env(&[("TEST_SILENT", "1")]);
    {
        let start = harness.backend().start(&spec);
        let running = async {
            eventually("it runs", || async { harness.is_alive(spec.id).await }).await;
        };
        tokio::select! {
            result = start => panic!("ended: {result:?}"),
            () = running => {}
        }
    }
    harness.backend().stop(spec.id).await.unwrap();
    assert!(!harness.is_alive(spec.id).await);
    assert_eq!(harness.backend().list().await.unwrap(), []);

    let mut spec = spec;
    spec.env.clear();
    drop(harness.backend().start(&spec));
    harness.backend().start(&spec).await.unwrap();
    harness.backend().stop(spec.id).await.unwrap();
}

#[tokio::test]
async fn stop_all_ends_everything_and_closes() {
    // D19: adopted, found and just starting ones.
    let harness = ProcessHarness::new();
    let (known, found) = (spec(WorkspaceId::random()), with_env(&[("TEST_DAEMON", "1")]));
    harness.backend().start(&known).await.unwrap();
    harness.backend().start(&found).await.unwrap();
    let harness = harness.restart_server().await;
    let known_instance = Instance {
        id: known.id,
        generation: 1,
        endpoint: None,
    };
    harness.backend().adopt(&known_instance).await.unwrap();
    let mut exits = harness.backend().exits().unwrap();
    let starting = with_env(&[("TEST_SILENT", "1")]);
    let stop = async {
        eventually("it runs", || async { harness.is_alive(starting.id).await }).await;
        harness.backend().stop_all().await.unwrap()
    };
    let (start, outcome) = tokio::join!(harness.backend().start(&starting), stop);
    assert!(start.is_err());
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    let stopped: BTreeSet<_> = outcome.stopped.into_iter().collect();
    assert_eq!(stopped, [known.id, found.id, starting.id].into());
    for id in stopped {
        assert!(!harness.is_alive(id).await);
    }
    assert!(exits.try_recv().is_err());
    assert!(harness.backend().start(&known).await.is_err(), "closed");
}

#[tokio::test]
async fn data_of_a_running_instance_is_kept() {
    // PROV-65
    let harness = ProcessHarness::new();
    let spec = spec(WorkspaceId::random());
    harness.backend().start(&spec).await.unwrap();
    assert!(harness.backend().remove_data(spec.id).await.is_err());
    assert!(harness.is_alive(spec.id).await);
    harness.backend().stop(spec.id).await.unwrap();
    harness.backend().remove_data(spec.id).await.unwrap();
    assert!(!harness.volume(spec.id).exists());
}

#[tokio::test]
async fn planted_links_are_not_followed() {
    // PROV-O8: what an agent plants in its directories does not lead the server elsewhere.
    let harness = ProcessHarness::new();
    let mut spec = spec(WorkspaceId::random());
    harness.backend().start(&spec).await.unwrap();
    harness.backend().stop(spec.id).await.unwrap();
    let outside = harness.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let configs = harness.volume(spec.id).join("configs");
    fs::remove_file(configs.join(".auth_token")).unwrap();
    symlink(outside.join("stolen"), configs.join(".auth_token")).unwrap();
    symlink(&outside, configs.join("skills")).unwrap();
    symlink(outside.join("config"), configs.join("config.yaml")).unwrap();
    fs::write(outside.join("config"), "").unwrap();
    assert!(!harness.backend().has_config(spec.id).await.unwrap());
    spec.files.insert("skills/x.md".into(), ConfigFile::plain("x"));
    harness.backend().start(&spec).await.unwrap();
    harness.backend().stop(spec.id).await.unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(configs.join("skills/x.md")).unwrap(), b"x");
}

#[tokio::test]
async fn a_host_directory_becomes_the_working_directory() {
    // PROV-60
    let harness = ProcessHarness::new();
    let project = harness.root.path().join("project");
    fs::create_dir(&project).unwrap();
    let project = project.canonicalize().unwrap();
    let mut spec = spec(WorkspaceId::random());
    spec.workspace_dir = Some(project.clone());
    spec.workspace_access = WorkspaceAccess::ReadWrite;
    harness.backend().start(&spec).await.unwrap();
    let environment = harness.environment(spec.id).await;
    assert_eq!(environment["MOLECULE_WORKSPACE_DIR"], project.display().to_string());
    assert_eq!(environment["MOLECULE_WORKSPACE_ACCESS"], "read_write");
    let pid = harness.processes(spec.id)[0];
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), project);
    // A specification that is refused does not cost the running instance.
    spec.workspace_dir = Some(harness.config.data_dir.clone());
    let error = harness.backend().start(&spec).await.unwrap_err();
    assert!(matches!(error, BackendError::InvalidSpec(_)), "{error:?}");
    assert!(matches!(harness.backend().running(spec.id).await, Running::Yes));
    harness.backend().stop(spec.id).await.unwrap();
}

#[tokio::test]
async fn external_agents_are_not_started() {
    let harness = ProcessHarness::new();
    let spec = WorkspaceSpec {
        runtime: Runtime::External,
        ..spec(WorkspaceId::random())
    };
    let error = harness.backend().start(&spec).await.unwrap_err();
    assert!(matches!(error, BackendError::InvalidSpec(_)), "{error:?}");
}

#[tokio::test]
async fn logs_survive_restarts_and_are_rotated() {
    let harness = ProcessHarness::with(|config| config.log_limit = 30);
    let mut spec = spec(WorkspaceId::random());
    for generation in 1..=3 {
        spec.generation = generation;
        harness.backend().start(&spec).await.unwrap();
    }
    harness.backend().stop(spec.id).await.unwrap();
    let logs = |bytes| harness.backend().console().unwrap().logs(spec.id, bytes);
    let all = logs(1_000).await.unwrap();
    let lines: Vec<_> = (1..=3).map(|g| format!("instance of generation {g}\n")).collect();
    assert_eq!((all.text, all.truncated), (lines.concat(), false));
    let older = harness.config.data_dir.join(format!("server/logs/{}.log.1", spec.id));
    assert_eq!(fs::read_to_string(older).unwrap(), lines[..2].concat());
    let last = logs(30).await.unwrap();
    assert_eq!((last.text, last.truncated), (lines[2].clone(), true));
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_boot() {
    // D12
    let data = tempfile::tempdir().unwrap();
    let program = data.path().join("program");
    fs::write(&program, "").unwrap();
    for bad in [data.path().join("absent"), program, data.path().to_path_buf()] {
        assert!(ProcessBackend::new(ProcessConfig::new(data.path(), bad)).is_err());
    }
}
