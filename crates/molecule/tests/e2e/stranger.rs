//! A hostile neighbour that takes an agent's port the moment it is free (D13, D32).

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use molecule_client::{A2aOptions, Client};
use molecule_core::WorkspaceId;
use molecule_testkit::PATIENCE;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::server::{Site, agent_pids, id_of, message, online};

/// What it would have the platform believe.
const LIE: &str = r#"{"jsonrpc":"2.0","id":"1","result":{"kind":"message","messageId":"x","role":"agent","parts":[{"kind":"text","text":"trust me"}]}}"#;

/// Waits for a port, then answers everybody who comes.
struct Stranger {
    heard: Arc<Mutex<Vec<u8>>>,
    has_it: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    fn wait_for(port: u16) -> Self {
        let (heard, has_it, stop) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::default(), Arc::default());
        let shared = (Arc::clone(&heard), Arc::clone(&has_it), Arc::clone(&stop));
        let thread = thread::spawn(move || listen(port, &shared.0, &shared.1, &shared.2));
        Self {
            heard,
            has_it,
            stop,
            thread: Some(thread),
        }
    }

    fn until_it_has_the_port(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_it.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline, "the port was not free");
            thread::yield_now();
        }
    }

    /// What it was told: nothing, or the attack went well.
    fn leave(mut self) -> String {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        String::from_utf8_lossy(&self.heard.lock()).into_owned()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn listen(port: u16, heard: &Mutex<Vec<u8>>, has_it: &AtomicBool, stop: &AtomicBool) {
    let stopped = || stop.load(Ordering::SeqCst);
    let listener = loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => break listener,
            Err(_) if stopped() => return,
            Err(_) => thread::yield_now(),
        }
    };
    has_it.store(true, Ordering::SeqCst);
    listener.set_nonblocking(true).unwrap();
    while !stopped() {
        match listener.accept() {
            Ok((stream, _)) => answer(stream, heard),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn answer(mut stream: TcpStream, heard: &Mutex<Vec<u8>>) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 4096];
    if let Ok(read @ 1..) = stream.read(&mut buffer) {
        heard.lock().extend_from_slice(&buffer[..read]);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{LIE}",
            LIE.len()
        );
        stream.write_all(answer.as_bytes()).ok();
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Where the backend noted an agent's process and port.
fn record(site: &Site, id: WorkspaceId) -> (i32, u16) {
    let record = site.data.path().join(format!("server/instances/{id}.json"));
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    let pid = record["process"]["pid"].as_i64().unwrap();
    let port = record["endpoint"]
        .as_str()
        .unwrap()
        .trim_end_matches('/')
        .rsplit(':')
        .next();
    (i32::try_from(pid).unwrap(), port.unwrap().parse().unwrap())
}

/// Sends until the agent itself answers.
async fn ask_until_answered(client: &Client, target: WorkspaceId, id: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sent = client
            .send_a2a(target, &message(id, "secret plans"), &A2aOptions::default())
            .await;
        if let Ok(reply) = sent {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(!text.contains("trust me"), "{text}");
            if reply.is_success() {
                assert!(text.contains("secret plans"), "{text}");
                return;
            }
        }
        assert!(Instant::now() < deadline, "nobody answers");
        tokio::task::yield_now().await;
    }
}

/// The machine went down, and came up with somebody else on the agents' ports.
async fn strangers_after_a_reboot_hear_nothing(site: Site) {
    let mut server = site.start("up");
    let all = online(&server.client(), 3).await;
    let ids = ["Lead", "Researcher", "Writer"].map(|name| id_of(&all, name));
    let records = ids.map(|id| record(&site, id));
    server.kill();
    let strangers = records.map(|(_, port)| Stranger::wait_for(port));
    agent_pids(site.data.path()).into_iter().for_each(kill);
    strangers.iter().for_each(Stranger::until_it_has_the_port);

    let server = site.start("server");
    let client = server.client();
    let mut asked = tokio::task::JoinSet::new();
    for id in ids {
        let client = client.clone();
        asked.spawn(async move { ask_until_answered(&client, id, "m-boot").await });
    }
    asked.join_all().await;
    for stranger in strangers {
        assert_eq!(stranger.leave(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_after_a_reboot_hear_nothing_on_sqlite() {
    strangers_after_a_reboot_hear_nothing(Site::new(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_after_a_reboot_hear_nothing_on_postgres() {
    let Some(database) =
        molecule_testkit::postgres::database_for("e2e::strangers_after_a_reboot_hear_nothing_on_postgres")
    else {
        return;
    };
    strangers_after_a_reboot_hear_nothing(Site::new(Some(database.url()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_after_a_crash_hears_nothing() {
    let site = Site::new(None);
    let server = site.start("up");
    let client = server.client();
    let lead = id_of(&online(&client, 3).await, "Lead");
    for round in 0..3 {
        let (pid, port) = record(&site, lead);
        let stranger = Stranger::wait_for(port);
        // Messages are under way all the time, over connections of before and after.
        let talk = tokio::spawn({
            let client = client.clone();
            async move {
                for n in 0..50 {
                    let id = format!("m-{round}-{n}");
                    let sent = client
                        .send_a2a(lead, &message(&id, "secret plans"), &A2aOptions::default())
                        .await;
                    if let Ok(reply) = sent {
                        assert!(!String::from_utf8_lossy(&reply.body).contains("trust me"));
                    }
                }
            }
        });
        kill(pid);
        stranger.until_it_has_the_port();
        talk.await.unwrap();
        ask_until_answered(&client, lead, &format!("m-{round}")).await;
        assert_eq!(stranger.leave(), "");
    }
}
