//! Reports of boots that failed, from whoever watches instances from outside (LIFE-33, LIFE-172, LIFE-173).

use molecule_core::{Trigger, WorkspaceId, limits::BOOTSTRAP_LOG_BYTES, redact::redact, text::cut_bytes};
use molecule_store::{
    StoreError,
    workspaces::{Change, NewUrl},
};

use super::Provisioner;
use crate::lifecycle::{Ask, Cause};

/// What is told of a boot of which nothing is known.
const UNKNOWN: &str = "the instance failed to boot; no reason was reported";
/// Stands for what was cut off.
const TRUNCATED: &str = "...(truncated)...";

impl Provisioner {
    /// Marks a start as failed whose instance did not boot, and stops what is left of it. `false`: no start is under way,
    /// and nothing changed.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn bootstrap_failed(&self, id: WorkspaceId, error: &str, log_tail: &str) -> Result<bool, StoreError> {
        let error = match error.trim() {
            "" => UNKNOWN.to_owned(),
            text => redact(cut_bytes(text, BOOTSTRAP_LOG_BYTES)).0.into_owned(),
        };
        let tail = tail(&redact(log_tail).0);
        let shown = cut_bytes(&format!("{error}\n\n{tail}"), BOOTSTRAP_LOG_BYTES)
            .trim_end()
            .to_owned();
        let change = Change {
            sample_error: Some(shown),
            url: Some(NewUrl::none()),
            ..Change::default()
        };
        let cause = Cause::BootReport { error, log_tail: tail };
        let ask = Ask::from(Trigger::StartFailed).change(change).cause(cause);
        let Some(applied) = self.inner.lifecycle.apply(id, ask).await? else {
            return Ok(false);
        };
        let (this, generation) = (self.clone(), applied.moved.generation);
        self.inner.supervisor.spawn("bootstrap-failed", async move {
            this.stop_failed(id, generation).await;
        });
        Ok(true)
    }
}

/// The last [`BOOTSTRAP_LOG_BYTES`] of a log, marked if there was more.
fn tail(log: &str) -> String {
    if log.len() <= BOOTSTRAP_LOG_BYTES {
        return log.to_owned();
    }
    let mut begin = log.len() - BOOTSTRAP_LOG_BYTES;
    while !log.is_char_boundary(begin) {
        begin += 1;
    }
    format!("{TRUNCATED}{}", &log[begin..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_end() {
        // LIFE-173
        assert_eq!(tail("short"), "short");
        let exact = "x".repeat(BOOTSTRAP_LOG_BYTES);
        assert_eq!(tail(&exact), exact);
        let long = format!("begin{}end", "é".repeat(BOOTSTRAP_LOG_BYTES));
        let kept = tail(&long);
        assert!(kept.starts_with(TRUNCATED) && kept.ends_with("end"));
        assert!(kept.len() <= TRUNCATED.len() + BOOTSTRAP_LOG_BYTES);
    }
}
