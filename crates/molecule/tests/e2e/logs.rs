//! What the log of a workspace tells whoever is sent there.

use molecule_client::{A2aOptions, Client};
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_wire::workspaces::CreateWorkspace;

use crate::server::{Site, eventually, message};

/// A workspace of this runtime, once it has this status.
async fn workspace(client: &Client, runtime: &str, status: WorkspaceStatus) -> WorkspaceId {
    let request = CreateWorkspace {
        name: format!("Logged {runtime}"),
        runtime: Some(runtime.into()),
        ..CreateWorkspace::default()
    };
    let id = client.create_workspace(&request).await.unwrap().id;
    eventually("the workspace settles", || async {
        let view = client
            .get_workspace(id, false)
            .await
            .map_err(|error| error.to_string())?;
        if view.status == status {
            Ok(())
        } else {
            Err(view.status.to_string())
        }
    })
    .await;
    id
}

/// Waits until the log of `id` holds `text`.
async fn logged(client: &Client, id: WorkspaceId, text: &str) -> String {
    eventually("the log says why", || async {
        let log = client
            .workspace_logs(id, None)
            .await
            .map_err(|error| error.to_string())?
            .output;
        if log.contains(text) { Ok(log) } else { Err(log) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_turn_is_explained_in_the_log_only() {
    // RUN-57
    let site = Site::new(None);
    let server = site.start("server");
    let client = server.client();
    let id = workspace(&client, "echo", WorkspaceStatus::Online).await;

    let failing = message("m-1", "fail the reservoir is empty");
    let reply = client.send_a2a(id, &failing, &A2aOptions::default()).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    // The task's history holds what was asked.
    let shown = answer["result"]["status"].to_string();
    assert!(shown.contains("see workspace logs for details"), "{shown}");
    assert!(!shown.contains("the reservoir is empty"), "{shown}");

    let log = logged(&client, id, "the reservoir is empty").await;
    assert!(!log.contains('\u{1b}'), "no colours in a file: {log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_is_explained_in_the_log() {
    // RUN-11, RUN-57
    let site = Site::new(None);
    let server = site.start("server");
    let client = server.client();
    let id = workspace(&client, "exec", WorkspaceStatus::Failed).await;
    logged(&client, id, "runtime exec needs runtime_config.command").await;
}
