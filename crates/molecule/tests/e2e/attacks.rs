//! Agents that mean harm, against the real program run by an ordinary user: each test performs the attack (D18, D32).
//!
//! The agent runs what it is sent as a shell script, with the rights that its sandbox leaves it.

mod files;
mod limits;
mod sabotage;
mod sockets;
mod terminals;

use std::{fs, path::Path};

use molecule_client::Client;
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_wire::workspaces::CreateWorkspace;

use crate::{
    server::{Server, Site, eventually},
    starter::ask,
};

/// Both modes in which an agent is confined.
const MODES: [&str; 2] = ["required", "best-effort"];

/// Where the data directory of an attacked server lies.
fn usual_place() -> std::path::PathBuf {
    std::env::temp_dir()
}

/// A site whose servers offer the attacker's template.
fn site(parent: &Path, mode: &str) -> Site {
    offering(Site::of_ordinary_user(parent), mode)
}

fn offering(mut site: Site, mode: &str) -> Site {
    let template = site.data.path().join("own-templates/attacker");
    fs::create_dir_all(&template).unwrap();
    // What is said on standard error belongs to the answer, and a failed command is not a failed turn.
    let config = "name: Attacker\nruntime: exec\nruntime_config: {command: sh, args: ['-c', 'sh 2>&1; true']}\n";
    fs::write(template.join("config.yaml"), config).unwrap();
    let templates = site.data.path().join("own-templates").display().to_string();
    site.set("CONFIGS_DIR", &templates);
    site.set("MOLECULE_SANDBOX", mode);
    site
}

/// An agent of a running server, under the attacker's command.
struct Attacker {
    server: Server,
    client: Client,
    id: WorkspaceId,
}

impl Attacker {
    /// `None` if this kernel has no sandbox and the mode demands one, which the server then says.
    async fn take_over(server: Server) -> Option<Self> {
        let client = server.client();
        let workspace = CreateWorkspace {
            name: "Attacker".to_owned(),
            template: Some("attacker".to_owned()),
            runtime: Some("exec".into()),
            tier: Some(2),
            ..CreateWorkspace::default()
        };
        let id = client.create_workspace(&workspace).await.unwrap().id;
        let up = eventually("the agent starts or is refused", || async {
            let all = client.list_workspaces().await.map_err(|error| error.to_string())?;
            let item = all.into_iter().find(|item| item.workspace.id == id).unwrap();
            match item.workspace.status {
                WorkspaceStatus::Online => Ok(true),
                WorkspaceStatus::Failed if item.last_sample_error.contains("required, but") => Ok(false),
                status => Err(format!("{status}: {}", item.last_sample_error)),
            }
        })
        .await;
        up.then_some(Self { server, client, id })
    }

    /// Runs a script; what it printed.
    async fn runs(&self, script: &str) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        ask(&self.client, self.id, &id, script).await
    }
}

/// A program of Perl, which every Debian has, as a shell command.
fn perl(program: &str) -> String {
    assert!(!program.contains('\''), "it stands between single quotes");
    format!("perl -e '{program}'")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
