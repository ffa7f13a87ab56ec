use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use sea_orm::{DatabaseConnection, DbBackend, FromQueryResult, Statement};

use crate::{Db, DbError, connect};

/// Key of the advisory lock that a server holds on its PostgreSQL database: "molecule" in ASCII.
const SERVER_LOCK: i64 = 0x6d6f_6c65_6375_6c65;
/// How long the database may take to say whether the lock is still held.
const ANSWER: Duration = Duration::from_secs(10);

/// Keeps other servers off a database. Released when dropped and when the process ends, however it ends.
#[derive(Debug)]
pub struct ExclusiveLock(Held);

#[derive(Debug)]
enum Held {
    /// A lock on a file beside the SQLite database. The kernel keeps it as long as the file is open.
    File(#[allow(dead_code, reason = "held, not read")] File),
    Session(Session),
}

/// A PostgreSQL session, which the lock belongs to.
#[derive(Debug)]
struct Session {
    url: String,
    /// `None` after it failed.
    connection: Option<DatabaseConnection>,
    /// Process of the session that took the lock.
    backend: i32,
}

/// How a lock was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It was held all the time.
    Kept,
    /// Its session had ended, and it was free to be taken again.
    Retaken,
}

#[derive(FromQueryResult)]
struct Taken {
    taken: bool,
    backend: i32,
}

impl Db {
    /// Takes the database for this server alone: caches and backends belong to one (D19).
    ///
    /// # Errors
    /// [`DbError::InUse`] if another server has it.
    pub async fn exclusive_lock(&self) -> Result<ExclusiveLock, DbError> {
        if let Some(path) = self.sqlite_path() {
            return lock_file(Path::new(path)).map(|file| ExclusiveLock(Held::File(file)));
        }
        let connection = connect::open_session(self.url()).await?;
        let row = take(&connection).await?;
        if !row.taken {
            return Err(DbError::InUse);
        }
        Ok(ExclusiveLock(Held::Session(Session {
            url: self.url().to_owned(),
            connection: Some(connection),
            backend: row.backend,
        })))
    }
}

impl ExclusiveLock {
    /// Makes sure of the lock: a session that PostgreSQL ended has lost it, and it is taken again if it is free.
    ///
    /// # Errors
    /// [`DbError::InUse`]: another server has taken it since. Others: the database gave no answer, so nothing is known;
    /// ask again.
    pub async fn verify(&mut self) -> Result<Hold, DbError> {
        match &mut self.0 {
            Held::File(_) => Ok(Hold::Kept),
            Held::Session(session) => session.verify().await,
        }
    }
}

impl Session {
    async fn verify(&mut self) -> Result<Hold, DbError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect::open_session(&self.url).await?,
        };
        // A connection that fails is not put back: nothing is known of a session that does not answer.
        let row = tokio::time::timeout(ANSWER, take(&connection))
            .await
            .map_err(|_| DbError::NoAnswer)??;
        if !row.taken {
            return Err(DbError::InUse);
        }
        self.connection = Some(connection);
        let before = std::mem::replace(&mut self.backend, row.backend);
        Ok(if before == row.backend {
            Hold::Kept
        } else {
            Hold::Retaken
        })
    }
}

/// Takes the lock or finds it taken. A session that has it may take it again: it counts, and gives everything back at
/// its end.
async fn take(connection: &DatabaseConnection) -> Result<Taken, DbError> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_try_advisory_lock($1) AS taken, pg_backend_pid() AS backend",
        [SERVER_LOCK.into()],
    );
    let row = Taken::find_by_statement(statement).one(connection).await?;
    row.ok_or(DbError::NoAnswer)
}

/// Locks `<database>.lock`. The database itself will not do: SQLite has locks of its own on it.
fn lock_file(database: &Path) -> Result<File, DbError> {
    let failed = |path: &Path, error| DbError::LockFile {
        path: path.to_owned(),
        error,
    };
    // However the database was named, it has one lock.
    let database = database.canonicalize().map_err(|error| failed(database, error))?;
    let mut path = database.into_os_string();
    path.push(".lock");
    let path = Path::new(&path);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DbError::InUse),
        Err(TryLockError::Error(error)) => Err(failed(path, error)),
    }
}
