//! What a restarted agent is told (LIFE-147, LIFE-149).

use std::{collections::BTreeSet, time::Duration};

use molecule_core::{Timestamp, WorkspaceId};
use tokio::sync::{MutexGuard, mpsc};

use super::Provisioner;

/// A restart as its agent is told of it, noted before the old instance was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The workspace.
    pub id: WorkspaceId,
    /// The incarnation that was begun.
    pub generation: i64,
    /// When.
    pub at: Timestamp,
    /// When the earlier instance was last heard of.
    pub heard_at: Option<Timestamp>,
    /// Names of the variables that it has now; never their values (LIFE-147).
    pub variables: BTreeSet<String>,
}

impl Provisioner {
    /// Notes what there is to tell. Nothing that goes wrong here holds a restart up.
    pub(super) async fn notice(&self, id: WorkspaceId, generation: i64) -> Option<Notice> {
        let noted = async {
            let row = self.inner.store.workspace(id).await.ok()??;
            // The global ones are among them.
            let listed = self.inner.secrets.list(id).await.ok()?;
            Some(Notice {
                id,
                generation,
                at: self.now(),
                heard_at: row.last_beat_at.max(self.inner.pulses.last_beat(id)),
                variables: listed.into_iter().map(|secret| secret.key).collect(),
            })
        };
        let notice = noted.await;
        if notice.is_none() {
            tracing::warn!(workspace = %id, "the agent will not be told that it was restarted");
        }
        notice
    }

    /// Has the agent told once it is online.
    pub(super) fn tell(&self, notice: Option<Notice>) {
        if let Some(notice) = notice
            && self.inner.restarted.send(notice).is_err()
        {
            tracing::debug!("nobody tells agents of restarts any more");
        }
    }

    /// Restarts that agents are to be told of.
    pub async fn notices(&self) -> MutexGuard<'_, mpsc::UnboundedReceiver<Notice>> {
        self.inner.notices.lock().await
    }
}

impl Notice {
    /// The text, in the lines that agents know (LIFE-149).
    #[must_use]
    pub fn text(&self) -> String {
        let before = match self.heard_at {
            Some(at) => format!(
                "Previous session ended: {} ({} ago)",
                second(at),
                ago(self.at.since(at))
            ),
            None => "Previous session ended: (no prior session on record)".to_owned(),
        };
        let variables = if self.variables.is_empty() {
            "(none)".to_owned()
        } else {
            self.variables.iter().cloned().collect::<Vec<_>>().join(", ")
        };
        format!(
            "=== WORKSPACE RESTART CONTEXT ===\nRestart at: {}\n{before}\nEnv vars now available: {variables}\n\
             === END RESTART CONTEXT ===",
            second(self.at)
        )
    }
}

fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().div_euclid(1_000_000) * 1_000_000)
}

/// `0s`, `45s`, `3m0s`, `2h14m`, `25h0m`.
fn ago(span: Duration) -> String {
    let secs = span.as_secs();
    match (secs / 3_600, secs / 60) {
        (0, 0) => format!("{secs}s"),
        (0, minutes) => format!("{minutes}m{}s", secs % 60),
        (hours, minutes) => format!("{hours}h{}m", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_read() {
        // LIFE-149
        for (secs, text) in [
            (0, "0s"),
            (45, "45s"),
            (60, "1m0s"),
            (180, "3m0s"),
            (8_040, "2h14m"),
            (90_000, "25h0m"),
        ] {
            assert_eq!(ago(Duration::from_secs(secs)), text);
        }
        let at = Timestamp::parse_rfc3339("2026-03-01T12:00:00.25Z").unwrap();
        let notice = Notice {
            id: WorkspaceId::random(),
            generation: 1,
            at,
            heard_at: Some(at.minus(Duration::from_secs(45))),
            variables: ["B".to_owned(), "A".to_owned()].into(),
        };
        assert_eq!(
            notice.text(),
            "=== WORKSPACE RESTART CONTEXT ===\nRestart at: 2026-03-01T12:00:00Z\nPrevious session ended: \
             2026-03-01T11:59:15Z (45s ago)\nEnv vars now available: A, B\n=== END RESTART CONTEXT ==="
        );
        let first = Notice {
            heard_at: None,
            variables: BTreeSet::new(),
            ..notice
        };
        let text = first.text();
        assert!(
            text.contains("\nPrevious session ended: (no prior session on record)\n"),
            "{text}"
        );
        assert!(text.contains("\nEnv vars now available: (none)\n"), "{text}");
        let clock_went_back = Notice {
            heard_at: Some(first.at.plus(Duration::from_secs(9))),
            ..first
        };
        assert!(clock_went_back.text().contains("(0s ago)"));
    }
}
