//! The system prompt (RUN-29, RUN-30, RUN-48).

use std::{path::PathBuf, sync::Arc};

use molecule_core::WorkspaceId;
use molecule_wire::registry::Peer;

use crate::peers::{self, Directory};

/// Read after the configured files if present (RUN-29).
const MEMORY_FILES: [&str; 2] = ["MEMORY.md", "USER.md"];

/// For workspaces with children (RUN-48).
const COORDINATOR: &str = "## Platform Guidelines\n\n\
You coordinate a team. Do not do the team's work yourself:\n\
- Delegate each task to every member whose role fits, with all the context the member needs; members see nothing of this \
conversation.\n\
- Wait for the answers, check them against the request, and combine them into one answer of your own.\n\
- Never pass a raw error on. Say what could not be done and what it means for the request.\n\
- Answer in the language of whoever asked you.";

/// Always last (RUN-29).
const FAILURES: &str = "## When a delegation fails\n\n\
A result that starts with [A2A_ERROR] is a failed delegation, not the peer's answer.\n\
- If the peer is busy, restarting or unreachable, try once more, or choose another peer whose role fits.\n\
- If a task was queued, it will be done: do not send it again and do not do it yourself.\n\
- If nothing helps, do what you can yourself and say plainly what is missing and why.";

/// Puts the prompt together for each turn.
pub struct PromptBuilder {
    directory: Arc<Directory>,
    workspace: WorkspaceId,
    dir: PathBuf,
    files: Vec<String>,
}

impl PromptBuilder {
    /// A builder that reads `files` below `dir`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, workspace: WorkspaceId, dir: PathBuf, files: Vec<String>) -> Self {
        Self {
            directory,
            workspace,
            dir,
            files,
        }
    }

    /// The prompt as of now.
    pub async fn build(&self) -> String {
        let (instructions, peers) = tokio::join!(self.directory.instructions(), self.directory.peers());
        assemble(&instructions, &self.read_files().await, &peers, self.workspace)
    }

    /// Contents of the prompt files, in order; what is missing is warned about and left out (RUN-30).
    async fn read_files(&self) -> Vec<String> {
        let mut contents = Vec::new();
        let memory = MEMORY_FILES
            .iter()
            .filter(|name| !self.files.iter().any(|file| file == *name));
        let configured = self.files.iter().map(|file| (file.as_str(), true));
        for (file, expected) in configured.chain(memory.map(|name| (*name, false))) {
            match tokio::fs::read_to_string(self.dir.join(file)).await {
                Ok(text) => contents.push(text),
                Err(error) if !expected && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(file, %error, "prompt file cannot be read"),
            }
        }
        contents
    }
}

fn assemble(instructions: &str, files: &[String], peers: &[Peer], workspace: WorkspaceId) -> String {
    let mut sections = Vec::new();
    if !instructions.trim().is_empty() {
        sections.push(format!("# Platform Instructions\n\n{}", instructions.trim()));
    }
    sections.extend(files.iter().map(|text| text.trim().to_owned()));
    if peers.iter().any(|peer| peer.parent_id == Some(workspace)) {
        sections.push(COORDINATOR.to_owned());
    }
    sections.push(peer_section(peers, workspace));
    sections.push(FAILURES.to_owned());
    sections.retain(|section| !section.is_empty());
    sections.join("\n\n")
}

/// Those that have introduced themselves, with what they say of themselves (RUN-30).
fn peer_section(peers: &[Peer], workspace: WorkspaceId) -> String {
    let lines: Vec<_> = peers
        .iter()
        .filter_map(|peer| {
            let card = peers::card(peer)?;
            let kinship = if peer.parent_id == Some(workspace) {
                " [member of your team]"
            } else {
                ""
            };
            let about = card
                .get("description")
                .and_then(|text| text.as_str())
                .filter(|text| !text.trim().is_empty());
            let about = about.map(|text| format!(" — {}", text.trim())).unwrap_or_default();
            Some(format!("{}{kinship}{about}", peers::line(peer)))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "## Your Peers\n\nYou can delegate tasks to these agents:\n\n{}",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn peer(name: &str, card: &Value, parent: Option<WorkspaceId>) -> Peer {
        serde_json::from_value(json!({
            "id": WorkspaceId::random(), "name": name, "role": "researches", "tier": 1, "status": "online",
            "agent_card": card, "url": "", "parent_id": parent, "active_tasks": 0
        }))
        .unwrap()
    }

    #[test]
    fn order_of_sections() {
        // RUN-29, RUN-48
        let me = WorkspaceId::random();
        let child = peer("Researcher", &json!({"description": "finds things"}), Some(me));
        let prompt = assemble(
            "be kind",
            &["I am the lead.".into(), " ".into(), "memory".into()],
            std::slice::from_ref(&child),
            me,
        );
        let at = |text: &str| prompt.find(text).unwrap_or_else(|| panic!("{text} in {prompt}"));
        let order = [
            "# Platform Instructions",
            "be kind",
            "I am the lead.",
            "memory",
            "## Platform Guidelines",
            "## Your Peers",
            "## When a delegation fails",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{prompt}");
        assert!(prompt.contains(&format!(
            "- Researcher (id: {}, status: online): researches [member of your team] — finds things",
            child.id
        )));
        assert!(!prompt.contains("Parent Context") && !prompt.contains("\n\n\n"));
    }

    #[test]
    fn empty_sections_are_left_out() {
        // RUN-30
        let me = WorkspaceId::random();
        let prompt = assemble(
            "",
            &[],
            &[peer("A", &Value::Null, None), peer("B", &json!("nonsense"), None)],
            me,
        );
        assert_eq!(prompt, FAILURES);
        let prompt = assemble("", &[], &[peer("C", &json!("{\"name\":\"C\"}"), None)], me);
        assert!(prompt.starts_with("## Your Peers") && !prompt.contains("Guidelines"));
    }
}
