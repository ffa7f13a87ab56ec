//! Whether the database answers, asked at most once a second however many probes come.

use std::time::Duration;

use molecule_core::WorkspaceId;
use molecule_platform::Platform;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// Age at which an answer is asked for anew.
const FRESH: Duration = Duration::from_secs(1);
/// A database that takes longer answers nobody.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last answer.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    /// Does the database answer? Who asks while somebody else does waits for the same answer.
    pub(crate) async fn database(&self, platform: &Platform) -> bool {
        let mut last = self.0.lock().await;
        if let Some((_, answers)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
            return answers;
        }
        // A look-up of nobody: by the primary key, past every cache.
        let asked = timeout(PATIENCE, platform.workspaces.state(WorkspaceId::random())).await;
        let answers = asked.is_ok_and(|outcome| outcome.is_ok());
        *last = Some((Instant::now(), answers));
        answers
    }
}
