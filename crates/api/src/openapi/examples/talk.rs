//! Messages, activity, events and the registry.

use molecule_core::{DeliveryMode, WorkspaceStatus};
use molecule_wire::{
    StatusBody,
    a2a::{A2aMessage, A2aParams, A2aPart, A2aReply, A2aRequest},
    activity::{ActivityRow, Attachment, Notify, ReportActivity},
    events::{EventEnvelope, EventRow},
    registry::{
        AccessAnswer, CheckAccess, Discovered, Heartbeat, HeartbeatOk, Peer, Register, Registered, UpdateCard, raw,
    },
};
use serde_json::{Value, json};

use super::{EVENT, Example, LEAD, NOW, ROW, SCOUT};

pub(super) fn examples() -> Vec<Example> {
    [messages(), events(), registry()].into_iter().flatten().collect()
}

fn message(role: &str, text: &str, id: &str) -> A2aMessage {
    A2aMessage {
        role: Some(role.to_owned()),
        message_id: Some(id.to_owned()),
        kind: Some("message".to_owned()),
        parts: Some(vec![A2aPart {
            kind: Some("text".to_owned()),
            text: Some(text.to_owned()),
            ..A2aPart::default()
        }]),
        ..A2aMessage::default()
    }
}

fn request() -> A2aRequest {
    A2aRequest {
        jsonrpc: Some("2.0".to_owned()),
        id: Some(json!(1)),
        method: "message/send".to_owned(),
        params: Some(A2aParams {
            message: Some(message("user", "What is new in the archive?", "m-1")),
            ..A2aParams::default()
        }),
    }
}

fn answer() -> A2aReply {
    A2aReply {
        jsonrpc: "2.0".to_owned(),
        id: json!(1),
        result: serde_json::to_value(message("agent", "Three papers since Monday.", "m-2")).ok(),
        error: None,
    }
}

fn messages() -> Vec<Example> {
    let frame = format!("data: {}\n\n", super::json(answer()));
    let row = ActivityRow {
        id: ROW,
        workspace_id: LEAD,
        activity_type: "a2a_receive".into(),
        source_id: Some(SCOUT),
        target_id: Some(LEAD),
        method: Some("message/send".to_owned()),
        summary: Some("message/send → Research lead".to_owned()),
        duration_ms: Some(1_840),
        status: "ok".into(),
        error_detail: None,
        created_at: NOW,
        request_body: Some(raw(&super::json(request()))),
        response_body: Some(raw(&super::json(answer()))),
        tool_trace: None,
    };
    let report = ReportActivity {
        activity_type: "task_update".into(),
        summary: Some("Read three papers".to_owned()),
        duration_ms: Some(52_000),
        ..ReportActivity::default()
    };
    let notify = Notify {
        message: "The report is ready.".to_owned(),
        attachments: vec![Attachment {
            uri: "workspace:report.md".to_owned(),
            name: "report.md".to_owned(),
            mime_type: Some("text/markdown".to_owned()),
            size: Some(4_096),
        }],
    };
    vec![
        Example::of("send_message")
            .asks(request())
            .gives("200", answer())
            .gives_as("200", "text/event-stream", frame),
        Example::of("list_activity").gives("200", [row]),
        Example::of("report_activity")
            .asks(report)
            .gives("200", status("logged")),
        Example::of("notify_user").asks(notify).gives("200", status("sent")),
    ]
}

fn status(word: &str) -> StatusBody {
    StatusBody {
        status: word.to_owned(),
    }
}

fn events() -> Vec<Example> {
    let row = EventRow {
        id: EVENT,
        event_type: "WORKSPACE_ONLINE".into(),
        workspace_id: Some(LEAD),
        payload: json!({ "url": "http://127.0.0.1:41287" }),
        created_at: NOW,
    };
    let frame = EventEnvelope {
        event: "TASK_UPDATED".into(),
        workspace_id: LEAD.to_string(),
        timestamp: NOW,
        payload: json!({ "current_task": "Summing up the answers", "active_tasks": 1 }),
    };
    vec![
        Example::of("list_events").gives("200", [&row]),
        Example::of("list_workspace_events").gives("200", [&row]),
        Example::of("event_socket").gives("101", frame),
    ]
}

fn card() -> Value {
    json!({
        "name": "Research lead", "description": "Finds out what others ask for", "version": "0.1.0",
        "url": "http://10.0.0.7:9000/", "protocolVersion": "0.3.0", "capabilities": { "streaming": true },
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"], "skills": [],
    })
}

fn registry() -> Vec<Example> {
    let register = Register {
        id: LEAD.to_string(),
        agent_card: raw(&card()),
        url: "http://10.0.0.7:9000/".to_owned(),
        delivery_mode: "push".into(),
    };
    let registered = Registered {
        status: "registered".to_owned(),
        delivery_mode: DeliveryMode::Push,
        auth_token: None,
        platform_inbound_secret: Some("what the platform shows to the agent".to_owned()),
    };
    let beat = Heartbeat {
        workspace_id: LEAD.to_string(),
        current_task: "Summing up the answers".to_owned(),
        active_tasks: 1,
        uptime_seconds: 3_600,
        ..Heartbeat::default()
    };
    let beaten = HeartbeatOk {
        status: "ok".to_owned(),
        platform_inbound_secret: Some("what the platform shows to the agent".to_owned()),
    };
    let card_change = UpdateCard {
        workspace_id: LEAD.to_string(),
        agent_card: raw(&card()),
    };
    let question = CheckAccess {
        caller_id: SCOUT.to_string(),
        target_id: LEAD.to_string(),
    };
    vec![
        Example::of("register").asks(register).gives("200", registered),
        Example::of("heartbeat").asks(beat).gives("200", beaten),
        Example::of("update_card")
            .asks(card_change)
            .gives("200", status("updated")),
        Example::of("check_access")
            .asks(question)
            .gives("200", AccessAnswer { allowed: true }),
        Example::of("discover").gives(
            "200",
            Discovered {
                id: LEAD,
                url: format!("http://127.0.0.1:8080/workspaces/{LEAD}/a2a"),
                name: "Research lead".to_owned(),
            },
        ),
        Example::of("peers").gives("200", [peer()]),
    ]
}

fn peer() -> Peer {
    Peer {
        id: LEAD,
        name: "Research lead".to_owned(),
        role: Some("Finds out what others ask for, and delegates".to_owned()),
        tier: 2,
        status: WorkspaceStatus::Online,
        agent_card: Some(card()),
        url: format!("http://127.0.0.1:8080/workspaces/{LEAD}/a2a"),
        parent_id: None,
        active_tasks: 0,
    }
}
