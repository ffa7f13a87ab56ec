//! What an operator pastes to connect an agent from elsewhere runs as it was given (LIFE-77…85).

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use molecule_testkit::{PATIENCE, both_engines};
use tokio::sync::mpsc;

use crate::common::*;

/// A script that runs until this is dropped.
struct Script {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Script {
    fn run(python: &str) -> std::io::Result<Self> {
        let mut child = Command::new("python3")
            .args(["-u", "-c", python])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    async fn line(&mut self) -> String {
        let next = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        next.expect("the script prints a line").expect("the script goes on")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // May have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn say(server: &Server, id: &Value, text: &str) {
    let message = json!({
        "jsonrpc": "2.0", "id": text, "method": "message/send",
        "params": { "message": { "role": "user", "messageId": text, "parts": [{ "kind": "text", "text": text }] } },
    });
    let path = format!("/workspaces/{}/a2a", id.as_str().unwrap());
    let queued = server.post(path, &message).bearer(ADMIN).send().await.expect(200);
    assert_eq!(queued["status"], "queued");
}

both_engines! {
    // LIFE-80, LIFE-81, MCP-56
    async fn the_python_agent_prints_every_message_once(url: String) {
        let server = Server::new(&url).await;
        let created = server.post("/workspaces", &json!({ "name": "pasted", "external": true }));
        let created = created.bearer(ADMIN).send().await.expect(201);
        let (id, connection) = (&created["id"], &created["connection"]);
        let snippet = &connection["python_snippet"];
        let python = snippet
            .as_str()
            .unwrap()
            .replace(
                "<paste from create response>",
                connection["auth_token"].as_str().unwrap(),
            )
            .replace("time.sleep(5)", "time.sleep(0.05)");
        let Ok(mut script) = Script::run(&python) else {
            molecule_testkit::skip(
                "snippets::the_python_agent_prints_every_message_once",
                "there is no python3",
            );
            return;
        };
        eventually("the agent registers", async || {
            let view = server
                .get(format!("/workspaces/{}", id.as_str().unwrap()))
                .bearer(ADMIN)
                .send()
                .await
                .json();
            view["status"] == "online"
        })
        .await;
        for text in ["first", "second", "third"] {
            say(&server, id, text).await;
            let line = script.line().await;
            assert!(
                line.starts_with("user ") && line.contains(&format!("\"{text}\"")),
                "{line}"
            );
        }
        eventually("its answers are recorded", async || {
            let feed = server
                .get(format!("/workspaces/{}/activity", id.as_str().unwrap()))
                .bearer(ADMIN)
                .send()
                .await
                .json();
            let feed = feed.to_string();
            ["first", "second", "third"]
                .iter()
                .all(|text| feed.contains(&format!("Received: {text}")))
        })
        .await;
        // What came while it was away is there when it is back.
        drop(script);
        say(&server, id, "fourth").await;
        let mut script = Script::run(&python).unwrap();
        while !script.line().await.contains("\"fourth\"") {}
    }
}
