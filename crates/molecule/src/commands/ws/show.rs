//! `molecule ws show`: everything about one workspace.

use anyhow::Result;
use molecule_client::Client;
use molecule_core::{DeliveryMode, EventType, Timestamp, WorkspaceId};
use molecule_wire::{
    events::EventRow,
    workspaces::{WorkspaceListItem, WorkspaceView},
};
use serde_json::Value;

use super::{in_words, is_broken, status_cell};
use crate::{
    output::{Cell, Output, time},
    resolve,
};

/// An end of an agent that nobody asked for, or a start that failed.
#[derive(Debug, PartialEq, Eq)]
struct LastExit {
    at: Timestamp,
    reason: String,
}

pub(super) async fn run(name: &str, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, name).await?;
    let view = client.get_workspace(id, false).await?;
    // One workspace alone is answered without what is private of it (SEC-88). Whoever may not list them all does without.
    let items = client.list_workspaces().await.unwrap_or_default();
    let item = items.iter().find(|item| item.workspace.id == id);
    if out.is_json() {
        return Ok(out.json(&whole(&view, item)?)?);
    }
    if out.is_names() {
        return Ok(out.line(&view.name)?);
    }
    let exit = match item {
        Some(_) => last_exit(&client.list_events(Some(id)).await.unwrap_or_default()),
        None => None,
    };
    let pairs = pairs(&view, item, &items, exit.as_ref(), out);
    Ok(out.pairs(&pairs)?)
}

/// All that the list has of it, and what only the single answer has.
fn whole(view: &WorkspaceView, item: Option<&WorkspaceListItem>) -> Result<Value> {
    let mut whole = serde_json::to_value(item)?;
    match (whole.as_object_mut(), serde_json::to_value(view)?) {
        (Some(members), Value::Object(single)) => {
            for (name, value) in single {
                members.entry(name).or_insert(value);
            }
            Ok(whole)
        }
        (_, single) => Ok(single),
    }
}

/// The newest of the recorded events that tells of an end.
fn last_exit(events: &[EventRow]) -> Option<LastExit> {
    events.iter().find_map(|event| {
        let member = match event.event_type.known()? {
            EventType::WorkspaceOffline => "reason",
            EventType::WorkspaceProvisionFailed => "error",
            _ => return None,
        };
        let reason = event.payload.get(member)?.as_str()?;
        Some(LastExit {
            at: event.created_at,
            reason: in_words(reason),
        })
    })
}

fn pairs(
    view: &WorkspaceView,
    item: Option<&WorkspaceListItem>,
    items: &[WorkspaceListItem],
    exit: Option<&LastExit>,
    out: &Output,
) -> Vec<(&'static str, Cell)> {
    let text = |text: &Option<String>| Cell::from(text.clone().unwrap_or_default());
    let of_item = |part: &dyn Fn(&WorkspaceListItem) -> String| Cell::from(item.map(part).unwrap_or_default());
    let parent = |id: WorkspaceId| {
        let parent = items.iter().find(|item| item.workspace.id == id);
        parent.map_or_else(|| id.to_string(), |parent| parent.workspace.name.clone())
    };
    // Of the single answer's status: the list is a moment older.
    let error = in_words(item.map_or("", |item| item.last_sample_error.as_str()));
    let (reason, last_error) = match is_broken(view.status) {
        true => (error, String::new()),
        false => (String::new(), error),
    };
    let exit = exit.map_or_else(String::new, |exit| format!("{}: {}", out.when(exit.at), exit.reason));
    vec![
        ("name", view.name.clone().into()),
        ("id", view.id.to_string().into()),
        ("role", text(&view.role)),
        ("status", status_cell(view.status)),
        ("reason", reason.into()),
        ("last error", last_error.into()),
        ("doing", of_item(&|item| item.current_task.clone())),
        ("runtime", view.runtime.to_string().into()),
        ("tier", view.tier.to_string().into()),
        ("parent", view.parent_id.map(parent).unwrap_or_default().into()),
        (
            "tasks",
            format!("{} of {}", view.active_tasks, view.max_concurrent_tasks).into(),
        ),
        ("uptime", time::span(view.uptime_seconds.unsigned_abs()).into()),
        ("restarts", of_item(&|item| item.restarts.to_string())),
        ("last exit", exit.into()),
        ("error rate", format!("{:.0} %", view.last_error_rate * 100.0).into()),
        ("delivery", view.delivery_mode.map_or("", DeliveryMode::as_str).into()),
        (
            "directory",
            of_item(&|item| item.workspace_dir.clone().unwrap_or_default()),
        ),
        ("budget", of_item(&budget)),
        ("url", view.url.clone().into()),
    ]
}

/// An amount that is not below zero.
pub(super) fn dollars(cents: i64) -> String {
    format!("{}.{:02} USD", cents / 100, cents.rem_euclid(100))
}

fn budget(item: &WorkspaceListItem) -> String {
    item.budget_limit.map_or_else(String::new, |limit| {
        format!("{} of {} a month", dollars(item.monthly_spend), dollars(limit))
    })
}

#[cfg(test)]
mod tests {
    use molecule_core::WorkspaceStatus;
    use serde_json::json;

    use super::*;
    use crate::commands::ws::tests::item;

    #[test]
    fn show_prints_pairs() {
        let (mut out, captured) = Output::captured(false);
        let parent = item("Boss", None);
        let mut item = item("Lead", Some(parent.workspace.id));
        item.workspace.status = WorkspaceStatus::Failed;
        item.last_sample_error = "no key".into();
        item.restarts = 3;
        item.budget_limit = Some(1_005);
        let exit = LastExit {
            at: Timestamp::from_micros(1_000_000),
            reason: "killed by signal 9".into(),
        };
        let items = [parent, item.clone()];
        let pairs = pairs(&item.workspace, Some(&item), &items, Some(&exit), &out);
        out.pairs(&pairs).unwrap();
        let expected = format!(
            "name        Lead\nid          {}\nstatus      failed\nreason      no key\nruntime     echo\ntier        3\n\
             parent      Boss\ntasks       1 of 2\nuptime      1 min\nrestarts    3\n\
             last exit   1970-01-01T00:00:01Z: killed by signal 9\nerror rate  25 %\n\
             budget      0.00 USD of 10.05 USD a month\n",
            item.workspace.id
        );
        assert_eq!(captured.result(), expected);
    }

    #[test]
    fn json_has_all_that_the_list_has() {
        // SEC-88 leaves it out of the single answer.
        let item = item("Lead", None);
        let mut view = item.workspace.clone();
        view.last_outbound_at = Some(None);
        let shown = whole(&view, Some(&item)).unwrap();
        let listed = serde_json::to_value(&item).unwrap();
        for (name, value) in listed.as_object().unwrap() {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
        assert_eq!(shown.get("last_outbound_at"), Some(&Value::Null));
        assert_eq!(whole(&view, None).unwrap(), serde_json::to_value(&view).unwrap());
    }

    #[test]
    fn the_last_exit_is_the_newest_that_tells_why() {
        let event = |kind: &str, payload: Value| -> EventRow {
            serde_json::from_value(json!({
                "id": "0198f1c2-0000-7000-8000-000000000000", "event_type": kind,
                "workspace_id": null, "payload": payload, "created_at": "1970-01-01T00:00:01Z",
            }))
            .unwrap()
        };
        let events = [
            event("WORKSPACE_ONLINE", json!({})),
            event("WORKSPACE_OFFLINE", json!({})),
            event("WORKSPACE_OFFLINE", json!({"reason": "killed by signal 9"})),
            event("WORKSPACE_PROVISION_FAILED", json!({"error": "no key"})),
        ];
        assert_eq!(last_exit(&events).unwrap().reason, "killed by signal 9");
        assert_eq!(last_exit(&events[3..]).unwrap().reason, "no key");
        assert_eq!(last_exit(&events[..2]), None);
    }
}
