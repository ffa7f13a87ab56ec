//! What the agent tells itself: once at its first boot, and when it has been idle (RUN-25…28). Both go through the
//! platform, so that they are logged and shown as what they are.

use std::{path::PathBuf, sync::Arc, time::Duration};

use molecule_core::WorkspaceId;
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use crate::{delegation, env::Settings, fsio, platform::Platform, pulse::Pulse};

/// Says that the initial prompt was sent (RUN-26).
pub const MARKER: &str = ".initial_prompt_done";
/// How long the initial prompt waits for the registration (RUN-27).
const REGISTRATION_WAIT: Duration = Duration::from_secs(30);
/// Tries of the initial prompt (RUN-27).
const TRIES: u32 = 5;
/// Longest turn of the initial prompt (RUN-27).
const INITIAL_TIMEOUT: Duration = Duration::from_secs(600);

/// Sends the initial prompt, unless an earlier boot did.
pub async fn initial(
    prompt: String,
    settings: Settings,
    platform: Arc<Platform>,
    mut registered: watch::Receiver<bool>,
) {
    if prompt.trim().is_empty() || markers(&settings).any(|marker| marker.exists()) {
        return;
    }
    // Before sending: a prompt that brings the agent down must not do so at every boot.
    if !markers(&settings).any(|marker| fsio::write_private(&marker, b"").is_ok()) {
        tracing::error!(
            "the marker of the initial prompt cannot be written; the prompt will be sent again at the next boot"
        );
    }
    let waited = tokio::time::timeout(REGISTRATION_WAIT, registered.wait_for(|registered| *registered)).await;
    if !matches!(waited, Ok(Ok(_))) {
        tracing::warn!("not registered yet; trying to send the initial prompt all the same");
    }
    drop(waited);
    let id = message_id("initial");
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(Duration::from_secs(1 << (attempt - 1))).await;
        }
        match send(&platform, &id, &prompt, INITIAL_TIMEOUT).await {
            Ok(status) => return tracing::info!(status, "initial prompt answered"),
            Err(error) => tracing::warn!(error, attempt, "initial prompt failed"),
        }
    }
    tracing::error!("the initial prompt could not be delivered");
}

/// Sends the idle prompt whenever nothing is running at the time (RUN-28).
pub async fn idle(prompt: String, interval: Duration, platform: Arc<Platform>, pulse: Pulse) {
    if prompt.trim().is_empty() || interval.is_zero() {
        return;
    }
    let timeout = interval.clamp(Duration::from_secs(60), Duration::from_secs(300));
    sleep(interval.min(Duration::from_secs(60))).await;
    loop {
        if pulse.active() == 0 {
            match send(&platform, &message_id("idle"), &prompt, timeout).await {
                Ok(status) => tracing::info!(status, "idle prompt answered"),
                Err(error) => tracing::warn!(error, "idle prompt failed"),
            }
        } else {
            tracing::debug!("busy; idle prompt skipped");
        }
        sleep(interval).await;
    }
}

fn markers(settings: &Settings) -> impl Iterator<Item = PathBuf> + '_ {
    [&settings.config_dir, &settings.work_dir]
        .into_iter()
        .map(|dir| dir.join(MARKER))
}

fn message_id(kind: &str) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("{kind}-{}", &random[..8])
}

/// HTTP status of the answer, or why there is none worth the name.
async fn send(platform: &Platform, id: &str, prompt: &str, timeout: Duration) -> Result<u16, String> {
    let me: WorkspaceId = platform.workspace();
    let body = delegation::request(id, prompt, None).map_err(|error| error.to_string())?;
    let reply = platform
        .send_a2a(me, &body, timeout)
        .await
        .map_err(|error| error.to_string())?;
    if reply.is_success() {
        Ok(reply.status)
    } else {
        Err(reply.to_error().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_form() {
        // RUN-27, RUN-28
        let id = message_id("idle");
        assert!(
            id.strip_prefix("idle-")
                .is_some_and(|hex| hex.len() == 8 && hex.chars().all(|c| c.is_ascii_hexdigit()))
        );
    }
}
