use futures_util::future::BoxFuture;
use molecule_core::{
    DeliveryMode, TokenId, Trigger, WorkspaceId,
    credential::PlainToken,
    event::{CardUpdated, Event},
    netguard::Refusal,
};
use molecule_store::{
    StoreError,
    events::NewEvent,
    workspaces::{Change, NewUrl, Workspace},
};
use molecule_wire::registry::{Raw, Register, UpdateCard};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Registry;
use crate::{
    credentials::{ClaimError, GateRefusal, Identity},
    dial,
    draft::{Contact, Draft, Outline},
    lifecycle::{Ask, Cause, is_external},
};

/// Why a registration was refused (REG §3).
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Not a UUID, or a required member is missing.
    #[error("invalid request body")]
    BadRequest,
    /// `delivery_mode` is neither `push` nor `poll` (REG-22).
    #[error("delivery_mode must be 'push' or 'poll'")]
    BadMode,
    /// The gate (REG-10…12).
    #[error(transparent)]
    Refused(#[from] GateRefusal),
    /// Push mode needs a URL that may be dialled (REG-25).
    #[error("{0}")]
    BadUrl(#[from] Refusal),
    /// No such workspace, and the caller may not create one by registering (D3).
    #[error("workspace not found")]
    NotFound,
    /// The row could not be written (REG-29).
    #[error("registration failed")]
    Store(#[from] StoreError),
}

impl From<ClaimError> for RegisterError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Refused(refusal) => refusal.into(),
            ClaimError::Store(cause) => cause.into(),
        }
    }
}

/// A registration that was taken.
#[derive(Debug)]
pub struct RegisterReply {
    /// Mode in force.
    pub delivery_mode: DeliveryMode,
    /// Only when one was minted.
    pub auth_token: Option<PlainToken>,
    /// On every register (REG-33).
    pub inbound_secret: Option<SecretString>,
}

/// A card: the text that is kept, and what it says to those who listen.
struct Card {
    text: String,
    said: Value,
}

impl Card {
    /// Reads what was only carried so far; for callers that passed the gate.
    fn read(raw: &Raw) -> Result<Self, RegisterError> {
        let said = serde_json::from_str(raw.get()).map_err(|_| RegisterError::BadRequest)?;
        Ok(Self {
            text: raw.get().to_owned(),
            said,
        })
    }
}

impl Registry {
    /// Takes a registration (REG-23): parse, mode, gate, resolve, URL, upsert, event, token, secret.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    pub fn register<'a>(
        &'a self,
        identity: &'a Identity,
        request: Register,
    ) -> BoxFuture<'a, Result<RegisterReply, RegisterError>> {
        Box::pin(self.register_inner(identity, request))
    }

    async fn register_inner(&self, identity: &Identity, request: Register) -> Result<RegisterReply, RegisterError> {
        let id: WorkspaceId = request.id.parse().map_err(|_| RegisterError::BadRequest)?;
        if request.agent_card.get() == "null" {
            return Err(RegisterError::BadRequest);
        }
        let said = request.delivery_mode.said().map_err(|_| RegisterError::BadMode)?;
        let row = self.inner.store.workspace(id).await?;
        self.admit(id, row.as_ref().map(|row| row.status), identity).await?;
        let card = Card::read(&request.agent_card)?;
        let runtime = row.as_ref().and_then(|row| row.runtime.known());
        let mode = DeliveryMode::resolve(said, row.as_ref().and_then(|row| row.delivery_mode), runtime);
        let url = self.effective_url(row.as_ref(), mode, &request.url).await?;
        if row.as_ref().is_some_and(|row| !is_external(&row.runtime)) {
            self.inner.provisioner.start_settled(id).await;
        }
        match row {
            Some(row) => {
                self.reregister(&row, identity.token(), mode, url, &card).await?;
            }
            None => self.insert_unknown(id, mode, url, &card).await?,
        }
        Ok(RegisterReply {
            delivery_mode: mode,
            // Who proved itself had a token. If it has none now, a restart or removal has just revoked it.
            auth_token: match identity.workspace() {
                Some(_) => None,
                None => self.first_token(id).await,
            },
            inbound_secret: self.deliver_inbound(id).await,
        })
    }

    /// Stores a new card (REG-70).
    ///
    /// # Errors
    /// [`RegisterError`]; nothing changed.
    pub async fn update_card(&self, identity: &Identity, request: UpdateCard) -> Result<(), RegisterError> {
        let id: WorkspaceId = request.workspace_id.parse().map_err(|_| RegisterError::BadRequest)?;
        if request.agent_card.get() == "null" {
            return Err(RegisterError::BadRequest);
        }
        let row = self.inner.store.workspace(id).await?;
        let row = row.ok_or(RegisterError::Refused(GateRefusal::Invalid))?;
        self.admit(id, Some(row.status), identity).await?;
        let card = Card::read(&request.agent_card)?;
        let said = CardUpdated { agent_card: card.said };
        let event = NewEvent::of(id, Event::AgentCardUpdated(said));
        let seq = self.inner.store.set_agent_card(id, card.text, event).await?;
        let seq = seq.ok_or(RegisterError::Refused(GateRefusal::Invalid))?;
        self.inner.events.passed(seq).await;
        Ok(())
    }

    /// The address to store: none in poll mode, the assigned one where the backend gave it, else the reported one
    /// after the guard (REG-25, REG-26, REG-27, D13, SEC-173).
    async fn effective_url(
        &self,
        row: Option<&Workspace>,
        mode: DeliveryMode,
        reported: &str,
    ) -> Result<Option<NewUrl>, RegisterError> {
        // What a managed agent reports about itself says nothing: its backend knows (D13).
        let managed = row.is_some_and(|row| !is_external(&row.runtime));
        if managed && self.inner.provisioner.assigns_endpoints() {
            return Ok(None);
        }
        let policy = self.inner.config.netguard;
        match mode {
            DeliveryMode::Push => {
                dial::check(reported, policy).await?;
                Ok(Some(NewUrl {
                    url: reported.to_owned(),
                    assigned: false,
                }))
            }
            // What may not be dialled is not kept, nor is an address of the time before the workspace polled.
            DeliveryMode::Poll => Ok(Some(match dial::check(reported, policy).await {
                Ok(()) => NewUrl {
                    url: reported.to_owned(),
                    assigned: false,
                },
                Err(_) => NewUrl::none(),
            })),
        }
    }

    async fn reregister(
        &self,
        row: &Workspace,
        token: Option<TokenId>,
        mode: DeliveryMode,
        url: Option<NewUrl>,
        card: &Card,
    ) -> Result<(), RegisterError> {
        let change = Change {
            url: url.clone(),
            agent_card: Some(card.text.clone()),
            delivery_mode: Some(mode),
            sample_error: Some(String::new()),
            beat: true,
            ..Change::default()
        };
        // Bound to the incarnation that was gated and to the token that was shown: a restart in between revoked it.
        let ask = Ask::from(Trigger::Registered)
            .change(change)
            .generation(row.generation)
            .token(token)
            .cause(Cause::Registration(card.said.clone()));
        if self.inner.lifecycle.apply(row.id, ask).await?.is_some() {
            return Ok(());
        }
        // Paused or hibernated: the agent is remembered, the status stays (OP-3). Removed or restarted since: nothing
        // happens.
        let same = self.inner.store.workspace(row.id).await?;
        if same.is_none_or(|now| now.generation != row.generation) {
            return Err(GateRefusal::Invalid.into());
        }
        if let Some(token) = token
            && !self.inner.store.is_unrevoked(token).await?
        {
            return Err(GateRefusal::Invalid.into());
        }
        let refreshed = self
            .inner
            .store
            .refresh_registration(row.id, url, card.text.clone(), mode)
            .await?;
        if refreshed {
            Ok(())
        } else {
            Err(GateRefusal::Invalid.into())
        }
    }

    /// An admin-class caller registers an id nobody created: a row named after it appears (REG-27, LIFE-11).
    async fn insert_unknown(
        &self,
        id: WorkspaceId,
        mode: DeliveryMode,
        url: Option<NewUrl>,
        card: &Card,
    ) -> Result<(), RegisterError> {
        let outline = Outline {
            delivery_mode: Some(mode),
            ..Outline::new(id, id.to_string())
        };
        let contact = Contact::Registered {
            url: url.map(|url| url.url).unwrap_or_default(),
            card: card.text.clone(),
            said: card.said.clone(),
        };
        Draft::external(outline, contact, self.inner.inbound.fresh())
            .insert(&self.inner.ground)
            .await?;
        Ok(())
    }

    /// Zero live tokens after the upsert: mint one, shown once (REG-32). Failure is logged; the reply goes without.
    async fn first_token(&self, id: WorkspaceId) -> Option<PlainToken> {
        match self.inner.credentials.has_live_token(id).await {
            Ok(true) => None,
            Ok(false) => self.inner.credentials.mint_first(id).await.unwrap_or_else(|error| {
                tracing::error!(workspace = %id, %error, "first token not minted");
                None
            }),
            Err(error) => {
                tracing::error!(workspace = %id, %error, "token lookup failed");
                None
            }
        }
    }

    /// The inbound secret, delivered every time; liveness outranks it (SEC-116, SEC-117).
    pub(super) async fn deliver_inbound(&self, id: WorkspaceId) -> Option<SecretString> {
        match self.inner.inbound.read_or_heal(id).await {
            Ok(healed) => Some(healed.secret),
            Err(error) => {
                tracing::error!(workspace = %id, %error, "inbound secret not delivered");
                None
            }
        }
    }
}

impl RegisterReply {
    /// The wire form; the only place where the two secrets become text.
    #[must_use]
    pub fn into_wire(self) -> molecule_wire::registry::Registered {
        molecule_wire::registry::Registered {
            status: "registered".to_owned(),
            delivery_mode: self.delivery_mode,
            auth_token: self.auth_token.map(|token| token.expose().to_owned()),
            platform_inbound_secret: self.inbound_secret.map(|secret| secret.expose_secret().to_owned()),
        }
    }
}
