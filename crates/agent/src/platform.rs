//! The agent's side of the platform's API: the typed client with a token that may change under it (RUN-3, RUN-4).

use std::time::Duration;

use molecule_client::{A2aOptions, A2aReply, Client, ClientError};
use molecule_core::{DeliveryMode, WorkspaceId, credential::secrets_equal};
use molecule_wire::{
    activity::{Notify, ReportActivity},
    registry::{Heartbeat, HeartbeatOk, Peer, Register, Registered, UpdateCard, raw},
};
use parking_lot::RwLock;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::credentials::{InboundSecret, TokenStore};

/// Time for the peers of a prompt (RUN-17).
const PEERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the operator's instructions (RUN-17).
const INSTRUCTIONS_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of instructions that are read.
const INSTRUCTIONS_BYTES: usize = 256 << 10;

/// The operator's instructions could not be got.
#[derive(Debug, thiserror::Error)]
pub enum InstructionsError {
    /// The platform could not be asked, or refused.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// More than anybody reads.
    #[error("they are longer than {INSTRUCTIONS_BYTES} bytes")]
    TooLong,
    /// The answer is not what the platform says.
    #[error("the answer is not understood")]
    Malformed,
}

impl InstructionsError {
    /// The same without the address, which may carry credentials.
    #[must_use]
    pub fn without_url(self) -> Self {
        match self {
            Self::Request(error) => Self::Request(error.without_url()),
            other => other,
        }
    }
}

/// What the platform says about this workspace's existence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// It is there.
    Present,
    /// 410: it was removed (EXT-18).
    Removed,
    /// 404: never heard of.
    Unknown,
    /// Cannot be told now.
    Unclear,
}

/// The platform, as this workspace sees it.
pub struct Platform {
    workspace: WorkspaceId,
    base_url: String,
    client: RwLock<Client>,
    tokens: TokenStore,
    /// What the platform presents to this agent; renewed by register and heartbeat (REG-33, REG-55).
    pub inbound: InboundSecret,
}

impl Platform {
    /// The platform at `base_url`.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(
        base_url: &str,
        workspace: WorkspaceId,
        tokens: TokenStore,
        inbound: InboundSecret,
    ) -> Result<Self, ClientError> {
        let client = connect(base_url, workspace, &tokens)?;
        Ok(Self {
            workspace,
            base_url: base_url.to_owned(),
            client: RwLock::new(client),
            tokens,
            inbound,
        })
    }

    /// Who is speaking.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Builds the client anew, connections included (RUN-19).
    pub fn rebuild(&self) {
        match connect(&self.base_url, self.workspace, &self.tokens) {
            Ok(client) => *self.client.write() = client,
            Err(error) => tracing::warn!(%error, "the HTTP client could not be rebuilt"),
        }
    }

    /// Is there a token to present?
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.tokens.current().is_some()
    }

    /// Is this the agent's own token? (RUN-65)
    #[must_use]
    pub fn is_own_token(&self, presented: &str) -> bool {
        self.tokens
            .current()
            .is_some_and(|token| secrets_equal(token.expose_secret(), presented))
    }

    fn client(&self) -> Client {
        self.client.read().clone()
    }

    /// After a 401: reads the token file again. `true` if there is something new to try (RUN-4).
    fn renew_token(&self) -> bool {
        let changed = self.tokens.reload();
        if changed {
            self.rebuild();
        }
        changed
    }

    /// `POST /registry/register` (RUN-14). Stores what the answer carries.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn register(&self, card: &Value, url: &str) -> Result<Registered, ClientError> {
        let registration = Register {
            id: self.workspace.to_string(),
            agent_card: raw(card),
            url: url.to_owned(),
            delivery_mode: DeliveryMode::Push.into(),
        };
        let answer = match self.client().register(&registration).await {
            Err(error) if error.status() == Some(401) && self.renew_token() => {
                self.client().register(&registration).await?
            }
            other => other?,
        };
        if let Some(token) = &answer.auth_token {
            if let Err(error) = self.tokens.save(token) {
                // Lost at the next start only; until then the copy in memory serves.
                tracing::error!(%error, "the token from register could not be stored");
            }
            self.rebuild();
            let shown: String = token.chars().take(8).collect();
            tracing::info!(token = format!("{shown}…"), "received a token");
        }
        self.keep_inbound(answer.platform_inbound_secret.as_deref());
        Ok(answer)
    }

    /// `POST /registry/heartbeat`, once more with a fresh token after a 401 (RUN-4). Stores the inbound secret
    /// (RUN-20).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<HeartbeatOk, ClientError> {
        let answer = match self.client().heartbeat(beat).await {
            Err(error) if error.status() == Some(401) && self.renew_token() => self.client().heartbeat(beat).await?,
            other => other?,
        };
        self.keep_inbound(answer.platform_inbound_secret.as_deref());
        Ok(answer)
    }

    fn keep_inbound(&self, secret: Option<&str>) {
        if let Some(secret) = secret {
            self.inbound.save(secret);
        }
    }

    /// Announces a changed card (RUN-35).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update_card(&self, card: &Value) -> Result<(), ClientError> {
        let update = UpdateCard {
            workspace_id: self.workspace.to_string(),
            agent_card: raw(card),
        };
        self.client().update_card(&update).await.map(drop)
    }

    /// Whom this workspace may talk to first (REG-86).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn peers(&self) -> Result<Vec<Peer>, ClientError> {
        let client = self.client();
        tokio::time::timeout(PEERS_TIMEOUT, client.peers(self.workspace, None))
            .await
            .unwrap_or_else(|_| {
                Err(ClientError::Timeout {
                    url: self.base_url.clone(),
                    after: Some(PEERS_TIMEOUT),
                })
            })
    }

    /// The operator's instructions for this workspace (ACT-212); `None` where the platform has no such route.
    ///
    /// # Errors
    /// They are not known: whoever knew them before still does (RUN-17).
    pub async fn instructions(&self) -> Result<Option<String>, InstructionsError> {
        let url = format!("{}/workspaces/{}/instructions/resolve", self.base_url, self.workspace);
        let mut builder = reqwest::Client::builder()
            .timeout(INSTRUCTIONS_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if url.starts_with("http://") {
            // Slim images have no certificates to load.
            builder = builder.tls_certs_only([]).no_proxy();
        }
        let mut request = builder.build()?.get(url).header("origin", &self.base_url);
        if let Some(token) = self.tokens.current() {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut answer = request.send().await?;
        if matches!(answer.status().as_u16(), 404 | 501) {
            return Ok(None);
        }
        answer = answer.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > INSTRUCTIONS_BYTES {
                return Err(InstructionsError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let body: Value = serde_json::from_slice(&body).map_err(|_| InstructionsError::Malformed)?;
        let text = match body.get("instructions") {
            Some(Value::String(text)) => text.trim(),
            Some(Value::Null) => "",
            _ => return Err(InstructionsError::Malformed),
        };
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// Sends a JSON-RPC message to another workspace, or to this one, through the platform (RUN-25, RUN-40).
    ///
    /// # Errors
    /// No answer was got.
    pub async fn send_a2a(
        &self,
        target: WorkspaceId,
        body: &Value,
        timeout: Duration,
    ) -> Result<A2aReply, ClientError> {
        let options = A2aOptions {
            timeout: Some(timeout),
            ..A2aOptions::default()
        };
        self.client().send_a2a(target, body, &options).await
    }

    /// A message to the user (RUN-45).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn notify(&self, message: &str) -> Result<(), ClientError> {
        let note = Notify {
            message: message.to_owned(),
            attachments: Vec::new(),
        };
        self.client().notify(self.workspace, &note).await.map(drop)
    }

    /// A row of this workspace's own feed. Best effort: failure is logged (RUN-41).
    pub async fn report(&self, row: ReportActivity) {
        if let Err(error) = self.client().report_activity(self.workspace, &row).await {
            tracing::warn!(%error, kind = %row.activity_type, "activity could not be reported");
        }
    }

    /// Asks whether this workspace still exists (EXT-18a).
    pub async fn existence(&self) -> Existence {
        match self.client().get_workspace(self.workspace, false).await {
            Ok(_) => Existence::Present,
            Err(error) => match error.status() {
                Some(410) => Existence::Removed,
                Some(404) => Existence::Unknown,
                _ => Existence::Unclear,
            },
        }
    }
}

fn connect(base_url: &str, workspace: WorkspaceId, tokens: &TokenStore) -> Result<Client, ClientError> {
    Ok(Client::new(base_url, tokens.current())?.with_workspace(workspace))
}
