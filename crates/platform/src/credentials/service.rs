use std::{collections::HashMap, sync::Arc};

use futures_util::future::BoxFuture;
use molecule_core::{
    OrgTokenId, SessionId, Timestamp, TokenId, WorkspaceId,
    credential::{PlainToken, TOKEN_BYTES, TokenHash},
    limits,
};
use molecule_store::{
    Store, StoreError,
    changes::Subject,
    now,
    org_tokens::{NewOrgToken, OrgTokenRow},
    sessions::{SessionOrigin, SessionRow},
    tokens::{NewToken, TokenRow},
};
use molecule_wire::auth::{OrgTokenView, SessionView, TokenView};
use parking_lot::{Mutex, RwLock};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::{ExposeSecret, SecretString};

use crate::kept::Cache;

/// A proven identity. Which routes it opens is the gates' business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The operator's token.
    Admin,
    /// A signed-in browser; admin class.
    Session(SessionId),
    /// A member of the org, whom the control plane knows by its cookie (SEC-31); admin class.
    Member(Arc<str>),
    /// An org token; admin class, limited to its anchor where one is set.
    Org(OrgPrincipal),
    /// A workspace's own token.
    Workspace {
        /// Row of the token.
        token: TokenId,
        /// The workspace it proves.
        workspace: WorkspaceId,
    },
}

impl Principal {
    /// Admin class: operator, browser, org token.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        !matches!(self, Self::Workspace { .. })
    }

    /// What it hangs on: a change of that may withdraw it.
    fn subject(&self) -> Subject {
        match self {
            // Neither is looked up here, nor kept.
            Self::Admin | Self::Member(_) => unreachable!("not a row of the store"),
            Self::Session(id) => Subject::Session(*id),
            Self::Org(org) => Subject::OrgToken(org.token),
            Self::Workspace { workspace, .. } => Subject::Workspace(*workspace),
        }
    }
}

/// What is known of an org token's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgPrincipal {
    /// Row of the token.
    pub token: OrgTokenId,
    /// First eight characters, for `created_by` (SEC-21).
    pub prefix: String,
    /// Anchor (SEC-21): it reaches this workspace and what is below it.
    pub org: Option<WorkspaceId>,
    /// It changes nothing.
    pub read_only: bool,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// A browser session that has begun.
#[derive(Debug)]
pub struct BegunSession {
    /// Its row.
    pub id: SessionId,
    /// Its bearer.
    pub token: PlainToken,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// What an org token is to be good for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrgTokenScope {
    /// Only this workspace and what is below it.
    pub org: Option<WorkspaceId>,
    /// Changes nothing.
    pub read_only: bool,
    /// Ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Why no org token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintOrgError {
    /// There are as many as there may be.
    #[error("maximum {} active org tokens", limits::ORG_TOKENS)]
    TooMany,
    /// The store failed.
    #[error("failed to mint token")]
    Store(#[from] StoreError),
}

/// Mints, checks and withdraws credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// `None` never matches: an empty token is no token (SEC-11).
    admin: RwLock<Option<TokenHash>>,
    /// Positive answers only.
    cache: Cache<TokenHash, Principal>,
    /// Last uses of workspace tokens, flushed with the pulses (SEC-7).
    uses: Mutex<HashMap<TokenId, Timestamp>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// A fresh token from the system's random number generator.
fn fresh() -> Result<PlainToken, StoreError> {
    let mut bytes = [0; TOKEN_BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| StoreError::NoRandomness(error.to_string()))?;
    Ok(PlainToken::from_random(bytes))
}

/// `None` for an empty one.
fn hash_of(token: &SecretString) -> Option<TokenHash> {
    let text = Some(token.expose_secret()).filter(|token| !token.is_empty());
    text.map(TokenHash::of)
}

fn stored(token: &PlainToken) -> NewToken {
    NewToken {
        hash: token.hash(),
        prefix: token.prefix().to_owned(),
    }
}

impl Credentials {
    /// Over a store, with the operator's token.
    #[must_use]
    pub fn new(store: Store, admin: &SecretString) -> Self {
        let inner = Inner {
            cache: Cache::new(store.changes()),
            store,
            admin: RwLock::new(hash_of(admin)),
            uses: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whom a bearer proves; `None` for an unknown, revoked or removed-workspace one, which cannot be told apart
    /// (SEC-6).
    ///
    /// # Errors
    /// The lookup failed: 503, never 401 (SEC-52).
    pub async fn authenticate(&self, bearer: &str) -> Result<Option<Principal>, StoreError> {
        let hash = TokenHash::of(bearer);
        if self.inner.admin.read().is_some_and(|admin| admin.matches(&hash)) {
            return Ok(Some(Principal::Admin));
        }
        let look_up = async {
            let found = self.look_up(&hash).await?;
            Ok::<_, StoreError>(found.map(|found| (found.subject(), found)))
        };
        let found = self.inner.cache.get_or_read(hash, look_up).await?;
        // What is kept may have ended by itself meanwhile.
        let found = found.filter(|found| !has_ended(found));
        if let Some(found) = &found {
            self.note_use(found);
        }
        Ok(found)
    }

    /// Puts another operator's token in the place of the present one, which is dead when this returns.
    pub fn replace_admin(&self, token: &SecretString) {
        *self.inner.admin.write() = hash_of(token);
    }

    fn look_up<'a>(&'a self, hash: &'a TokenHash) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        Box::pin(self.look_up_inner(hash))
    }

    async fn look_up_inner(&self, hash: &TokenHash) -> Result<Option<Principal>, StoreError> {
        if let Some(owner) = self.inner.store.token_owner(hash).await? {
            return Ok(Some(Principal::Workspace {
                token: owner.token,
                workspace: owner.workspace,
            }));
        }
        if let Some(session) = self.inner.store.session(hash).await? {
            self.renew(session.id, session.expires_at).await;
            return Ok(Some(Principal::Session(session.id)));
        }
        let Some(token) = self.inner.store.org_token(hash).await? else {
            return Ok(None);
        };
        if let Err(error) = self.inner.store.touch_org_token(token.id).await {
            tracing::warn!(%error, "org token use not noted");
        }
        Ok(Some(Principal::Org(OrgPrincipal {
            token: token.id,
            prefix: token.prefix,
            org: token.org_id,
            read_only: token.read_only,
            expires_at: token.expires_at,
        })))
    }

    /// Notes the use of a session. One in its second half is moved on, so that a browser in use stays signed in. Best
    /// effort: the session is live whether its use can be stored or not.
    async fn renew(&self, id: SessionId, expires_at: Timestamp) {
        let at = now();
        let due = expires_at.since(at) < limits::SESSION_TTL / 2;
        let end = if due { at.plus(limits::SESSION_TTL) } else { expires_at };
        if let Err(error) = self.inner.store.extend_session(id, end).await {
            tracing::warn!(%error, session = %id, "session use not noted");
        }
    }

    fn note_use(&self, principal: &Principal) {
        if let Principal::Workspace { token, .. } = principal {
            self.inner.uses.lock().insert(*token, now());
        }
    }

    /// Stores when tokens were last used. Best effort: a failure is logged (SEC-7).
    pub async fn flush_uses(&self) {
        let uses: Vec<_> = std::mem::take(&mut *self.inner.uses.lock()).into_iter().collect();
        for chunk in uses.chunks(molecule_store::pulse::FLUSH_ROWS) {
            if let Err(error) = self.inner.store.touch_tokens(chunk.to_vec()).await {
                tracing::warn!(%error, "token uses not stored");
            }
        }
    }

    /// Does the workspace have a live token? (SEC-9)
    ///
    /// # Errors
    /// The lookup failed.
    pub async fn has_live_token(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        self.inner.store.has_live_token(workspace).await
    }

    /// The removed workspace a bearer was once issued for (LIFE-89a).
    ///
    /// # Errors
    /// The lookup failed.
    pub async fn removed_owner(&self, bearer: &str) -> Result<Option<WorkspaceId>, StoreError> {
        self.inner.store.removed_owner(&TokenHash::of(bearer)).await
    }

    /// A token to be stored by the caller, in a transaction of its own making.
    ///
    /// # Errors
    /// No randomness.
    pub fn prepare(&self) -> Result<(PlainToken, NewToken), StoreError> {
        let token = fresh()?;
        let row = stored(&token);
        Ok((token, row))
    }

    /// Mints a token unless the workspace has as many as it may (SEC-15).
    ///
    /// # Errors
    /// The store failed.
    pub async fn mint(&self, workspace: WorkspaceId) -> Result<Option<PlainToken>, StoreError> {
        let token = fresh()?;
        let added = self
            .inner
            .store
            .add_token_below(workspace, stored(&token), limits::TOKENS_PER_WORKSPACE)
            .await?;
        Ok(added.map(|id| {
            tracing::info!(workspace = %workspace, token = %id, "workspace token minted");
            token
        }))
    }

    /// Mints a token regardless of the cap (test tokens, SEC-20).
    ///
    /// # Errors
    /// The store failed.
    pub async fn mint_uncapped(&self, workspace: WorkspaceId) -> Result<PlainToken, StoreError> {
        let token = fresh()?;
        self.inner.store.add_token(workspace, stored(&token)).await?;
        Ok(token)
    }

    /// Mints a token only if the workspace has none (REG-32).
    ///
    /// # Errors
    /// The store failed.
    pub async fn mint_first(&self, workspace: WorkspaceId) -> Result<Option<PlainToken>, StoreError> {
        let token = fresh()?;
        Ok(self
            .inner
            .store
            .add_first_token(workspace, stored(&token))
            .await?
            .then_some(token))
    }

    /// Revokes what the workspace has and mints one anew (PROV-52).
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn rotate(&self, workspace: WorkspaceId) -> Result<PlainToken, StoreError> {
        let token = fresh()?;
        self.inner.store.rotate_token(workspace, stored(&token)).await?;
        Ok(token)
    }

    /// Live tokens of a workspace, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, workspace: WorkspaceId, limit: u64, offset: u64) -> Result<Vec<TokenView>, StoreError> {
        let rows = self.inner.store.list_tokens(workspace, limit, offset).await?;
        let view = |row: TokenRow| TokenView {
            id: row.id,
            prefix: row.prefix,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Revokes one token of the workspace; tells whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn revoke(&self, workspace: WorkspaceId, token: TokenId) -> Result<bool, StoreError> {
        self.inner.store.revoke_token(workspace, token).await
    }

    /// Mints an org token. What it is good for must have been judged against whoever mints it.
    ///
    /// # Errors
    /// [`MintOrgError`].
    pub async fn mint_org(
        &self,
        name: Option<String>,
        created_by: String,
        scope: OrgTokenScope,
    ) -> Result<(OrgTokenId, PlainToken), MintOrgError> {
        let token = fresh()?;
        let new = NewOrgToken {
            hash: token.hash(),
            prefix: token.prefix().to_owned(),
            name,
            created_by,
            org_id: scope.org,
            read_only: scope.read_only,
            expires_at: scope.expires_at,
        };
        let added = self.inner.store.add_org_token(new, limits::ORG_TOKENS).await;
        let id = added?.ok_or(MintOrgError::TooMany)?;
        tracing::info!(token = %id, "org token minted");
        Ok((id, token))
    }

    /// Live org tokens, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list_org(&self) -> Result<Vec<OrgTokenView>, StoreError> {
        let rows = self.inner.store.list_org_tokens(limits::ORG_TOKENS_LISTED).await?;
        let filled = |text: String| Some(text).filter(|text| !text.is_empty());
        let view = |row: OrgTokenRow| OrgTokenView {
            id: row.id,
            prefix: row.prefix,
            name: row.name.and_then(filled),
            org_id: row.org_id,
            created_by: filled(row.created_by),
            read_only: row.read_only,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// What a live org token reaches: a workspace and what is below it, or everything. `None`: there is none.
    ///
    /// # Errors
    /// The store failed.
    pub async fn reach_of_org(&self, id: OrgTokenId) -> Result<Option<Option<WorkspaceId>>, StoreError> {
        Ok(self.inner.store.org_token_of(id).await?.map(|row| row.org_id))
    }

    /// Revokes an org token; tells whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn revoke_org(&self, id: OrgTokenId) -> Result<bool, StoreError> {
        self.inner.store.revoke_org_token(id).await
    }

    /// Begins a browser session.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_session(&self, origin: SessionOrigin) -> Result<BegunSession, StoreError> {
        let token = fresh()?;
        let expires_at = now().plus(limits::SESSION_TTL);
        let id = self.inner.store.add_session(token.hash(), expires_at, origin).await?;
        Ok(BegunSession { id, token, expires_at })
    }

    /// Live sessions, newest first; `current` is the one that asks.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list_sessions(&self, current: Option<SessionId>) -> Result<Vec<SessionView>, StoreError> {
        let rows = self.inner.store.list_sessions(limits::SESSIONS_LISTED).await?;
        let view = |row: SessionRow| SessionView {
            current: Some(row.id) == current,
            id: row.id,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            user_agent: row.origin.agent,
            address: row.origin.address,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Ends a browser session; tells whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn end_session(&self, id: SessionId) -> Result<bool, StoreError> {
        self.inner.store.end_session(id).await
    }
}

fn has_ended(principal: &Principal) -> bool {
    match principal {
        Principal::Org(org) => org.expires_at.is_some_and(|end| end <= now()),
        _ => false,
    }
}
