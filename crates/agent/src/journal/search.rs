//! Finding tasks in the journal.

use molecule_core::Timestamp;
use rusqlite::params;

use super::{Journal, JournalError};

/// Which tasks are looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Of this conversation.
    pub context_id: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// That ended at this time or later.
    pub since: Option<Timestamp>,
    /// But for these.
    pub without: Vec<String>,
}

impl Journal {
    /// The replies stored under a task id, oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn answered_task(&self, task_id: &str) -> Result<Vec<String>, JournalError> {
        let task_id = task_id.to_owned();
        self.run(move |db| {
            // Entries of earlier versions know no task.
            let mut found = db.prepare_cached(
                "SELECT seq, reply FROM message WHERE task = ?1 AND state = 'answered'
                 UNION
                 SELECT seq, reply FROM message WHERE task_id = ?1 AND task IS NULL AND state = 'answered'
                 ORDER BY seq",
            )?;
            let replies = found.query_map([&task_id], |row| row.get(1))?;
            replies.collect()
        })
        .await
    }

    /// Tasks that are over, the one that ended last first: ids and times, at most `limit` of them after the place
    /// `after`, and how many there are in all.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn ended_tasks(
        &self,
        search: Search,
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<(Vec<(String, Timestamp)>, usize), JournalError> {
        const FOUND: &str = "FROM (
                 SELECT task AS id, MAX(ended) AS at, outcome, context_id FROM message
                 WHERE state = 'answered' AND task IS NOT NULL GROUP BY task)
             WHERE (?1 IS NULL OR context_id = ?1) AND (?2 IS NULL OR outcome = ?2) AND (?3 IS NULL OR at >= ?3)
                 AND id NOT IN (SELECT value FROM json_each(?4))";
        self.run(move |db| {
            let (context_id, outcome) = (search.context_id, search.outcome);
            let since = search.since.map(Timestamp::micros);
            let without = serde_json::to_string(&search.without).unwrap_or_else(|_| "[]".to_owned());
            let total = db.query_row(
                &format!("SELECT COUNT(*) {FOUND}"),
                params![context_id, outcome, since, without],
                |row| row.get::<_, i64>(0),
            )?;
            let (at, id) = after.map_or((None, None), |(at, id)| (Some(at.micros()), Some(id)));
            let mut found = db.prepare(&format!(
                "SELECT id, at {FOUND} AND (?5 IS NULL OR (at, id) < (?5, ?6)) ORDER BY at DESC, id DESC LIMIT ?7"
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = found.query_map(params![context_id, outcome, since, without, at, id, limit], |row| {
                Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?)))
            })?;
            Ok((
                rows.collect::<Result<_, _>>()?,
                usize::try_from(total).unwrap_or_default(),
            ))
        })
        .await
    }
}
