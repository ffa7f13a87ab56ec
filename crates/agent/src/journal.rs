//! The durable, bounded journal of messages (D14): a repeated message joins the running turn or gets the stored reply,
//! so that an at-least-once platform (A2A-124) has its effect once.

mod repair;
mod search;

use std::{io, path::Path, sync::Arc};

use molecule_core::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::search::Search;

/// Answered messages that are remembered. Beyond it the oldest are forgotten; running ones never are.
pub const ENTRIES: u32 = 2_000;
/// Bytes of a reply from which on the size of all of them is looked at. Smaller ones are bounded by their number.
const LARGE_REPLY_BYTES: usize = 64 << 10;
/// Bytes of all replies. Beyond it the oldest are forgotten.
const REPLY_BYTES: u32 = 64 << 20;
/// Name of the file.
const FILE: &str = "journal.db";
/// Bytes of one conversation that are kept.
pub const SESSION_BYTES: usize = 400 << 10;
/// Conversations that are kept.
pub const SESSIONS: u32 = 200;

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite refused.
    #[error("journal")]
    Database(#[from] rusqlite::Error),
    /// The thread that ran the query died.
    #[error("journal thread")]
    Thread(#[from] tokio::task::JoinError),
    /// An entry is not what this program writes.
    #[error("a journal entry cannot be understood")]
    Unreadable,
    /// The file is a database and is broken.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The broken file could not be moved.
    #[error("the broken journal could not be set aside")]
    Stuck(#[source] io::Error),
}

impl JournalError {
    /// Is it the file that is wrong, rather than the machine?
    fn is_damage(&self) -> bool {
        let Self::Database(error) = self else {
            return matches!(self, Self::Damaged(_));
        };
        use rusqlite::ErrorCode as Code;
        !matches!(
            error.sqlite_error_code(),
            Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::DiskFull | Code::OutOfMemory)
        )
    }
}

/// What identifies a message: its id and a digest of its parts. Clients that number their messages from 1 in each
/// run repeat ids with new content; that is another message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a message with this id and content.
    #[must_use]
    pub fn new(message_id: &str, content: &[u8]) -> Self {
        let digest = Sha256::digest(content);
        let hex: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{message_id}#{hex}"))
    }
}

/// What the journal knows of a message that just arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// New, or interrupted by a crash: run it. It is durably marked as running.
    Fresh,
    /// Answered before.
    Answered {
        /// Task under which it ran.
        task_id: String,
        /// The stored reply, as it was given to `finish`.
        reply: String,
    },
}

/// A message whose sender was told that it is taken, and whose turn an earlier process did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The message.
    pub key: Key,
    /// The turn's input, as it was given to `begin`.
    pub input: String,
    /// How often its turn was started.
    pub starts: u32,
}

/// What is kept of a turn's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The end itself.
    pub reply: String,
    /// How it ended, for those who look for tasks by it.
    pub outcome: &'static str,
    /// When.
    pub ended: Timestamp,
}

/// Journal and conversations of one agent, in one SQLite file.
#[derive(Clone)]
pub struct Journal {
    db: Arc<Mutex<Connection>>,
    entries: u32,
}

impl Journal {
    /// Opens or creates the file in `dir`. Entries of an earlier process that never finished become interrupted, so
    /// that the same message sent again runs as a fresh turn. Promised ones are still to be run.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let file = dir.join(FILE);
        // The directory is the agent's own, and what runs in it may have broken what is there.
        for path in [dir, &file] {
            repair::make_usable(path);
        }
        match Self::open_bounded(dir, ENTRIES) {
            Err(error) if error.is_damage() => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(file = %file.display(), error = cause, "the journal cannot be used and is set aside; \
                    messages that were answered or promised before, and conversations, are not known any more");
                repair::set_aside(dir).map_err(JournalError::Stuck)?;
                Self::open_bounded(dir, ENTRIES)
            }
            opened => opened,
        }
    }

    /// The same with another bound.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open_bounded(dir: &Path, entries: u32) -> Result<Self, JournalError> {
        let db = Connection::open(dir.join(FILE))?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        let sound: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(JournalError::Damaged(sound));
        }
        // FULL: an entry is on disk before its turn runs and before its reply leaves.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS message (
                 seq INTEGER PRIMARY KEY AUTOINCREMENT,
                 key TEXT NOT NULL UNIQUE,
                 task_id TEXT NOT NULL UNIQUE,
                 state TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'answered')),
                 reply TEXT,
                 input TEXT,
                 starts INTEGER NOT NULL DEFAULT 0
             );
             CREATE TABLE IF NOT EXISTS session (
                 context_id TEXT PRIMARY KEY,
                 used INTEGER NOT NULL,
                 messages TEXT NOT NULL
             );",
        )?;
        add_columns(&db)?;
        // Holds all that looking for tasks needs, so that no reply is read for it.
        db.execute_batch(
            "CREATE INDEX IF NOT EXISTS message_task ON message (task, state, ended, outcome, context_id);",
        )?;
        db.execute(
            "UPDATE message SET state = 'interrupted' WHERE state = 'running' AND input IS NULL",
            [],
        )?;
        Ok(Self {
            db: Arc::new(Mutex::new(db)),
            entries,
        })
    }

    /// Takes note of a message before its turn runs. With its `input` the turn is promised: it will run even if this
    /// process ends. A task may have several.
    ///
    /// # Errors
    /// Nothing was recorded: the turn must not run.
    pub async fn begin(
        &self,
        key: &Key,
        task_id: &str,
        context_id: &str,
        input: Option<String>,
    ) -> Result<Begin, JournalError> {
        let (key, task, context_id) = (key.0.clone(), task_id.to_owned(), context_id.to_owned());
        self.run(move |db| {
            if let Some(answered) = answered(db, &key)? {
                return Ok(answered);
            }
            let known: bool = db.query_row(
                "SELECT EXISTS (SELECT 1 FROM message WHERE task_id = ?1 AND key <> ?2)",
                [&task, &key],
                |row| row.get(0),
            )?;
            let entry = if known {
                format!("{task}#{}", Uuid::new_v4())
            } else {
                task.clone()
            };
            db.execute(
                "INSERT INTO message (key, task_id, task, context_id, state, input)
                 VALUES (?1, ?2, ?3, ?4, 'running', ?5)
                 ON CONFLICT (key) DO UPDATE SET
                     task_id = excluded.task_id, task = excluded.task, context_id = excluded.context_id,
                     state = 'running', reply = NULL, input = excluded.input, starts = 0",
                params![key, entry, task, context_id, input],
            )?;
            Ok(Begin::Fresh)
        })
        .await
    }

    /// Was a message answered before?
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn is_answered(&self, key: &Key) -> Result<bool, JournalError> {
        let key = key.0.clone();
        self.run(move |db| Ok(answered(db, &key)?.is_some())).await
    }

    /// Promises a turn that waits or runs already.
    ///
    /// # Errors
    /// It was not recorded.
    pub async fn promise(&self, key: &Key, input: String) -> Result<(), JournalError> {
        let key = key.0.clone();
        self.run(move |db| {
            db.execute(
                "UPDATE message SET input = ?2 WHERE key = ?1 AND state = 'running'",
                params![key, input],
            )?;
            Ok(())
        })
        .await
    }

    /// Counts a start of a promised turn.
    ///
    /// # Errors
    /// It was not recorded.
    pub async fn started(&self, key: &Key) -> Result<(), JournalError> {
        let key = key.0.clone();
        self.run(move |db| {
            db.execute(
                "UPDATE message SET starts = starts + 1 WHERE key = ?1 AND input IS NOT NULL",
                [key],
            )?;
            Ok(())
        })
        .await
    }

    /// What an earlier process promised and did not end, oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn promises(&self) -> Result<Vec<Promise>, JournalError> {
        let db = self.db.lock();
        let mut found = db.prepare(
            "SELECT key, input, starts FROM message WHERE state = 'running' AND input IS NOT NULL ORDER BY seq",
        )?;
        let promises = found.query_map([], |row| {
            Ok(Promise {
                key: Key(row.get(0)?),
                input: row.get(1)?,
                starts: row.get(2)?,
            })
        })?;
        Ok(promises.collect::<Result<_, _>>()?)
    }

    /// Stores the reply before it is sent, and forgets the oldest answers beyond the bound.
    ///
    /// # Errors
    /// The reply was not stored.
    pub async fn finish(&self, key: &Key, end: Ending) -> Result<(), JournalError> {
        let (key, entries, large) = (key.0.clone(), self.entries, end.reply.len() > LARGE_REPLY_BYTES);
        self.run(move |db| {
            let tx = db.transaction()?;
            tx.execute(
                "UPDATE message SET state = 'answered', reply = ?2, outcome = ?3, ended = ?4, input = NULL
                 WHERE key = ?1",
                params![key, end.reply, end.outcome, end.ended.micros()],
            )?;
            tx.execute(
                "DELETE FROM message WHERE state <> 'running' AND seq <= (
                     SELECT seq FROM message WHERE state <> 'running' ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
                [entries],
            )?;
            if large {
                tx.execute(
                    "DELETE FROM message WHERE state <> 'running' AND seq <= (
                         SELECT MAX(seq) FROM (
                             SELECT seq, SUM(LENGTH(CAST(reply AS BLOB))) OVER (ORDER BY seq DESC) AS newer
                             FROM message WHERE state <> 'running')
                         WHERE newer > ?1)",
                    [REPLY_BYTES],
                )?;
            }
            tx.commit()
        })
        .await
    }

    /// The conversation of a context, as it was saved.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn session(&self, context_id: &str) -> Result<Option<String>, JournalError> {
        let context_id = context_id.to_owned();
        self.run(move |db| {
            db.query_row(
                "SELECT messages FROM session WHERE context_id = ?1",
                [&context_id],
                |row| row.get(0),
            )
            .optional()
        })
        .await
    }

    /// Saves a conversation; those longest unused beyond the bound are forgotten.
    ///
    /// # Errors
    /// It was not saved.
    pub async fn save_session(&self, context_id: &str, messages: String) -> Result<(), JournalError> {
        let context_id = context_id.to_owned();
        self.run(move |db| {
            let tx = db.transaction()?;
            tx.execute(
                "INSERT INTO session (context_id, used, messages)
                 VALUES (?1, (SELECT COALESCE(MAX(used), 0) + 1 FROM session), ?2)
                 ON CONFLICT (context_id) DO UPDATE SET used = excluded.used, messages = excluded.messages",
                params![context_id, messages],
            )?;
            tx.execute(
                "DELETE FROM session WHERE used <= (SELECT used FROM session ORDER BY used DESC LIMIT 1 OFFSET ?1)",
                [SESSIONS],
            )?;
            tx.commit()
        })
        .await
    }

    /// Runs a query off the async threads: a commit waits for the disk.
    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let db = Arc::clone(&self.db);
        Ok(tokio::task::spawn_blocking(move || query(&mut db.lock())).await??)
    }
}

/// The end of a message that was answered before.
fn answered(db: &Connection, key: &str) -> rusqlite::Result<Option<Begin>> {
    db.query_row(
        "SELECT COALESCE(task, task_id), reply FROM message WHERE key = ?1 AND state = 'answered'",
        [key],
        |row| {
            Ok(Begin::Answered {
                task_id: row.get(0)?,
                reply: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            })
        },
    )
    .optional()
}

/// Files of earlier versions lack them.
fn add_columns(db: &Connection) -> rusqlite::Result<()> {
    for (name, definition) in [
        ("input", "input TEXT"),
        ("starts", "starts INTEGER NOT NULL DEFAULT 0"),
        ("task", "task TEXT"),
        ("context_id", "context_id TEXT"),
        ("outcome", "outcome TEXT"),
        ("ended", "ended INTEGER"),
    ] {
        let there: bool = db.query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('message') WHERE name = ?1)",
            [name],
            |row| row.get(0),
        )?;
        if !there {
            db.execute_batch(&format!("ALTER TABLE message ADD COLUMN {definition}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn end(reply: String) -> Ending {
        Ending {
            reply,
            outcome: "completed",
            ended: Timestamp::from_micros(1),
        }
    }

    fn key(n: usize) -> Key {
        Key::new(&format!("m{n}"), b"[]")
    }

    #[tokio::test]
    async fn answered_messages_are_not_run_again() {
        // D14
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.begin(&key(1), "t1", "c", None).await.unwrap(), Begin::Fresh);
        journal.finish(&key(1), end("reply".into())).await.unwrap();
        let answered = Begin::Answered {
            task_id: "t1".into(),
            reply: "reply".into(),
        };
        assert_eq!(journal.begin(&key(1), "t2", "c", None).await.unwrap(), answered);
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(
            journal.begin(&key(1), "t3", "c", None).await.unwrap(),
            answered,
            "after a restart too"
        );
        assert_eq!(journal.answered_task("t1").await.unwrap(), ["reply"]);
        assert!(journal.answered_task("t2").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn interrupted_messages_run_afresh() {
        // D14
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.begin(&key(1), "t1", "c", None).await.unwrap();
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.begin(&key(1), "t2", "c", None).await.unwrap(), Begin::Fresh);
        journal.finish(&key(1), end("late".into())).await.unwrap();
        assert_eq!(journal.answered_task("t2").await.unwrap(), ["late"]);
    }

    #[tokio::test]
    async fn promises_outlive_the_process_until_they_are_kept() {
        // D14
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.begin(&key(1), "t1", "c", None).await.unwrap();
        journal.begin(&key(2), "t2", "c", Some("two".into())).await.unwrap();
        journal.begin(&key(3), "t3", "c", Some("three".into())).await.unwrap();
        journal.promise(&key(1), "one".into()).await.unwrap();
        journal.started(&key(1)).await.unwrap();
        journal.finish(&key(2), end("reply".into())).await.unwrap();
        journal.promise(&key(2), "too late".into()).await.unwrap();
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        let promise = |n, input: &str, starts| Promise {
            key: key(n),
            input: input.into(),
            starts,
        };
        assert_eq!(
            journal.promises().unwrap(),
            [promise(1, "one", 1), promise(3, "three", 0)]
        );
    }

    #[tokio::test]
    async fn files_of_earlier_versions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("journal.db")).unwrap();
        db.execute_batch(
            "CREATE TABLE message (
                 seq INTEGER PRIMARY KEY AUTOINCREMENT,
                 key TEXT NOT NULL UNIQUE,
                 task_id TEXT NOT NULL UNIQUE,
                 state TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'answered')),
                 reply TEXT
             );
             INSERT INTO message (key, task_id, state, reply) VALUES ('k', 't', 'answered', 'r');
             INSERT INTO message (key, task_id, state) VALUES ('l', 'u', 'running');",
        )
        .unwrap();
        drop(db);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.answered_task("t").await.unwrap(), ["r"]);
        assert_eq!(journal.promises().unwrap(), []);
        let begun = journal.begin(&key(1), "t1", "c", Some("i".into())).await.unwrap();
        assert_eq!(begun, Begin::Fresh);
    }

    #[test]
    fn an_id_with_other_content_is_another_message() {
        assert_ne!(Key::new("1", b"a"), Key::new("1", b"b"));
        assert_eq!(Key::new("1", b"a"), Key::new("1", b"a"));
    }

    #[tokio::test]
    async fn bounded_but_never_forgets_what_runs() {
        // D14
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open_bounded(dir.path(), 3).unwrap();
        journal.begin(&key(0), "running", "c", None).await.unwrap();
        for n in 1..=5 {
            journal.begin(&key(n), &format!("t{n}"), "c", None).await.unwrap();
            journal.finish(&key(n), end(format!("r{n}"))).await.unwrap();
        }
        for n in 1..=2 {
            assert!(journal.answered_task(&format!("t{n}")).await.unwrap().is_empty(), "{n}");
        }
        for n in 3..=5 {
            assert_eq!(
                journal.answered_task(&format!("t{n}")).await.unwrap(),
                [format!("r{n}")]
            );
        }
        journal.finish(&key(0), end("done".into())).await.unwrap();
    }

    #[tokio::test]
    async fn large_replies_are_bounded_together() {
        // D14
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let large = "x".repeat(30 << 20);
        for n in 1..=3 {
            journal.begin(&key(n), &format!("t{n}"), "c", None).await.unwrap();
            journal.finish(&key(n), end(large.clone())).await.unwrap();
        }
        let mut kept = Vec::new();
        for n in 1..=3 {
            kept.push(journal.answered_task(&format!("t{n}")).await.unwrap().len() == 1);
        }
        assert_eq!(kept, [false, true, true]);
    }

    #[tokio::test]
    async fn sessions_survive_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        for n in 0..=SESSIONS {
            journal.save_session(&format!("c{n}"), format!("[{n}]")).await.unwrap();
            // Use keeps a session alive.
            journal.save_session("kept", "[]".into()).await.unwrap();
        }
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.session("c0").await.unwrap(), None);
        assert_eq!(journal.session("kept").await.unwrap().as_deref(), Some("[]"));
        assert_eq!(
            journal.session(&format!("c{SESSIONS}")).await.unwrap(),
            Some(format!("[{SESSIONS}]"))
        );
    }

    #[tokio::test]
    async fn tasks_are_found_by_what_they_are() {
        // D24
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let rows = [
            ("t1", "a", "completed", 10),
            ("t2", "b", "failed", 20),
            ("t1", "a", "failed", 30),
            ("t3", "a", "completed", 30),
        ];
        for (n, (task, context, outcome, ended)) in rows.into_iter().enumerate() {
            journal.begin(&key(n), task, context, None).await.unwrap();
            let end = Ending {
                reply: format!("r{n}"),
                outcome,
                ended: Timestamp::from_micros(ended),
            };
            journal.finish(&key(n), end).await.unwrap();
        }
        assert_eq!(
            journal.answered_task("t1").await.unwrap(),
            ["r0", "r2"],
            "a task may have several turns"
        );
        let found = async |search: Search, after: Option<(i64, &str)>| {
            let after = after.map(|(at, id)| (Timestamp::from_micros(at), id.to_owned()));
            let (tasks, total) = journal.ended_tasks(search, after, 2).await.unwrap();
            let ids: Vec<_> = tasks.into_iter().map(|(id, _)| id).collect();
            (ids.join(" "), total)
        };
        let all = Search::default();
        assert_eq!(found(all.clone(), None).await, ("t3 t1".into(), 3), "by the last end");
        assert_eq!(found(all.clone(), Some((30, "t1"))).await, ("t2".into(), 3));
        let context_id = Some("a".to_owned());
        assert_eq!(
            found(
                Search {
                    context_id,
                    ..all.clone()
                },
                None
            )
            .await,
            ("t3 t1".into(), 2)
        );
        let outcome = Some("failed".to_owned());
        assert_eq!(
            found(Search { outcome, ..all.clone() }, None).await,
            ("t1 t2".into(), 2)
        );
        let since = Some(Timestamp::from_micros(21));
        let without = vec!["t3".to_owned()];
        assert_eq!(found(Search { since, without, ..all }, None).await, ("t1".into(), 1));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let usable = async || {
            let journal = Journal::open(dir.path()).unwrap();
            assert_eq!(journal.begin(&key(1), "t", "c", None).await.unwrap(), Begin::Fresh);
        };
        fs::write(&file, "this is no database, whatever it is called").unwrap();
        usable().await;
        let aside = dir.path().join("journal.db.broken");
        assert!(fs::read_to_string(&aside).unwrap().contains("no database"));
        // Another shape, and a directory in its place, over what was set aside before.
        let db = Connection::open(&file).unwrap();
        db.execute_batch("DROP TABLE message; CREATE TABLE message (x);")
            .unwrap();
        drop(db);
        usable().await;
        fs::remove_file(&file).unwrap();
        fs::create_dir_all(file.join("full")).unwrap();
        usable().await;
        assert!(aside.join("full").is_dir());
        usable().await;
        assert!(aside.is_dir(), "a journal that can be used stays");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o000)).unwrap();
        usable().await;
        assert!(aside.is_dir());
    }
}
