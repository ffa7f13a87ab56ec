//! Puts store, services and HTTP together.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use molecule_agent::preflight::AVAILABLE;
use molecule_api::{Api, ApiConfig, ControlPlane, Rates};
use molecule_backends::Backend;
use molecule_core::{Runtime, limits, netguard};
use molecule_platform::{AuthMode, Config, Platform, Setup, numbers, secrets::Keyring};
use molecule_store::{ExclusiveLock, Store};
use molecule_templates::{load_allowlist, manifest_candidates, materialise_embedded};
use molecule_wire::ops::ServerInfo;
use secrecy::ExposeSecret;

use super::{backend, models::StoredModels};
use crate::{
    boot::{
        self, DataDir, FileVault, LogHandle, admin_token, audit_key, check_secrets_key, forget_retired_keys,
        retired_keys, secrets_key,
    },
    config::{self, ServerConfig},
};

/// A server that is ready to listen.
pub(super) struct Composed {
    pub(super) platform: Platform,
    pub(super) api: Api,
    pub(super) backend: Option<Arc<dyn Backend>>,
}

/// Opens the database for this server alone. A server that is refused has not touched the schema of the other.
pub(super) async fn open_store(url: &str) -> Result<(Store, ExclusiveLock)> {
    let store = Store::connect(url).await.context("the database cannot be used")?;
    let lock = store.db().exclusive_lock().await?;
    store.migrate().await.context("the database cannot be used")?;
    Ok((store, lock))
}

pub(super) async fn compose(
    config: &ServerConfig,
    log: LogHandle,
    dir: &DataDir,
    address: SocketAddr,
    choice: backend::Choice,
    store: Store,
) -> Result<Composed> {
    check_secrets_key(dir, config, store.has_sealed_secrets().await?)?;
    let keyring = keyring(config, dir)?;
    forget_unneeded_keys(&store, &keyring, dir).await?;
    let backend = backend::open(choice, config, dir)?;
    materialise_embedded(&boot::templates::shipped(dir)).context("the shipped templates cannot be laid out")?;
    let working_dir = std::env::current_dir().unwrap_or_default();
    let runtimes = load_allowlist(&manifest_candidates(config.manifest_path.as_deref(), &working_dir));
    if let Some(manifest) = &runtimes.manifest {
        tracing::info!(manifest = %manifest.display(), "runtimes are limited by a manifest");
    }
    let platform = Platform::build(Setup {
        config: platform_config(config, dir, address)?,
        store,
        keyring,
        backend: backend.clone(),
        paths: boot::templates::paths(config.configs_dir.as_deref(), dir),
        allowlist: runtimes.allowlist,
    })
    .await
    .context("the services cannot be put together")?;
    boot::name_workspaces(platform.names());
    let runs_here = backend.as_ref().is_some_and(|backend| backend.name() == "process");
    let about = about(config, &platform, backend.is_some(), runs_here);
    let vault = FileVault::new(dir.clone(), config);
    let api = Api::new(platform.clone(), api_config(config, about, log, vault, &platform)?);
    Ok(Composed { platform, api, backend })
}

fn keyring(config: &ServerConfig, dir: &DataDir) -> Result<Keyring> {
    let current = Keyring::of(secrets_key(dir, config)?.expose_secret());
    let retired = retired_keys(dir, config)?;
    let ring = retired
        .iter()
        .fold(current, |ring, retired| ring.with_retired(retired.expose_secret()));
    Ok(ring.with_audit(audit_key(dir, config)?.expose_secret()))
}

/// Generated keys that nothing is sealed with any more are deleted; here, because nobody stores anything yet.
async fn forget_unneeded_keys(store: &Store, keyring: &Keyring, dir: &DataDir) -> Result<()> {
    let others = store.sealed_by_others(keyring.id(), None, 1).await?;
    if others.is_empty() {
        if forget_retired_keys(dir)? {
            tracing::info!("the earlier keys of the secrets are not needed any more and were deleted");
        }
    } else {
        tracing::warn!(
            "some stored secrets are sealed with an earlier key; `molecule secrets rotate` seals them with the present one"
        );
    }
    Ok(())
}

/// Starts of one import at a time; logged, because it decides how long an import takes (PROV-138).
fn provision_concurrency(config: &ServerConfig) -> usize {
    let cap = config
        .provision_concurrency
        .map_or(limits::PROVISION_CONCURRENCY_UNLIMITED, |cap| cap.get() as usize);
    tracing::info!(
        cap,
        unlimited = config.provision_concurrency.is_none(),
        "concurrent starts of an import"
    );
    cap
}

fn platform_config(config: &ServerConfig, dir: &DataDir, address: SocketAddr) -> Result<Config> {
    let trimmed = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
    Ok(Config {
        auth: match config.auth {
            config::AuthMode::Required => AuthMode::Required,
            config::AuthMode::Open => AuthMode::Open,
        },
        admin_token: admin_token(dir, config)?,
        platform_url: config
            .platform_url
            .as_ref()
            .map_or_else(|| boot::Endpoint::of(address).url, trimmed),
        public_url: config.public_url.as_ref().map(trimmed),
        netguard: netguard::Policy {
            saas: config.saas,
            dev: config.is_development(),
            open: config.auth == config::AuthMode::Open,
            own_port: Some(address.port()),
        },
        production: config.is_production(),
        workspace_dir: config.workspace_dir.clone(),
        provision_timeout: config.provision_timeout,
        provision_concurrency: provision_concurrency(config),
        import_pause: config.import_pause,
        remote_stale_after: config.remote_stale_after,
        a2a_idle_timeout: config.a2a_idle_timeout,
        a2a_header_timeout: config.a2a_header_timeout,
        a2a_in_flight: config.a2a_in_flight,
        a2a_in_flight_per_agent: config.a2a_in_flight_per_agent,
        concurrent_starts: config.concurrent_starts,
        crash_restarts: config.crash_restarts,
        activity_retention: config.activity_retention,
        activity_cleanup: config.activity_cleanup,
    })
}

/// What the server tells of itself. The agent's own list counts only where this program is the agent.
fn about(config: &ServerConfig, platform: &Platform, has_backend: bool, processes: bool) -> ServerInfo {
    let own = if processes { &AVAILABLE[..] } else { &[] };
    ServerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        database: crate::backup::Database::of(config.database_url.expose_secret())
            .engine()
            .to_owned(),
        backend: has_backend.then(|| platform.provisioner.backend_name().to_owned()),
        sandbox: processes.then(|| config.sandbox.as_str().to_owned()),
        runtimes: own.iter().copied().chain([Runtime::External]).collect(),
    }
}

fn api_config(
    config: &ServerConfig,
    about: ServerInfo,
    log: LogHandle,
    vault: FileVault,
    platform: &Platform,
) -> Result<ApiConfig> {
    let mut recorder = PrometheusBuilder::new();
    for (name, buckets) in numbers::BUCKETS {
        recorder = recorder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    let metrics = recorder.install_recorder().context("metrics cannot be recorded")?;
    numbers::describe();
    Ok(ApiConfig {
        rates: Rates {
            address: config.rate_limit,
            credential: config.credential_rate,
            sockets: config.sockets_per_credential,
            ..Rates::default()
        },
        bodies: config.bodies,
        cors_origins: config.cors_origins.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        metrics_public: config.metrics_public,
        metrics: Some(metrics),
        log: Some(Arc::new(log)),
        models: Some(Arc::new(StoredModels::new(platform.secrets.clone()))),
        vault: Some(Arc::new(vault)),
        control_plane: config.cp_upstream_url.clone().map(|url| ControlPlane {
            url,
            org_slug: config.org_slug.clone(),
        }),
        canvas_proxy: config.canvas_proxy_url.clone(),
        org_id: config.org_id.clone(),
        test_tokens: config.test_tokens,
        about,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // D19: a server that is refused leaves the schema as it is.
    #[tokio::test]
    async fn a_refused_server_migrates_nothing() {
        let database = molecule_testkit::sqlite::database();
        let other = Store::connect(database.url()).await.unwrap();
        let lock = other.db().exclusive_lock().await.unwrap();
        let refused = open_store(database.url()).await.unwrap_err();
        assert!(refused.to_string().contains("another Molecule server"), "{refused}");
        assert!(other.events_head().await.is_err(), "there is a schema");
        drop(lock);
        let (store, _lock) = open_store(database.url()).await.unwrap();
        store.events_head().await.unwrap();
    }
}
