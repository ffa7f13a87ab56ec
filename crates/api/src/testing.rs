//! A state for unit tests of what needs services.

use molecule_core::runtime::Allowlist;
use molecule_platform::{Config, Paths, Platform, Setup, secrets::Keyring};
use molecule_store::Store;
use molecule_testkit::{
    log::Captured,
    sqlite::{self, TestDatabase},
};
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

/// Keeps what this thread logs as long as the guard lives.
pub(crate) fn log() -> (Captured, DefaultGuard) {
    let log = Captured::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || written.clone());
    (log, tracing::subscriber::set_default(subscriber.finish()))
}
