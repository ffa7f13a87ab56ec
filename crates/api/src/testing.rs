//! A state for unit tests of what needs services.

use std::sync::Arc;

use molecule_core::runtime::Allowlist;
use molecule_platform::{Config, Paths, Platform, Setup, secrets::Keyring};
use molecule_store::Store;
use molecule_testkit::sqlite::{self, TestDatabase};
use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;

use crate::{ApiConfig, state::ApiState};

/// A state over a fresh database, which lives as long as the guard.
pub(crate) async fn state() -> (ApiState, TestDatabase) {
    let database = sqlite::database();
    let store = Store::open(database.url()).await.unwrap();
    let platform = Platform::build(Setup {
        config: Config {
            admin_token: "admin".to_owned().into(),
            ..Config::default()
        },
        store,
        keyring: Keyring::of(&[7; 32]),
        backend: None,
        paths: Paths::default(),
        allowlist: Allowlist::fallback(),
    });
    (
        ApiState::new(platform.await.unwrap(), ApiConfig::default(), bytes::Bytes::new),
        database,
    )
}

/// What this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps what this thread logs as long as the guard lives.
pub(crate) fn log() -> (Log, DefaultGuard) {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || written.clone());
    (log, tracing::subscriber::set_default(subscriber.finish()))
}
