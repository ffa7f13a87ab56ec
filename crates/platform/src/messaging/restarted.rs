//! Tells agents that they were restarted (LIFE-147…150).

use bytes::Bytes;
use molecule_core::{WorkspaceStatus, limits};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Caller, Envelope, Messenger, Payload};
use crate::{provisioning::Notice, supervise::Beat};

impl Messenger {
    /// Tells agents of their restarts until stopped, each in a task of its own.
    pub async fn tell_restarted(&self, stop: CancellationToken, beat: Beat) {
        let mut notices = self.inner.provisioner.notices().await;
        loop {
            beat.tick();
            let notice = tokio::select! {
                () = stop.cancelled() => return,
                notice = notices.recv() => notice,
            };
            let Some(notice) = notice else { return };
            let (this, stopping) = (self.clone(), stop.clone());
            self.inner.supervisor.spawn("restart-context", async move {
                let telling = this
                    .inner
                    .clock()
                    .within(limits::RESTART_CONTEXT_DEADLINE, this.tell(&notice));
                tokio::select! {
                    told = telling => if told.is_none() {
                        tracing::warn!(workspace = %notice.id, "the agent was not told of its restart in time");
                    },
                    () = stopping.cancelled() => {}
                }
            });
        }
    }

    async fn tell(&self, notice: &Notice) {
        if !self.came_online(notice).await {
            tracing::info!(workspace = %notice.id, "the agent is not told of its restart: it did not come online");
            return;
        }
        let payload = Payload {
            body: message(notice),
            version: None,
        };
        let envelope = Envelope {
            ceiling: Some(limits::RESTART_CONTEXT_DEADLINE),
            record: false,
            ..Envelope::new(notice.id, Caller::System, payload)
        };
        match self.send(envelope).await {
            Ok(_) => tracing::debug!(workspace = %notice.id, "the agent was told of its restart"),
            Err(error) => tracing::info!(workspace = %notice.id, %error, "the agent was not told of its restart"),
        }
    }

    /// Did that incarnation come online within its time (LIFE-148)? One that polls is asked nothing: what waits for it
    /// would be recorded as if somebody had written it.
    async fn came_online(&self, notice: &Notice) -> bool {
        let clock = self.inner.clock();
        let until = clock.instant() + limits::RESTART_CONTEXT_WAIT;
        while clock.instant() < until {
            match self.inner.directory.route(notice.id).await {
                Ok(Some(route)) if route.generation != notice.generation => return false,
                Ok(Some(route)) if route.status == WorkspaceStatus::Online => return !route.polls(),
                Ok(None) => return false,
                Ok(Some(_)) | Err(_) => clock.sleep(limits::RESTART_CONTEXT_POLL).await,
            }
        }
        false
    }
}

/// One text part, marked as the platform's own (LIFE-150).
fn message(notice: &Notice) -> Bytes {
    let id = Uuid::new_v4();
    let message = json!({
        "jsonrpc": "2.0", "id": id, "method": "message/send",
        "params": { "message": {
            "kind": "message", "role": "user", "messageId": id,
            "parts": [{ "kind": "text", "text": notice.text() }],
            "metadata": {
                "source": "platform", "kind": "restart_context", "layer": 1, "restart_context": true,
            },
        } },
    });
    message.to_string().into()
}
