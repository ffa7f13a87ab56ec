use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbBackend, DbErr, Statement, Value,
    sqlx::{Connection as _, sqlite::SqliteConnectOptions},
};

use crate::{
    DbError, WriteGate,
    writer::{BoxFuture, Writer},
};

/// Which engine stores the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the data directory.
    Sqlite,
    /// A PostgreSQL server, version 14 or newer.
    Postgres,
}

impl FromStr for Engine {
    type Err = DbError;

    /// From the scheme of a database URL.
    fn from_str(url: &str) -> Result<Self, DbError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            other => Err(DbError::UnknownEngine(other.unwrap_or_default().to_owned())),
        }
    }
}

/// Connections of readers (SQLite) or of everything (PostgreSQL).
const POOL_CONNECTIONS: u32 = 8;
/// How long to wait for a pooled connection, and for a first one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle time after which a pooled connection is tried before it is used: the database may have been restarted since.
const UNTRIED: Duration = Duration::from_secs(1);
/// How long a PostgreSQL statement may run, waits for locks included; migrations may run longer.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// PostgreSQL looks after 10 seconds of silence whether we are still there, so that what a vanished server held, its
/// locks above all, comes free soon.
const KEEPALIVE: [(&str, &str); 3] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];
/// How long SQLite waits for a lock held by another process, e.g. an offline tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLite page cache per connection, KiB. Small: the operating system caches the file as well, and an idle server
/// should stay small.
const SQLITE_CACHE_KIB: i64 = 2_048;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    reader: DatabaseConnection,
    writer: Writer,
    url: Arc<str>,
    sqlite_path: Option<Arc<str>>,
}

impl fmt::Debug for Db {
    /// Without the URL, which may carry a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl Db {
    /// Opens `url`: `sqlite:///absolute/path.db` (created when missing) or `postgres://…`.
    ///
    /// # Errors
    /// The scheme is unknown or the database cannot be opened.
    pub fn connect(url: &str) -> BoxFuture<'_, Result<Self, DbError>> {
        Box::pin(Self::connect_inner(url))
    }

    async fn connect_inner(url: &str) -> Result<Self, DbError> {
        let engine: Engine = url.parse()?;
        let mut sqlite_path = None;
        let (reader, writer) = match engine {
            Engine::Sqlite => {
                sqlite_path = Some(file_of(url)?);
                // The writer first: it creates the file and switches it to WAL.
                let writer = open_sqlite(url, Access::Write).await?;
                let relaxed = open_sqlite(url, Access::WriteRelaxed).await?;
                let reader = open_sqlite(url, Access::Read).await?;
                (reader, Writer::exclusive(writer, relaxed))
            }
            Engine::Postgres => {
                let pool = open_postgres(url, POOL_CONNECTIONS).await?;
                (pool.clone(), Writer::pooled(pool))
            }
        };
        Ok(Self {
            engine,
            reader,
            writer,
            url: url.into(),
            sqlite_path,
        })
    }

    /// The same PostgreSQL database through one connection of its own, which can be given up without those of others.
    /// On SQLite there is but one writer, and this is a clone.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub fn apart(&self) -> BoxFuture<'_, Result<Self, DbError>> {
        Box::pin(self.apart_inner())
    }

    async fn apart_inner(&self) -> Result<Self, DbError> {
        if self.engine == Engine::Sqlite {
            return Ok(self.clone());
        }
        let connection = open_postgres(&self.url, 1).await?;
        Ok(Self {
            reader: connection.clone(),
            writer: Writer::pooled(connection),
            ..self.clone()
        })
    }

    /// The engine in use.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where reads go. On SQLite these connections refuse to write.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// The gate that serialises writers of one SQLite file within this process; `None` on PostgreSQL. A writer that
    /// bypasses [`Db::tx`] (the activity writer's own connection) takes it around each transaction.
    #[must_use]
    pub fn write_gate(&self) -> Option<WriteGate> {
        self.writer.gate()
    }

    /// Path of the SQLite file; `None` on PostgreSQL.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&str> {
        self.sqlite_path.as_deref()
    }

    /// The connection URL; may carry a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// A statement with `$1`-style parameters, which both engines read.
    #[must_use]
    pub fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.backend(), sql, values)
    }

    /// SeaORM's name for the engine.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.reader.get_database_backend()
    }

    /// Closes every connection; on SQLite the write-ahead log is checkpointed by the last one.
    ///
    /// # Errors
    /// A connection failed while closing.
    pub async fn close(self) -> Result<(), DbError> {
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }
}

/// The file a SQLite URL names, percent-encoding undone, as the connections below see it.
fn file_of(url: &str) -> Result<Arc<str>, DbError> {
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(|error: sea_orm::sqlx::Error| DbError::Connect(DbErr::Custom(error.to_string())))?;
    // Readers, the writer and the activity writer must see one and the same database, so memory will not do.
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(DbError::NotAFile);
    }
    options.get_filename().to_str().map(Into::into).ok_or(DbError::NotAFile)
}

/// Opens connections to PostgreSQL, none of which waits for ever.
pub(crate) async fn open_postgres(url: &str, connections: u32) -> Result<DatabaseConnection, DbError> {
    let mut options = pool_options(url, connections);
    options
        .test_before_acquire_if_idle_for(UNTRIED)
        .statement_timeout(STATEMENT_TIMEOUT)
        .map_sqlx_postgres_opts(|postgres| postgres.options(KEEPALIVE));
    Database::connect(options).await.map_err(DbError::Connect)
}

/// Opens the one connection of a session that lasts: what it holds is lost with it.
pub(crate) async fn open_session(url: &str) -> Result<DatabaseConnection, DbError> {
    let mut options = pool_options(url, 1);
    options
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .map_sqlx_postgres_opts(|postgres| postgres.options(KEEPALIVE));
    Database::connect(options).await.map_err(DbError::Connect)
}

fn pool_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .test_before_acquire(false);
    options
}

/// What connections to a SQLite file are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// A pool that refuses to write.
    Read,
    /// One connection whose commits survive a power cut.
    Write,
    /// One connection whose commits survive a killed process.
    WriteRelaxed,
}

/// Opens one connection that moves the write-ahead log into the database; it waits `patience` for readers of the log.
pub(crate) async fn open_checkpointer(url: &str, patience: Duration) -> Result<DatabaseConnection, DbError> {
    let mut options = pool_options(url, 1);
    options.map_sqlx_sqlite_opts(move |sqlite| sqlite.busy_timeout(patience).pragma("synchronous", "FULL"));
    Database::connect(options).await.map_err(DbError::Connect)
}

/// Pragmas go through the connect options, so that every connection of the pool has them.
async fn open_sqlite(url: &str, access: Access) -> Result<DatabaseConnection, DbError> {
    let writes = access != Access::Read;
    let mut options = pool_options(url, if writes { 1 } else { POOL_CONNECTIONS });
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .create_if_missing(access == Access::Write)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", format!("-{SQLITE_CACHE_KIB}"))
            .pragma(
                "synchronous",
                if access == Access::WriteRelaxed {
                    "NORMAL"
                } else {
                    "FULL"
                },
            );
        if writes {
            sqlite.pragma("journal_mode", "WAL")
        } else {
            sqlite.pragma("query_only", "ON")
        }
    });
    if writes {
        // A lone connection must not be closed and reopened behind the writer's back.
        options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        // But for one that does not know how its last transaction ended. SQLite itself rolls back when the disk is full,
        // the driver's own attempt fails then, and it would take every later transaction for a part of that one:
        // acknowledged, and never committed.
        options.map_sqlx_sqlite_before_acquire(|connection, _| {
            Box::pin(std::future::ready(Ok(!connection.is_in_transaction())))
        });
    }
    Database::connect(options).await.map_err(DbError::Connect)
}
