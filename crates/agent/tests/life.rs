//! Registration, heartbeats and the end of an agent (RUN-3…5, RUN-14, RUN-18…28).

mod common;

use common::{FakePlatform, Home, Mood};
use molecule_testkit::PATIENCE;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn registers_beats_and_keeps_what_it_is_given() {
    // RUN-3, RUN-5, RUN-12, RUN-14, RUN-18, RUN-21
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "name: E\ndescription: d").start().await;
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
    platform.see(|seen| {
        let register = &seen.registers[0];
        assert_eq!(register["id"], agent.home.id.to_string());
        assert_eq!(register["url"], agent.url);
        assert_eq!(register["agent_card"]["name"], "E");
        let beat = &seen.beats[0];
        assert_eq!(
            (&beat["error_rate"], &beat["active_tasks"], &beat["current_task"]),
            (&json!(0.0), &json!(0), &json!(""))
        );
        assert_eq!(beat["runtime_metadata"]["capabilities"]["session"], false);
        assert_eq!(
            seen.bearers[1].as_deref(),
            Some("issued-token"),
            "the issued token is used at once"
        );
    });
    assert_eq!(
        std::fs::read_to_string(agent.home.file("configs/.auth_token")).unwrap(),
        "issued-token"
    );
    assert!(
        std::fs::read_to_string(agent.home.file("work/AGENTS.md"))
            .unwrap()
            .starts_with("# E\n")
    );
    platform.secret("rotated");
    // RUN-20: a beat brings the new secret.
    let beats = platform.see(|seen| seen.beats.len());
    platform.until("more beats", |seen| seen.beats.len() > beats + 1).await;
    assert_eq!(
        std::fs::read_to_string(agent.home.file("configs/.platform_inbound_secret")).unwrap(),
        "rotated"
    );
    let (exit, _) = agent.stop().await;
    assert_eq!((exit.code, exit.reason.as_str()), (0, "asked to stop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_md_of_a_project_is_left_alone() {
    // RUN-12, PROV-60, D18
    let platform = FakePlatform::start().await;
    let boot = async |access: &str, before: Option<&str>| {
        let home = Home::new(&platform, "echo", "name: E").with("MOLECULE_WORKSPACE_ACCESS", access);
        let file = home.file("work/AGENTS.md");
        if let Some(text) = before {
            std::fs::write(&file, text).unwrap();
        }
        let (_, home) = home.start().await.stop().await;
        (std::fs::read_to_string(&file).ok(), home)
    };
    assert_eq!(boot("read_only", None).await.0, None);
    for access in ["read_only", "read_write"] {
        let kept = boot(access, Some("# House rules\n")).await.0;
        assert_eq!(kept.as_deref(), Some("# House rules\n"), "{access}");
    }
    let replaced = boot("none", Some("# Old\n")).await.0.unwrap();
    assert!(replaced.starts_with("# E\n"), "{replaced}");
    // What an agent wrote, the next one keeps up to date.
    let (written, home) = boot("read_write", None).await;
    assert!(written.unwrap().starts_with("# E\n"));
    std::fs::write(home.file("configs/config.yaml"), "name: F").unwrap();
    let (_, home) = home.start().await.stop().await;
    let text = std::fs::read_to_string(home.file("work/AGENTS.md")).unwrap();
    assert!(text.starts_with("# F\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_pushed_in_both_directions() {
    // RUN-22
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "").start().await;
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
    let mut params = common::message("m", "c", "sleep 600000");
    params["configuration"] = json!({"blocking": false});
    let task = agent.rpc("message/send", params).await["result"]["id"].clone();
    platform
        .until("a busy beat", |seen| {
            seen.beats
                .iter()
                .any(|beat| beat["active_tasks"] == 1 && beat["current_task"] == "sleep 600000")
        })
        .await;
    platform.see(|seen| seen.beats.clear());
    agent.rpc("tasks/cancel", json!({"id": task})).await;
    platform
        .until("an idle beat", |seen| {
            seen.beats
                .iter()
                .any(|beat| beat["active_tasks"] == 0 && beat["current_task"] == "")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_is_tried_until_it_works() {
    // RUN-14: the boot does not wait for it
    let platform = FakePlatform::start().await;
    platform.mood(Mood::Broken);
    let agent = Home::new(&platform, "echo", "name: E").start().await;
    platform.until("several tries", |seen| seen.registers.len() > 3).await;
    assert_eq!(agent.say("hi").await, "Echo from E: hi");
    platform.mood(Mood::Fine);
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_forgot_is_told_again() {
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "").start().await;
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
    let registers = platform.see(|seen| seen.registers.len());
    platform.mood(Mood::Forgetful);
    platform
        .until("another registration", |seen| seen.registers.len() > registers)
        .await;
    platform.mood(Mood::Fine);
    let beats = platform.see(|seen| seen.beats.len());
    platform.until("beats again", |seen| seen.beats.len() > beats + 2).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_was_away_is_beaten_for_again() {
    // RUN-19
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "name: E").start().await;
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
    platform.crash();
    assert_eq!(agent.say("alone").await, "Echo from E: alone");
    platform.see(|seen| seen.beats.clear());
    let registers = platform.see(|seen| seen.registers.len());
    platform.mood(Mood::Forgetful);
    platform.revive();
    platform
        .until("a registration", |seen| seen.registers.len() > registers)
        .await;
    platform.mood(Mood::Fine);
    platform.until("beats", |seen| seen.beats.len() > 2).await;
    assert_eq!(agent.stop().await.0.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disowned_end_and_say_why() {
    // EXT-18, EXT-19, D17
    for (mood, words) in [(Mood::Removed, "removed"), (Mood::Refusing, "three times")] {
        let platform = FakePlatform::start().await;
        let agent = Home::new(&platform, "echo", "").start().await;
        platform.until("a beat", |seen| !seen.beats.is_empty()).await;
        platform.mood(mood);
        let (exit, _) = agent.ended().await;
        assert_eq!(exit.code, 2);
        assert!(exit.reason.contains(words), "{}", exit.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_read_again() {
    // RUN-4
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "").start().await;
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
    std::fs::write(agent.home.file("configs/.auth_token"), "rotated-token\n").unwrap();
    platform.mood(Mood::Refusing);
    platform
        .until("the new token", |seen| {
            seen.bearers.iter().flatten().any(|bearer| bearer == "rotated-token")
        })
        .await;
    platform.mood(Mood::Fine);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_initial_prompt_comes_once() {
    // RUN-25, RUN-26, RUN-27
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "initial_prompt: introduce yourself")
        .start()
        .await;
    platform.until("the prompt", |seen| seen.a2a.len() == 1).await;
    platform.see(|seen| {
        let (target, body) = &seen.a2a[0];
        assert_eq!(*target, agent.home.id.to_string());
        assert!(
            body["params"]["message"]["messageId"]
                .as_str()
                .unwrap()
                .starts_with("initial-")
        );
        assert_eq!(body["params"]["message"]["parts"][0]["text"], "introduce yourself");
        let caller = seen.callers.iter().find(|caller| caller.route == "a2a").unwrap();
        assert_eq!(caller.bearer.as_deref(), Some("issued-token"));
        assert_eq!(
            caller.workspace.as_deref(),
            Some(target.as_str()),
            "else it would show as the user's"
        );
    });
    assert!(agent.home.file("configs/.initial_prompt_done").exists());
    let (_, home) = agent.stop().await;
    let beats = platform.see(|seen| seen.beats.len());
    let agent = home.start().await;
    platform
        .until("the second boot's beats", |seen| seen.beats.len() > beats + 2)
        .await;
    assert_eq!(platform.see(|seen| seen.a2a.len()), 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idle_prompt_comes_again_and_again() {
    // RUN-25, RUN-28
    let platform = FakePlatform::start().await;
    let yaml = "idle_prompt: anything to do?\nidle_interval_seconds: 0.02";
    let agent = Home::new(&platform, "echo", yaml).start().await;
    platform.until("two idle prompts", |seen| seen.a2a.len() >= 2).await;
    platform.see(|seen| {
        let message = |n: usize| &seen.a2a[n].1["params"]["message"];
        let id = |n: usize| message(n)["messageId"].as_str().unwrap();
        assert!(id(0).starts_with("idle-") && id(0) != id(1), "{} {}", id(0), id(1));
        assert_eq!(message(0)["parts"][0]["text"], "anything to do?");
        assert_eq!(seen.a2a[0].0, agent.home.id.to_string());
        let caller = seen.callers.iter().find(|caller| caller.route == "a2a").unwrap();
        assert_eq!(caller.workspace, Some(agent.home.id.to_string()));
    });
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_agent_gives_up_what_does_not_end_and_runs_it_again_when_resent() {
    // D14: the stop leaves the message unanswered, not answered wrongly
    let platform = FakePlatform::start().await;
    let agent = Home::new(
        &platform,
        "exec",
        "runtime_config: {command: sh, args: [-c, 'echo ran >> runs; test -e go || sleep 1000; echo done']}",
    )
    .start()
    .await;
    let runs = agent.home.file("work/runs");
    let hanging = {
        let (url, body) = (
            agent.url.clone(),
            json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": common::message("m", "c", "x")}),
        );
        tokio::spawn(async move {
            common::http()
                .post(url)
                .bearer_auth("inbound-secret")
                .json(&body)
                .send()
                .await
        })
    };
    let running = async {
        while !std::fs::read_to_string(&runs).is_ok_and(|text| text == "ran\n") {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, running).await.expect("the program runs");
    let (exit, home) = agent.stop().await;
    assert_eq!(exit.code, 0);
    if let Ok(answer) = hanging.await.unwrap() {
        assert_eq!(answer.status(), 503);
    }
    std::fs::write(home.file("work/go"), "").unwrap();
    let agent = home.start().await;
    assert_eq!(common::text_of(&agent.send("m", "c", "x").await), "done");
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "ran\nran\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_done_after_a_restart() {
    // D14
    let platform = FakePlatform::start().await;
    let agent = Home::new(
        &platform,
        "exec",
        "runtime_config: {command: sh, args: [-c, 'echo ran >> runs; test -e go || sleep 1000; cat']}",
    )
    .start()
    .await;
    let mut params = common::message("m", "c", "the task");
    params["configuration"] = json!({"blocking": false});
    let task = agent.rpc("message/send", params).await["result"]["id"].clone();
    let runs = agent.home.file("work/runs");
    while !runs.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let (_, home) = agent.stop().await;
    std::fs::write(home.file("work/go"), "").unwrap();
    let agent = home.start().await;
    let end = loop {
        let task = agent.rpc("tasks/get", json!({"id": task})).await["result"].clone();
        match task["status"]["state"].as_str() {
            Some("submitted" | "working") => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            _ => break task,
        }
    };
    assert_eq!(end["status"]["state"], "completed", "{end}");
    assert_eq!(end["artifacts"][0]["parts"][0]["text"], "the task");
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "ran\nran\n");
}
