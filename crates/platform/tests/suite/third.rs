//! A backend that nobody has heard of, through every path: it needs a file of its own and to be handed in, and nothing else
//! (LIFE-44…48). Unlike the others it assigns no addresses, reports no ends and keeps no logs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use molecule_backends::{Backend, BackendError, Exit, Instance, Running, Started, StopAll, WorkspaceSpec};
use molecule_core::{Runtime, Word, limits};
use molecule_platform::registry::Watch;
use molecule_testkit::both_engines;
use molecule_wire::{
    orgs::ImportOrg,
    registry::{Register, raw},
    workspaces::RestartWorkspace,
};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use crate::common::*;

/// The latest start of each workspace, and whether it runs.
#[derive(Clone, Default)]
struct Plain(Arc<Mutex<BTreeMap<WorkspaceId, (WorkspaceSpec, bool)>>>);

impl Plain {
    fn spec(&self, id: WorkspaceId) -> WorkspaceSpec {
        self.0.lock()[&id].0.clone()
    }

    fn runs(&self, id: WorkspaceId) -> Option<i64> {
        let all = self.0.lock();
        all.get(&id).filter(|(_, runs)| *runs).map(|(spec, _)| spec.generation)
    }

    fn kill(&self, id: WorkspaceId) {
        if let Some((_, runs)) = self.0.lock().get_mut(&id) {
            *runs = false;
        }
    }
}

#[async_trait]
impl Backend for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn assigns_endpoint(&self) -> bool {
        false
    }

    fn start_deadline(&self) -> Duration {
        limits::PROVISION_DEADLINE
    }

    async fn start(&self, spec: &WorkspaceSpec) -> Result<Started, BackendError> {
        self.0.lock().insert(spec.id, (spec.clone(), true));
        Ok(Started {
            endpoint: None,
            instance_ref: Some(format!("plain-{}", spec.generation)),
        })
    }

    async fn stop(&self, id: WorkspaceId) -> Result<(), BackendError> {
        self.kill(id);
        Ok(())
    }

    async fn stop_all(&self) -> Result<StopAll, BackendError> {
        let stopped: Vec<_> = self.list().await?.into_iter().map(|instance| instance.id).collect();
        stopped.iter().for_each(|id| self.kill(*id));
        Ok(StopAll {
            stopped,
            failed: Vec::new(),
        })
    }

    async fn running(&self, id: WorkspaceId) -> Running {
        self.runs(id).map_or(Running::No, |_| Running::Yes)
    }

    async fn list(&self) -> Result<Vec<Instance>, BackendError> {
        let all = self.0.lock();
        let runs = all.values().filter(|(_, runs)| *runs);
        Ok(runs
            .map(|(spec, _)| Instance {
                id: spec.id,
                generation: spec.generation,
                endpoint: None,
            })
            .collect())
    }

    async fn adopt(&self, _: &Instance) -> Result<(), BackendError> {
        Ok(())
    }

    async fn has_config(&self, id: WorkspaceId) -> Result<bool, BackendError> {
        Ok(self.0.lock().contains_key(&id))
    }

    async fn remove_data(&self, id: WorkspaceId) -> Result<(), BackendError> {
        self.0.lock().remove(&id);
        Ok(())
    }

    fn exits(&self) -> Option<mpsc::UnboundedReceiver<Exit>> {
        None
    }
}

/// Waits for an instance of the row's own incarnation and registers it, at the agent's address.
async fn comes_online(harness: &Harness, backend: &Plain, id: WorkspaceId, agent: &Agent) {
    eventually("an instance", async || {
        let row = harness.row(id).await;
        row.status == WorkspaceStatus::Provisioning && backend.runs(id) == Some(row.generation)
    })
    .await;
    let spec = backend.spec(id);
    assert!(!spec.auth_token.expose_secret().is_empty(), "LIFE-52");
    let identity = harness.bearer(spec.auth_token.expose_secret()).await;
    let register = Register {
        id: id.to_string(),
        agent_card: raw(&json!({ "name": "agent" })),
        url: agent.reported_url(),
        delivery_mode: Word::default(),
    };
    harness.platform.registry.register(&identity, register).await.unwrap();
    assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
}

both_engines! {
    async fn every_path_leads_through_the_doors(url: String) {
        // LIFE-44, LIFE-45, LIFE-46, LIFE-47, LIFE-48, LIFE-52
        let backend = Plain::default();
        let agent = Agent::json("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}").await;
        let harness = Harness::over(&url, Options::default(), Some(Arc::new(backend.clone()))).await;
        let workspaces = &harness.platform.workspaces;
        let online = async |id| comes_online(&harness, &backend, id, &agent).await;

        // Create.
        let lead = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                runtime: Some(Runtime::Echo.into()),
                ..CreateWorkspace::default()
            })
            .await;
        online(lead).await;
        harness.ask(lead, "hello").await.unwrap();

        // Import.
        let import = ImportOrg {
            template: Some(raw(&json!({ "name": "Two", "workspaces": [{ "name": "A", "runtime": "echo" }] }))),
            ..ImportOrg::default()
        };
        let imported = harness.platform.orgs.import(import).await.unwrap();
        let imported = imported.workspaces[0].id;
        online(imported).await;

        // Restart, by a person and by itself.
        workspaces.restart(lead, RestartWorkspace::default()).await.unwrap();
        online(lead).await;
        harness
            .platform
            .settings
            .set_secret(lead, "KEY", "value")
            .await
            .unwrap();
        harness.platform.clock().advance(limits::RESTART_DEBOUNCE);
        online(lead).await;
        assert!(backend.spec(lead).env.contains_key("KEY"));

        // Pause and resume.
        workspaces.pause(lead).await.unwrap();
        assert_eq!(backend.runs(lead), None);
        workspaces.resume(lead).await.unwrap();
        online(lead).await;

        // Hibernate and wake.
        workspaces.hibernate(lead, false).await.unwrap();
        assert_eq!(backend.runs(lead), None);
        harness.ask(lead, "hello").await.unwrap_err();
        online(lead).await;

        // A dead agent, noticed by a message and by the sweep.
        agent.reply(Reply::Json(503, "{}".to_owned()));
        backend.kill(lead);
        harness.ask(lead, "hello").await.unwrap_err();
        agent.reply(Reply::Json(200, "{}".to_owned()));
        online(lead).await;
        backend.kill(lead);
        let mut watch = Watch::begin(harness.platform.clock());
        harness.platform.registry.sweep(&mut watch).await.unwrap();
        online(lead).await;

        // Collapse and delete.
        let child = harness
            .create(CreateWorkspace {
                name: "Writer".to_owned(),
                runtime: Some(Runtime::Echo.into()),
                parent_id: Some(lead.to_string()),
                ..CreateWorkspace::default()
            })
            .await;
        online(child).await;
        assert_eq!(workspaces.collapse(lead).await.unwrap().removed, ["Writer"]);
        assert_eq!(backend.runs(child), None);
        workspaces.restore(child, "").await.unwrap();
        online(child).await;
        workspaces.delete(lead, true, true).await.unwrap();
        assert!(backend.runs(lead).or(backend.runs(child)).is_none());
        assert!(!backend.0.lock().contains_key(&lead), "its data is gone");
    }

    async fn it_is_adopted_by_the_next_server(url: String) {
        // LIFE-47, D17
        let backend = Plain::default();
        let agent = Agent::json("{}").await;
        let handed = || Some(Arc::new(backend.clone()) as Arc<dyn Backend>);
        let first = Harness::over(&url, Options::default(), handed()).await;
        let id = first
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                runtime: Some(Runtime::Echo.into()),
                ..CreateWorkspace::default()
            })
            .await;
        comes_online(&first, &backend, id, &agent).await;
        first.stop().await;
        let second = Harness::over(&url, Options::default(), handed()).await;
        assert_eq!(second.status(id).await, WorkspaceStatus::Online);
        assert_eq!(backend.runs(id), Some(0));
        assert!(second.platform.workspaces.logs(id, 10).await.is_err(), "it keeps none");
    }
}
