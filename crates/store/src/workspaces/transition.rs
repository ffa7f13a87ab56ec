mod group;

pub(crate) use group::Group;

use molecule_core::{DeliveryMode, Timestamp, TokenId, WorkspaceId, WorkspaceStatus};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, Statement, Value};

use crate::{
    Store, StoreError,
    events::{self, NewEvent, Seq},
    secrets::Sealed,
    tokens::{self, NewToken},
};

/// A compare-and-set of a workspace's status.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The workspace.
    pub id: WorkspaceId,
    /// Statuses it may be in now.
    pub from: Vec<WorkspaceStatus>,
    /// Where it goes.
    pub to: WorkspaceStatus,
    /// What changes with it.
    pub change: Change,
    /// What else must hold.
    pub guard: Guard,
    /// Recorded only if the row changed (LIFE-36).
    pub events: Vec<NewEvent>,
}

/// Columns that change with a status. `None` leaves a column as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Address of the agent.
    pub url: Option<NewUrl>,
    /// The agent's card, JSON text.
    pub agent_card: Option<String>,
    /// How messages reach it.
    pub delivery_mode: Option<DeliveryMode>,
    /// The backend's name for the instance.
    pub instance_ref: Option<Option<String>>,
    /// What the next start writes; replaces what an earlier one did not get to.
    pub start_files: Option<String>,
    /// The next start discards the session.
    pub reset_session: bool,
    /// New inbound secret.
    pub inbound_secret: Option<Sealed>,
    /// What the failure was, for people.
    pub sample_error: Option<String>,
    /// The workspace was heard of now.
    pub beat: bool,
    /// A credential that it may show from now on.
    pub token: Option<NewToken>,
    /// Begins a new incarnation: generation + 1, every live token revoked, no tasks running (D17, LIFE-135).
    pub restart: bool,
}

/// A new address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUrl {
    /// `""` for none.
    pub url: String,
    /// Given by the backend, not reported by the agent (D13).
    pub assigned: bool,
}

impl NewUrl {
    /// No address.
    #[must_use]
    pub fn none() -> Self {
        Self {
            url: String::new(),
            assigned: false,
        }
    }
}

/// Conditions beside the status.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guard {
    /// Only this incarnation.
    pub generation: Option<i64>,
    /// Only while this token, which was shown, is not revoked (D17).
    pub token: Option<TokenId>,
    /// Only if its last beat is older (REG-95); never heard of counts as old.
    pub silent_since: Option<Timestamp>,
    /// Only if its status is at least this old (LIFE-192).
    pub unchanged_since: Option<Timestamp>,
    /// Only if it runs no task (LIFE-160).
    pub idle: bool,
    /// Only if it has not been busy since (OP-6).
    pub inactive_since: Option<Timestamp>,
}

impl Guard {
    /// Does it look at more than who the workspace is? What it refuses then may be refused for as long as one likes.
    #[must_use]
    pub fn judges(&self) -> bool {
        self.silent_since.is_some() || self.unchanged_since.is_some() || self.inactive_since.is_some() || self.idle
    }
}

/// A transition that took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Position of its last event; `Seq(0)` if it has none.
    pub seq: Seq,
    /// Generation after it.
    pub generation: i64,
}

#[derive(FromQueryResult)]
struct GenerationRow {
    generation: i64,
}

/// An UPDATE under construction: assignments and conditions with their parameters.
struct Update {
    sets: Vec<String>,
    wheres: Vec<String>,
    values: Vec<Value>,
}

impl Update {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn set(&mut self, column: &str, value: impl Into<Value>) {
        let mark = self.bind(value);
        self.sets.push(format!("{column} = {mark}"));
    }

    /// A condition; `{}` in it is the parameter.
    fn only(&mut self, condition: &str, value: impl Into<Value>) {
        let mark = self.bind(value);
        self.wheres.push(condition.replace("{}", &mark));
    }

    fn conditions(&mut self, guard: Guard) {
        if let Some(generation) = guard.generation {
            self.only("generation = {}", generation);
        }
        if let Some(token) = guard.token {
            self.only(
                "EXISTS (SELECT 1 FROM workspace_auth_tokens t WHERE t.id = {} AND t.revoked_at IS NULL)",
                token.uuid(),
            );
        }
        if let Some(since) = guard.unchanged_since {
            self.only("status_changed_at <= {}", since.micros());
        }
        if let Some(since) = guard.silent_since {
            self.only(&no_pulse("p.last_beat_at > {}"), since.micros());
        }
        if guard.idle {
            self.only(&no_pulse("p.active_tasks > {}"), 0i64);
        }
        if let Some(since) = guard.inactive_since {
            self.only(&no_pulse("p.last_active_at > {}"), since.micros());
        }
    }
}

/// Nothing like that was heard of the workspace.
fn no_pulse(heard: &str) -> String {
    format!("NOT EXISTS (SELECT 1 FROM workspace_pulse p WHERE p.workspace_id = workspaces.id AND {heard})")
}

impl Store {
    /// Moves a workspace if it is where the transition expects it. `None`: it was not, and nothing changed, no event
    /// included. Committed together with the transitions that wait for the disk at the same moment, and whether or not the
    /// caller still waits. Called by `platform::lifecycle` only.
    ///
    /// # Errors
    /// The write failed; nothing changed.
    pub async fn transition(&self, transition: Transition) -> Result<Option<Moved>, StoreError> {
        group::submit(self, transition).await
    }
}

/// Applies transitions in the order given, all or none of them; what each came to.
async fn apply_all(
    tx: &DatabaseTransaction,
    batch: &[Transition],
    at: Timestamp,
) -> Result<Vec<Option<Moved>>, StoreError> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut recorded = Vec::new();
    for transition in batch {
        let generation = apply(tx, transition, at).await?;
        if generation.is_some() {
            recorded.extend(transition.events.iter().cloned());
        }
        outcomes.push(generation.map(|generation| (generation, recorded.len())));
    }
    let total = recorded.len();
    let Seq(last) = events::append(tx, recorded).await?;
    let moved = outcomes.into_iter().zip(batch).map(|(outcome, transition)| {
        let (generation, end) = outcome?;
        let seq = if transition.events.is_empty() {
            Seq(0)
        } else {
            Seq(last - i64::try_from(total - end).unwrap_or(0))
        };
        Some(Moved { seq, generation })
    });
    Ok(moved.collect())
}

/// Applies a transition but for its events. The generation after it, or `None` if nothing changed.
async fn apply(tx: &DatabaseTransaction, transition: &Transition, at: Timestamp) -> Result<Option<i64>, StoreError> {
    let Transition {
        id,
        from,
        to,
        change,
        guard,
        events: _,
    } = transition;
    if from.is_empty() {
        return Ok(None);
    }
    let (id, to) = (*id, *to);
    let statement = update_statement(tx, from, &Move { id, to, at }, change, *guard);
    let Some(row) = GenerationRow::find_by_statement(statement).one(tx).await? else {
        return Ok(None);
    };
    if change.restart {
        tokens::revoke_all(tx, &[id]).await?;
    }
    if let Some(token) = change.token.clone() {
        tokens::insert(tx, id, token).await?;
    }
    update_pulse(tx, id, change, at).await?;
    Ok(Some(row.generation))
}

/// Who goes where, and when.
struct Move {
    id: WorkspaceId,
    to: WorkspaceStatus,
    at: Timestamp,
}

fn update_statement(
    tx: &DatabaseTransaction,
    from: &[WorkspaceStatus],
    &Move { id, to, at }: &Move,
    change: &Change,
    guard: Guard,
) -> Statement {
    let mut update = Update {
        sets: vec!["version = version + 1".into()],
        wheres: Vec::new(),
        values: Vec::new(),
    };
    let (status, stamp) = (update.bind(to.as_str()), update.bind(at.micros()));
    update.sets.push(format!("status = {status}"));
    update.sets.push(format!("updated_at = {stamp}"));
    // The age of a status counts from when it was entered; re-entering by a restart begins anew (OP-2).
    if change.restart {
        update.sets.push(format!("status_changed_at = {stamp}"));
        update.sets.push("generation = generation + 1".into());
        update.set("restart_due", false);
    } else {
        update.sets.push(format!(
            "status_changed_at = CASE WHEN status = {status} THEN status_changed_at ELSE {stamp} END"
        ));
    }
    set_columns(&mut update, change);
    let mark = update.bind(id.uuid());
    update.wheres.push(format!("id = {mark}"));
    let statuses: Vec<String> = from.iter().map(|status| update.bind(status.as_str())).collect();
    update.wheres.push(format!("status IN ({})", statuses.join(", ")));
    update.conditions(guard);
    let sql = format!(
        "UPDATE workspaces SET {} WHERE {} RETURNING generation",
        update.sets.join(", "),
        update.wheres.join(" AND ")
    );
    Statement::from_sql_and_values(tx.get_database_backend(), sql, update.values)
}

fn set_columns(update: &mut Update, change: &Change) {
    if let Some(NewUrl { url, assigned }) = &change.url {
        update.set("url", url.as_str());
        update.set("url_assigned", *assigned);
    }
    if let Some(card) = &change.agent_card {
        update.set("agent_card", card.as_str());
    }
    if let Some(mode) = change.delivery_mode {
        update.set("delivery_mode", mode.as_str());
    }
    if let Some(instance) = &change.instance_ref {
        update.set("instance_ref", instance.clone());
    }
    if let Some(files) = &change.start_files {
        update.set("start_files", files.as_str());
    }
    if change.reset_session {
        update.set("reset_session", true);
    }
    if let Some(sealed) = &change.inbound_secret {
        update.set("inbound_secret", sealed.bytes.clone());
        update.set("inbound_secret_key", sealed.key_id.as_str());
    }
}

async fn update_pulse(
    tx: &DatabaseTransaction,
    id: WorkspaceId,
    change: &Change,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut update = Update {
        sets: Vec::new(),
        wheres: Vec::new(),
        values: Vec::new(),
    };
    if let Some(error) = &change.sample_error {
        update.set("sample_error", molecule_core::text::storable(error).into_owned());
    }
    if change.beat {
        update.set("last_beat_at", at.micros());
    }
    if change.restart {
        update.set("active_tasks", 0i64);
        update.set("current_task", "");
    }
    if update.sets.is_empty() {
        return Ok(());
    }
    let mark = update.bind(id.uuid());
    let sql = format!(
        "UPDATE workspace_pulse SET {} WHERE workspace_id = {mark}",
        update.sets.join(", ")
    );
    tx.execute_raw(Statement::from_sql_and_values(
        tx.get_database_backend(),
        sql,
        update.values,
    ))
    .await?;
    Ok(())
}
