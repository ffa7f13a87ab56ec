//! The one door through which a workspace comes into being, whoever asks for it: a creation, an import, an agent that
//! registers under an id nobody knows.

use futures_util::future::BoxFuture;
use std::path::PathBuf;

use molecule_core::{
    DeliveryMode, Runtime, WorkspaceId, WorkspaceStatus,
    event::{Event, External, Online, Provisioning},
    limits::DEFAULT_TIER,
    validate::WorkspaceAccess,
};
use molecule_store::{
    StoreError,
    events::NewEvent,
    secrets::{NewSecret, Sealed},
    tokens::NewToken,
    workspaces::{NewLayout, NewWorkspace},
};
use serde_json::Value;

use crate::{ground::Ground, provisioning::StartFiles};

/// What a workspace is, whoever runs it. What is left out has its default here and nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    pub(crate) id: WorkspaceId,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    /// `None` and 0 are [`DEFAULT_TIER`].
    pub(crate) tier: Option<i32>,
    pub(crate) parent: Option<WorkspaceId>,
    /// The one named at creation.
    pub(crate) template: Option<String>,
    /// Known at creation; kept as a secret, announced with the workspace (PROV-9a).
    pub(crate) model: Option<String>,
    /// As asked for.
    pub(crate) delivery_mode: Option<DeliveryMode>,
    pub(crate) workspace_dir: Option<PathBuf>,
    pub(crate) workspace_access: WorkspaceAccess,
    pub(crate) budget_limit: Option<i64>,
    /// Not positive is 1.
    pub(crate) max_concurrent_tasks: i32,
    /// On the canvas.
    pub(crate) layout: NewLayout,
    /// Inside the parent's box, where that is known (PROV-141).
    pub(crate) offset: Option<NewLayout>,
    pub(crate) secrets: Vec<NewSecret>,
}

/// How the agent of an external workspace is reached at the beginning.
#[derive(Debug)]
pub(crate) enum Contact {
    /// It has not been heard of; it may show this token when it comes (LIFE-13).
    Awaited(Option<NewToken>),
    /// At this address (LIFE-12).
    At(String),
    /// It has just registered itself (LIFE-11).
    Registered {
        /// Where it says it is; empty in poll mode.
        url: String,
        /// Its card as it is kept.
        card: String,
        /// Its card as it is announced.
        said: Value,
    },
}

/// A workspace that is about to be, with everything that is recorded beside it.
#[derive(Debug)]
pub(crate) struct Draft(NewWorkspace);

impl Outline {
    /// A root workspace of that name, everything else at its default.
    pub(crate) fn new(id: WorkspaceId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            role: None,
            tier: None,
            parent: None,
            template: None,
            model: None,
            delivery_mode: None,
            workspace_dir: None,
            workspace_access: WorkspaceAccess::None,
            budget_limit: None,
            max_concurrent_tasks: 1,
            layout: NewLayout::default(),
            offset: None,
            secrets: Vec::new(),
        }
    }

    /// The one in force.
    pub(crate) fn tier(&self) -> i32 {
        self.tier.filter(|tier| *tier != 0).unwrap_or(DEFAULT_TIER)
    }

    /// What every workspace is announced with, before anything else is said of it: clients show one they have not heard
    /// of only then (LIFE-10, PROV-140, ACT-83).
    fn announced(&self, runtime: Runtime) -> NewEvent {
        let said = Provisioning {
            name: self.name.clone(),
            tier: self.tier(),
            runtime: runtime.into(),
            model: self.model.clone(),
            template: self.template.clone(),
            parent_id: self.parent,
            x: self.offset.map(|offset| offset.x),
            y: self.offset.map(|offset| offset.y),
        };
        NewEvent::of(self.id, Event::WorkspaceProvisioning(said))
    }

    fn into_row(self, runtime: Runtime) -> NewWorkspace {
        NewWorkspace {
            events: vec![self.announced(runtime)],
            tier: self.tier(),
            id: self.id,
            name: self.name,
            role: self.role.filter(|role| !role.is_empty()),
            runtime,
            status: WorkspaceStatus::Provisioning,
            parent_id: self.parent,
            template: self.template,
            agent_card: None,
            url: String::new(),
            delivery_mode: self.delivery_mode,
            workspace_dir: self.workspace_dir.map(|dir| dir.to_string_lossy().into_owned()),
            workspace_access: self.workspace_access,
            budget_limit: self.budget_limit,
            max_concurrent_tasks: self.max_concurrent_tasks.max(1),
            start_files: None,
            inbound_secret: None,
            layout: self.layout,
            secrets: self.secrets,
            token: None,
        }
    }
}

impl Draft {
    /// One the platform runs: it begins as `provisioning`, with what its first start is made of (LIFE-10).
    pub(crate) fn managed(outline: Outline, runtime: Runtime, files: &StartFiles) -> Self {
        let mut row = outline.into_row(runtime);
        row.start_files = files.stored();
        // Its agent is told where to listen (LIFE-76).
        row.delivery_mode = row.delivery_mode.or(Some(DeliveryMode::Push));
        Self(row)
    }

    /// One somebody else runs. Where its agent is unknown, so is how messages reach it, until it says so: storing `push`
    /// would defeat the default of external agents (LIFE-76).
    pub(crate) fn external(outline: Outline, contact: Contact, inbound_secret: Option<Sealed>) -> Self {
        let mut row = outline.into_row(Runtime::External);
        row.inbound_secret = inbound_secret;
        let named = External::named(&row.name);
        let (status, event) = match contact {
            Contact::Awaited(token) => {
                row.token = token;
                (WorkspaceStatus::AwaitingAgent, Event::WorkspaceAwaitingAgent(named))
            }
            Contact::At(url) => {
                row.url = url;
                row.delivery_mode = row.delivery_mode.or(Some(DeliveryMode::Push));
                (WorkspaceStatus::Online, Event::WorkspaceOnline(Online::External(named)))
            }
            Contact::Registered { url, card, said } => {
                row.url.clone_from(&url);
                row.agent_card = Some(card);
                let agent_card = said;
                let online = Online::Registered { url, agent_card };
                (WorkspaceStatus::Online, Event::WorkspaceOnline(online))
            }
        };
        row.status = status;
        row.events.push(NewEvent::of(row.id, event));
        Self(row)
    }

    /// The status it begins with.
    pub(crate) fn status(&self) -> WorkspaceStatus {
        self.0.status
    }

    /// Stores row, secrets, token and events in one transaction and returns once they were published.
    ///
    /// # Errors
    /// [`StoreError::UnknownParent`], or the insert failed. Nothing was stored.
    pub(crate) fn insert(self, ground: &Ground) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.insert_inner(ground))
    }

    async fn insert_inner(self, ground: &Ground) -> Result<(), StoreError> {
        let seq = ground.store.create_workspace(self.0).await?;
        ground.events.passed(seq).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use molecule_core::EventType;
    use serde_json::json;

    use super::*;

    fn outline() -> Outline {
        Outline::new(WorkspaceId::random(), "A")
    }

    fn names(draft: &Draft) -> Vec<EventType> {
        draft.0.events.iter().map(|event| event.event.kind()).collect()
    }

    #[test]
    fn every_workspace_is_announced_before_anything_is_said_of_it() {
        // LIFE-10…13, PROV-140, PROV-149
        let managed = Draft::managed(outline(), Runtime::Echo, &StartFiles::Generated);
        assert_eq!(managed.status(), WorkspaceStatus::Provisioning);
        assert_eq!(names(&managed), [EventType::WorkspaceProvisioning]);
        let registered = Contact::Registered {
            url: String::new(),
            card: "{}".to_owned(),
            said: json!({}),
        };
        for (contact, status, event) in [
            (
                Contact::Awaited(None),
                WorkspaceStatus::AwaitingAgent,
                EventType::WorkspaceAwaitingAgent,
            ),
            (
                Contact::At("http://a".to_owned()),
                WorkspaceStatus::Online,
                EventType::WorkspaceOnline,
            ),
            (registered, WorkspaceStatus::Online, EventType::WorkspaceOnline),
        ] {
            let external = Draft::external(outline(), contact, None);
            assert_eq!(external.status(), status);
            assert_eq!(names(&external), [EventType::WorkspaceProvisioning, event]);
            assert_eq!(
                serde_json::to_value(&external.0.events[0].event).unwrap(),
                json!({ "name": "A", "tier": DEFAULT_TIER, "runtime": "external" })
            );
        }
    }

    #[test]
    fn what_is_left_out_has_one_default() {
        // D20, LIFE-76
        for tier in [None, Some(0)] {
            let outline = Outline {
                tier,
                max_concurrent_tasks: -1,
                ..outline()
            };
            let Draft(row) = Draft::managed(outline, Runtime::Echo, &StartFiles::Generated);
            assert_eq!((row.tier, row.max_concurrent_tasks), (DEFAULT_TIER, 1));
            assert_eq!(row.delivery_mode, Some(DeliveryMode::Push));
        }
        let poll = || Outline {
            delivery_mode: Some(DeliveryMode::Poll),
            ..outline()
        };
        let mode = |outline, contact| Draft::external(outline, contact, None).0.delivery_mode;
        assert_eq!(mode(outline(), Contact::Awaited(None)), None);
        assert_eq!(
            mode(outline(), Contact::At("http://a".to_owned())),
            Some(DeliveryMode::Push)
        );
        assert_eq!(
            mode(poll(), Contact::At("http://a".to_owned())),
            Some(DeliveryMode::Poll)
        );
    }
}
