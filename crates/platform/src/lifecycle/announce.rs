//! What is recorded of a transition, by the catalogue (ACT §2.4): derived here from trigger, row, new status and cause, so
//! that every path that makes the same transition announces it alike.

use molecule_core::{
    Trigger, WorkspaceStatus,
    event::{
        Degraded, Event, External, FailureDetail, FailureSource, Hibernated, Lost, Nothing, Online, Paused,
        ProvisionFailed, Provisioning, Removed,
    },
};
use molecule_store::{events::NewEvent, workspaces::Workspace};

use super::{Ask, Cause};

/// The events of `before` becoming `to`, in order.
pub(super) fn events(ask: &Ask, before: &Workspace, to: WorkspaceStatus) -> Vec<NewEvent> {
    let awaiting = || Event::WorkspaceAwaitingAgent(External::named(&before.name));
    let events = match to {
        WorkspaceStatus::Provisioning => vec![Event::WorkspaceProvisioning(again(before))],
        WorkspaceStatus::Online => vec![Event::WorkspaceOnline(online(ask, before))],
        WorkspaceStatus::Degraded => vec![Event::WorkspaceDegraded(degraded(ask))],
        WorkspaceStatus::Offline => vec![Event::WorkspaceOffline(lost(ask))],
        // The event that old canvases know comes first (OP-4).
        WorkspaceStatus::AwaitingAgent if ask.trigger == Trigger::ContactLost => {
            vec![Event::WorkspaceOffline(lost(ask)), awaiting()]
        }
        WorkspaceStatus::AwaitingAgent => vec![awaiting()],
        WorkspaceStatus::Failed => vec![Event::WorkspaceProvisionFailed(failed(ask))],
        WorkspaceStatus::Removed => vec![Event::WorkspaceRemoved(Removed::default())],
        WorkspaceStatus::Paused => {
            let name = before.name.clone();
            vec![Event::WorkspacePaused(Paused { name })]
        }
        WorkspaceStatus::Hibernated => {
            let (name, tier) = (before.name.clone(), before.tier);
            vec![Event::WorkspaceHibernated(Hibernated { name, tier })]
        }
        // The catalogue has no event for it; the one that follows tells.
        WorkspaceStatus::Hibernating => Vec::new(),
    };
    // Whoever has not heard of it, or has forgotten it, learns first that it is there (LIFE-199).
    let anew = (ask.trigger == Trigger::Restore).then(|| Event::WorkspaceProvisioning(again(before)));
    anew.into_iter()
        .chain(events)
        .map(|event| NewEvent::of(before.id, event))
        .collect()
}

/// A start of a workspace that everybody knows (ACT-83).
fn again(row: &Workspace) -> Provisioning {
    Provisioning {
        name: row.name.clone(),
        tier: row.tier,
        runtime: row.runtime.clone(),
        ..Provisioning::default()
    }
}

/// ACT-84.
fn online(ask: &Ask, before: &Workspace) -> Online {
    match &ask.cause {
        // An assigned address was stored after the caller had read the row: when the start settled.
        Cause::Registration(card) => Online::Registered {
            url: ask.change.url.as_ref().map_or(&before.url, |new| &new.url).clone(),
            agent_card: card.clone(),
        },
        _ => match before.status {
            from @ (WorkspaceStatus::Provisioning | WorkspaceStatus::AwaitingAgent) => {
                Online::Awaited { recovered_from: from }
            }
            _ => Online::Recovered(Nothing {}),
        },
    }
}

/// ACT-86.
fn lost(ask: &Ask) -> Lost {
    Lost {
        reason: match &ask.cause {
            Cause::Ended(reason) => Some(reason.clone()),
            _ => None,
        },
    }
}

/// ACT-87.
fn degraded(ask: &Ask) -> Degraded {
    let sample_error = match &ask.cause {
        Cause::Beat { sample_error } => sample_error.clone(),
        _ => String::new(),
    };
    if ask.facts.wedged {
        Degraded::Wedged {
            runtime_state: "wedged".to_owned(),
            sample_error,
        }
    } else {
        Degraded::Erring {
            error_rate: ask.facts.error_rate,
            sample_error,
        }
    }
}

/// ACT-90: always `error`, and whatever else the failure class adds.
fn failed(ask: &Ask) -> ProvisionFailed {
    let text = ask.change.sample_error.clone().unwrap_or_default();
    let (error, detail) = match &ask.cause {
        Cause::Failure(detail) => (text, detail.clone()),
        Cause::BootReport { error, log_tail } => {
            let detail = FailureDetail::Bootstrap {
                log_tail: log_tail.clone(),
                source: FailureSource::BootstrapWatcher,
            };
            (error.clone(), detail)
        }
        Cause::Plain | Cause::Registration(_) | Cause::Beat { .. } | Cause::Ended(_) => (text, FailureDetail::None {}),
    };
    ProvisionFailed { error, detail }
}
