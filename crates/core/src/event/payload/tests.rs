use super::*;

const ID: &str = "00000000-0000-4000-8000-000000000000";

fn id() -> WorkspaceId {
    ID.parse().unwrap()
}

fn recorded() -> Vec<(Event, &'static str)> {
    let whole = Provisioning {
        name: "A".to_owned(),
        tier: 2,
        runtime: Runtime::Echo.into(),
        model: Some("m".to_owned()),
        template: Some("t".to_owned()),
        parent_id: Some(id()),
        x: Some(1.0),
        y: Some(-2.5),
    };
    let restart = Provisioning {
        name: "A".to_owned(),
        tier: 2,
        runtime: Word::from("of-old"),
        ..Provisioning::default()
    };
    let failed = |detail| {
        let error = "no".to_owned();
        Event::WorkspaceProvisionFailed(ProvisionFailed { error, detail })
    };
    let missing = vec!["A".to_owned()];
    let (wedged, e) = ("wedged".to_owned(), || "e".to_owned());
    let crash_loop = FailureDetail::CrashLoop {
        source: FailureSource::CrashLoop,
        ends: 5,
    };
    let timed_out = FailureDetail::TimedOut {
        timeout_secs: 120,
        runtime: Runtime::Echo.into(),
        source: FailureSource::ProvisionTimeoutSweep,
    };
    let bootstrap = FailureDetail::Bootstrap {
        log_tail: "l".to_owned(),
        source: FailureSource::BootstrapWatcher,
    };
    let registered = Online::Registered {
        url: "http://a".to_owned(),
        agent_card: serde_json::json!({ "b": 1, "a": 2 }),
    };
    let degraded = |runtime_state, sample_error| Degraded::Wedged {
        runtime_state,
        sample_error,
    };
    let erring = Degraded::Erring {
        error_rate: 0.5,
        sample_error: e(),
    };
    let from = WorkspaceStatus::AwaitingAgent;
    let cascade = Removed {
        cascade_deleted: Some(3),
    };
    vec![
        (
            Event::WorkspaceProvisioning(whole),
            r#"{"name":"A","tier":2,"runtime":"echo","model":"m","template":"t","parent_id":"00000000-0000-4000-8000-000000000000","x":1.0,"y":-2.5}"#,
        ),
        (
            Event::WorkspaceProvisioning(restart),
            r#"{"name":"A","tier":2,"runtime":"of-old"}"#,
        ),
        (
            Event::WorkspaceOnline(registered),
            r#"{"url":"http://a","agent_card":{"b":1,"a":2}}"#,
        ),
        (
            Event::WorkspaceOnline(Online::External(External::named("A"))),
            r#"{"name":"A","external":true}"#,
        ),
        (
            Event::WorkspaceOnline(Online::Awaited { recovered_from: from }),
            r#"{"recovered_from":"awaiting_agent"}"#,
        ),
        (Event::WorkspaceOnline(Online::Recovered(Nothing {})), "{}"),
        (
            Event::WorkspaceAwaitingAgent(External::named("A")),
            r#"{"name":"A","external":true}"#,
        ),
        (Event::WorkspaceOffline(Lost::default()), "{}"),
        (Event::WorkspaceOffline(Lost { reason: Some(e()) }), r#"{"reason":"e"}"#),
        (
            Event::WorkspaceDegraded(degraded(wedged, e())),
            r#"{"runtime_state":"wedged","sample_error":"e"}"#,
        ),
        (
            Event::WorkspaceDegraded(erring),
            r#"{"error_rate":0.5,"sample_error":"e"}"#,
        ),
        (Event::WorkspaceRemoved(Removed::default()), "{}"),
        (Event::WorkspaceRemoved(cascade), r#"{"cascade_deleted":3}"#),
        (failed(FailureDetail::None {}), r#"{"error":"no"}"#),
        (
            failed(FailureDetail::MissingEnv { missing }),
            r#"{"error":"no","missing":["A"]}"#,
        ),
        (failed(crash_loop), r#"{"error":"no","source":"crash_loop","ends":5}"#),
        (
            failed(timed_out),
            r#"{"error":"no","timeout_secs":120,"runtime":"echo","source":"provision_timeout_sweep"}"#,
        ),
        (
            failed(bootstrap),
            r#"{"error":"no","log_tail":"l","source":"bootstrap_watcher"}"#,
        ),
    ]
}

fn of_teams_and_agents() -> Vec<(Event, &'static str)> {
    let name = || "A".to_owned();
    let agent: AgentId = ID.parse().unwrap();
    let model = || "m".to_owned();
    let child = Child {
        id: id(),
        name: name(),
        role: None,
    };
    let assigned = Assigned {
        agent_id: agent,
        model: model(),
    };
    let replaced = Replaced {
        agent_id: agent,
        model: model(),
        old_model: "o".to_owned(),
    };
    let moved = |other_end| {
        Event::AgentMoved(MovedAgent {
            agent_id: agent,
            model: model(),
            other_end,
        })
    };
    let target = OtherEnd::Target {
        target_workspace_id: id(),
    };
    let source = OtherEnd::Source {
        source_workspace_id: id(),
    };
    let card = CardUpdated {
        agent_card: serde_json::json!({ "b": 1, "a": 2 }),
    };
    vec![
        (Event::WorkspacePaused(Paused { name: name() }), r#"{"name":"A"}"#),
        (
            Event::WorkspaceHibernated(Hibernated { name: name(), tier: 2 }),
            r#"{"name":"A","tier":2}"#,
        ),
        (
            Event::WorkspaceExpanded(Expanded { children: vec![child] }),
            r#"{"children":[{"id":"00000000-0000-4000-8000-000000000000","name":"A","role":null}]}"#,
        ),
        (
            Event::WorkspaceCollapsed(Collapsed {
                removed_children: vec![name()],
            }),
            r#"{"removed_children":["A"]}"#,
        ),
        (
            Event::AgentAssigned(assigned.clone()),
            r#"{"agent_id":"00000000-0000-4000-8000-000000000000","model":"m"}"#,
        ),
        (
            Event::AgentReplaced(replaced),
            r#"{"agent_id":"00000000-0000-4000-8000-000000000000","model":"m","old_model":"o"}"#,
        ),
        (
            Event::AgentRemoved(assigned),
            r#"{"agent_id":"00000000-0000-4000-8000-000000000000","model":"m"}"#,
        ),
        (
            moved(target),
            r#"{"agent_id":"00000000-0000-4000-8000-000000000000","model":"m","target_workspace_id":"00000000-0000-4000-8000-000000000000"}"#,
        ),
        (
            moved(source),
            r#"{"agent_id":"00000000-0000-4000-8000-000000000000","model":"m","source_workspace_id":"00000000-0000-4000-8000-000000000000"}"#,
        ),
        (Event::AgentCardUpdated(card), r#"{"agent_card":{"b":1,"a":2}}"#),
    ]
}

fn live() -> Vec<(Event, &'static str)> {
    let task = TaskUpdated {
        current_task: "t".to_owned(),
        active_tasks: 1,
    };
    let beat = Beat {
        active_tasks: 1,
        uptime_seconds: 2,
    };
    let logged = ActivityLogged {
        activity_type: ActivityType::A2aReceive,
        method: None,
        summary: Some("s".to_owned()),
        status: ActivityStatus::Ok.into(),
        source_id: None,
        target_id: Some(id()),
        duration_ms: None,
        tool_trace: None,
    };
    let answered = Answered {
        response_body: Some(RawValue::from_string("7".to_owned()).unwrap()),
        method: "m".to_owned(),
        duration_ms: Some(3),
    };
    let message = AgentMessage {
        message: "m".to_owned(),
        workspace_id: id(),
        name: "A".to_owned(),
        attachments: Vec::new(),
    };
    vec![
        (Event::TaskUpdated(task), r#"{"current_task":"t","active_tasks":1}"#),
        (
            Event::WorkspaceHeartbeat(beat),
            r#"{"active_tasks":1,"uptime_seconds":2}"#,
        ),
        (
            Event::ActivityLogged(logged),
            r#"{"activity_type":"a2a_receive","method":null,"summary":"s","status":"ok","source_id":null,"target_id":"00000000-0000-4000-8000-000000000000","duration_ms":null}"#,
        ),
        (
            Event::A2aResponse(answered),
            r#"{"response_body":7,"method":"m","duration_ms":3}"#,
        ),
        (
            Event::AgentMessage(message),
            r#"{"message":"m","workspace_id":"00000000-0000-4000-8000-000000000000","name":"A"}"#,
        ),
    ]
}

// ACT-83…106: names and order of members are part of the wire.
#[test]
fn payloads_say_what_the_catalogue_names() {
    let mut seen = Vec::new();
    for (events, is_recorded) in [(recorded(), true), (of_teams_and_agents(), true), (live(), false)] {
        for (event, text) in events {
            assert_eq!(serde_json::to_string(&event).unwrap(), text, "{event:?}");
            assert_eq!(event.kind().is_recorded(), is_recorded, "{event:?}");
            seen.push(event.kind());
        }
    }
    seen.dedup();
    assert_eq!(seen, EventType::ALL, "every event is tried, in the catalogue's order");
}
