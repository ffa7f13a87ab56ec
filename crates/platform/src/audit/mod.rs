//! The audit: who changed what, chained so that nobody changes the record unseen. What is in it is never a secret.

use molecule_core::{hmac::hmac_of_fields, limits, redact::redact};
use molecule_store::{
    Store, StoreError,
    audit::{AuditFilter, AuditOutcome, AuditRow, NewAudit},
};
use molecule_wire::audit::{AuditPage, AuditRecord, AuditVerdict};
use serde_json::{Map, Value};
use std::sync::Arc;

use crate::secrets::AuditKey;

/// Records that are verified at a time.
const BATCH: u64 = 500;

/// A change that is under way.
#[derive(Debug, Clone)]
pub struct Begun(AuditRow);

/// What is asked of the audit.
pub use molecule_store::audit::{AuditFilter as Filter, AuditOutcome as Outcome, NewAudit as New};

/// Records changes and shows them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    store: Store,
    key: Arc<AuditKey>,
}

impl Audit {
    /// Over a store, sealed with a key of its own.
    #[must_use]
    pub fn new(store: Store, key: Arc<AuditKey>) -> Self {
        Self { store, key }
    }

    /// Records a change that is about to be made.
    ///
    /// # Errors
    /// It is not recorded, and so must not be made.
    pub async fn begin(&self, new: NewAudit) -> Result<Begun, StoreError> {
        let key = self.key.clone();
        let seal = move |row: &AuditRow| seal_of(&key, row).to_vec();
        let row = self.store.begin_audit(new, self.key.id().to_owned(), seal).await?;
        Ok(Begun(row))
    }

    /// Records how it ended.
    ///
    /// # Errors
    /// The record says that it was begun, and not how it ended.
    pub async fn end(&self, begun: Begun, outcome: AuditOutcome) -> Result<(), StoreError> {
        let hmac = outcome_seal(&self.key, &begun.0.hmac, &outcome).to_vec();
        self.store.end_audit(begun.0.seq, outcome, hmac).await
    }

    /// Records, newest first, and where the next page begins.
    ///
    /// # Errors
    /// The query failed.
    pub async fn page(&self, filter: AuditFilter, limit: u64) -> Result<AuditPage, StoreError> {
        let limit = limit.clamp(1, limits::AUDIT_PAGE);
        let mut rows = self.store.audit(filter, limit + 1).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(AuditPage {
            next: rows.last().filter(|_| more).map(|row| row.seq),
            records: rows.into_iter().map(record).collect(),
        })
    }

    /// Follows the chain from its beginning.
    ///
    /// # Errors
    /// A query failed; nothing is said about the chain.
    pub async fn verify(&self) -> Result<AuditVerdict, StoreError> {
        // Read first: records that are begun meanwhile are beyond it.
        let head = self.store.audit_head().await?;
        let mut walk = Walk::default();
        loop {
            let rows = self.store.audit_after(walk.seq, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if let Err(reason) = walk.step(&self.key, &row) {
                    return Ok(walk.verdict(Some(reason)));
                }
            }
        }
        let missing = (walk.seq < head).then(|| format!("the last {} records are gone", head - walk.seq));
        Ok(walk.verdict(missing))
    }
}

/// How far the chain was followed.
#[derive(Debug, Default)]
struct Walk {
    seq: i64,
    hmac: Vec<u8>,
    unfinished: u64,
    unknown_key: u64,
}

impl Walk {
    /// The next record, or what is wrong with it.
    fn step(&mut self, key: &AuditKey, row: &AuditRow) -> Result<(), String> {
        let expected = self.seq + 1;
        if row.seq != expected {
            self.seq = expected;
            return Err(format!("record {expected} is missing"));
        }
        self.seq = row.seq;
        if row.prev_hmac != self.hmac {
            return Err("it does not follow the record before it".to_owned());
        }
        self.hmac.clone_from(&row.hmac);
        if row.outcome.is_none() {
            self.unfinished += 1;
        }
        if row.key_id != key.id() {
            self.unknown_key += 1;
            return Ok(());
        }
        if seal_of(key, row).as_slice() != row.hmac {
            return Err("what it says is not what was recorded".to_owned());
        }
        let outcome = match (&row.outcome, &row.outcome_hmac) {
            (None, None) => true,
            (Some(outcome), Some(hmac)) => outcome_seal(key, &row.hmac, outcome).as_slice() == hmac,
            _ => false,
        };
        outcome
            .then_some(())
            .ok_or_else(|| "how it ended is not what was recorded".to_owned())
    }

    fn verdict(self, broken: Option<String>) -> AuditVerdict {
        AuditVerdict {
            valid: broken.is_none(),
            checked: self.seq,
            broken_at: broken.is_some().then_some(self.seq),
            reason: broken,
            unfinished: self.unfinished,
            other_keys: self.unknown_key,
            head: hex::encode(self.hmac),
        }
    }
}

fn seal_of(key: &AuditKey, row: &AuditRow) -> [u8; 32] {
    let what = &row.what;
    let workspace = what.workspace_id.map(|id| id.to_string().into_bytes());
    hmac_of_fields(
        key.bytes(),
        &[
            Some(&row.seq.to_be_bytes()),
            Some(row.id.to_string().as_bytes()),
            Some(&row.created_at.micros().to_be_bytes()),
            Some(what.actor.as_bytes()),
            Some(what.action.as_bytes()),
            Some(what.route.as_bytes()),
            workspace.as_deref(),
            what.target.as_deref().map(str::as_bytes),
            what.address.as_deref().map(str::as_bytes),
            what.trace_id.as_deref().map(str::as_bytes),
            Some(&row.prev_hmac),
        ],
    )
}

fn outcome_seal(key: &AuditKey, hmac: &[u8], outcome: &AuditOutcome) -> [u8; 32] {
    hmac_of_fields(
        key.bytes(),
        &[
            Some(b"outcome"),
            Some(hmac),
            Some(&outcome.status.to_be_bytes()),
            outcome.made.as_deref().map(str::as_bytes),
            outcome.before.as_deref().map(str::as_bytes),
            outcome.after.as_deref().map(str::as_bytes),
        ],
    )
}

fn record(row: AuditRow) -> AuditRecord {
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let (status, outcome) = match row.outcome {
        Some(outcome) => (Some(outcome.status), outcome),
        None => (None, AuditOutcome::default()),
    };
    AuditRecord {
        seq: row.seq,
        id: row.id,
        at: row.created_at,
        actor: row.what.actor,
        action: row.what.action,
        route: row.what.route,
        workspace_id: row.what.workspace_id,
        target: outcome.made.or(row.what.target),
        address: row.what.address,
        trace_id: row.what.trace_id,
        status,
        before: json(outcome.before),
        after: json(outcome.after),
        hmac: hex::encode(row.hmac),
    }
}

/// What differs between two states of a thing, as texts to be recorded: the members of each that the other does not have
/// the same. Whatever looks like a secret is taken out.
#[must_use]
pub fn difference(before: Option<Value>, after: Option<Value>) -> (Option<String>, Option<String>) {
    let (before, after) = match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let of = |one: &Map<String, Value>, other: &Map<String, Value>| {
                let differs = one.iter().filter(|(name, value)| other.get(*name) != Some(value));
                Value::Object(differs.map(|(name, value)| (name.clone(), value.clone())).collect())
            };
            (Some(of(&before, &after)), Some(of(&after, &before)))
        }
        other => other,
    };
    (before.map(text_of), after.map(text_of))
}

/// A state as text, without anything that looks like a secret, and not longer than is kept.
#[must_use]
pub fn text_of(mut state: Value) -> String {
    clean(&mut state);
    let text = state.to_string();
    if text.len() <= limits::AUDIT_STATE_BYTES {
        return text;
    }
    format!(r#"{{"omitted_bytes":{}}}"#, text.len())
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(cleaned) = redact(text).0 {
                *text = cleaned;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_recorded() {
        let (before, after) = difference(
            Some(json!({ "name": "a", "role": "x", "gone": 1 })),
            Some(json!({ "name": "b", "role": "x", "new": [2] })),
        );
        assert_eq!(before.as_deref(), Some(r#"{"name":"a","gone":1}"#));
        assert_eq!(after.as_deref(), Some(r#"{"name":"b","new":[2]}"#));
        assert_eq!(
            difference(None, Some(json!({ "a": 1 }))).1.as_deref(),
            Some(r#"{"a":1}"#)
        );
        assert_eq!(difference(None, None), (None, None));
    }

    #[test]
    fn no_state_shows_a_secret_or_grows_without_end() {
        let text = text_of(json!({ "role": ["see sk-abcdefghijklmnopqrstuvwxyz"] }));
        assert_eq!(text, r#"{"role":["see [REDACTED:SK_TOKEN]"]}"#);
        let long = "x ".repeat(limits::AUDIT_STATE_BYTES);
        assert!(text_of(json!({ "role": long })).starts_with(r#"{"omitted_bytes":"#));
    }
}
