//! The composition root: turns a configuration into a running server, and takes it down again.

mod backend;
mod compose;
mod exclusive;
mod models;
mod presence;
mod starter;

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, bail};
use molecule_api::{Api, Tls};
use molecule_backends::Backend;
use molecule_platform::Platform;
use molecule_store::ExclusiveLock;
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    boot::{Anchor, DataDir, DataLock, Endpoint, EndpointFile, LogHandle, bind, reach_database},
    config::{AuthMode, ServerConfig},
    output,
};

/// How the server was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `molecule up`: imports the starter organisation into an empty store and takes its agents down with it.
    Up,
    /// `molecule server`: leaves agents running for the next server to adopt (D19).
    Server,
}

/// Runs until SIGINT, SIGTERM or SIGHUP, then drains and returns.
///
/// # Errors
/// What kept the server from starting, or ended it; a text for the operator.
pub async fn run_server(config: ServerConfig, mode: Mode, log: LogHandle) -> Result<()> {
    let begun = Instant::now();
    // Handled from here on: a signal during the boot is a wish to stop in order, not to be killed half-way.
    let mut signals = Signals::install()?;
    let Some(server) = Server::boot(&config, log, begun, &mut signals).await? else {
        tracing::info!("stopped before the database answered");
        return Ok(());
    };
    let starter = match mode {
        Mode::Up => starter::into_empty(&server.platform, &config, &server.dir).await,
        Mode::Server => None,
    };
    server.announce(mode);
    if let Some(starter) = starter {
        starter.import(&server.platform, &config).await;
    }
    tokio::select! {
        () = signals.received() => {}
        () = server.displaced.cancelled() => {
            tracing::error!(dir = %server.dir.root().display(), "the data directory was deleted or replaced: this server stops");
        }
        () = server.usurped.cancelled() => {
            tracing::error!("another Molecule server has taken the database: this one stops");
        }
    }
    server.shut_down(mode).await
}

/// Answers requests until `stop`.
fn serve(api: &Api, listener: TcpListener, tls: Option<Tls>, stop: CancellationToken) -> JoinHandle<()> {
    let api = api.clone();
    tokio::spawn(async move {
        let stop = Box::pin(stop.cancelled_owned());
        api.serve(listener, tls, stop).await;
    })
}

/// A server that answers.
struct Server {
    dir: DataDir,
    /// Where it is reached from this machine.
    url: String,
    /// Everybody on this machine is admin.
    open: bool,
    platform: Platform,
    api: Api,
    backend: Option<Arc<dyn Backend>>,
    serving: JoinHandle<()>,
    endpoint_file: EndpointFile,
    /// Cancelled when another server has the database.
    usurped: CancellationToken,
    /// Cancelled when the data directory is not there any more.
    displaced: CancellationToken,
    /// Held until nothing is written any more.
    database_lock: Arc<Mutex<ExclusiveLock>>,
    _data_lock: DataLock,
}

impl Server {
    /// `None`: a signal came while the database was waited for.
    async fn boot(
        config: &ServerConfig,
        log: LogHandle,
        begun: Instant,
        signals: &mut Signals,
    ) -> Result<Option<Self>> {
        // What needs no data directory comes first: a server that cannot start leaves nothing behind.
        let backend = backend::choose(config)?;
        let tls = config
            .tls
            .as_ref()
            .map(|(certificate, key)| Tls::load(certificate, key));
        let tls = tls.transpose()?;
        DataLock::look(&config.data_dir)?;
        let listener = bind(config.listen()).await?;
        let address = listener
            .local_addr()
            .context("the listening address could not be read")?;
        tokio::select! {
            reached = reach_database(&config.database_url) => reached?,
            () = signals.received() => return Ok(None),
        }
        let dir = DataDir::create(&config.data_dir)?;
        let data_lock = DataLock::acquire(&dir)?;
        dir.check_version()?;
        let (store, database_lock) = compose::open_store(config.database_url.expose_secret()).await?;
        let composed = compose::compose(config, log, &dir, address, backend, store).await?;
        let database_lock = Arc::new(Mutex::new(database_lock));
        let usurped = exclusive::watch(database_lock.clone(), &composed.platform.supervisor);
        let displaced = presence::watch(anchors(config, &dir)?, &composed.platform.supervisor);
        let endpoint = Endpoint::of(address);
        let endpoint_file = EndpointFile::write(&dir, &endpoint)?;

        let stop = composed.platform.supervisor.stopping();
        let secure = tls.is_some();
        let serving = serve(&composed.api, listener, tls, stop);
        tracing::info!(
            url = %endpoint.url,
            backend = composed.platform.provisioner.backend_name(),
            tls = secure,
            ms = begun.elapsed().as_millis(),
            "listening"
        );
        let server = Self {
            dir,
            url: endpoint.url,
            open: config.auth == AuthMode::Open,
            platform: composed.platform,
            api: composed.api,
            backend: composed.backend,
            serving,
            endpoint_file,
            usurped,
            displaced,
            database_lock,
            _data_lock: data_lock,
        };
        server.settle(begun).await?;
        Ok(Some(server))
    }

    /// Takes over what an earlier server left running.
    async fn settle(&self, begun: Instant) -> Result<()> {
        let settled = self.platform.begin().await;
        let recovered = settled.context("the workspaces of an earlier run could not be settled")?;
        tracing::info!(
            adopted = recovered.adopted,
            ended = recovered.ended,
            restarted = recovered.restarted,
            boot_ms = begun.elapsed().as_millis(),
            "server ready"
        );
        Ok(())
    }

    /// Tells where the server is and how to sign in, once that is true: the schema is checked, and what an earlier run
    /// left is settled. A service's output is a journal that many read, and no place for a login link.
    fn announce(&self, mode: Mode) {
        let url = self.platform.config.public_url.as_ref().unwrap_or(&self.url);
        let login = (mode == Mode::Up && !self.open).then(|| self.api.issue_login_url(url));
        output::line(&match login.flatten() {
            Some(login) => format!("Molecule is running. Sign in: {login}"),
            None if self.open => {
                format!("Molecule is running at {url} (open mode: everybody on this machine is admin)")
            }
            None => format!("Molecule is running at {url}; `molecule login` prints a login link"),
        });
    }

    async fn shut_down(self, mode: Mode) -> Result<()> {
        tracing::info!("stopping: requests in flight are finished first");
        // It holds the services, whose last handles are waited for.
        drop(self.api);
        let drained = self.platform.shutdown().await;
        drop(self.database_lock);
        // Nobody could adopt them: what is known of them went with the directory.
        if (mode == Mode::Up || self.displaced.is_cancelled())
            && let Some(backend) = self.backend
        {
            match backend.stop_all().await {
                Ok(ended) => report_stops(&ended),
                Err(error) => tracing::error!(%error, "agents not stopped"),
            }
        }
        self.serving.await.context("the HTTP server ended abnormally")?;
        if !self.displaced.is_cancelled() {
            // Else the place may be another server's by now.
            self.endpoint_file.remove()?;
        }
        if !drained {
            tracing::warn!("not everything in flight ended in time");
        }
        tracing::info!("stopped");
        if self.displaced.is_cancelled() {
            bail!(
                "the data directory {} was deleted or replaced while the server ran; what was written after that is lost",
                self.dir.root().display()
            );
        }
        if self.usurped.is_cancelled() {
            bail!("another Molecule server has taken the database; there can be one per database");
        }
        Ok(())
    }
}

/// What must stay as it is while the server runs: its lock, which stands for the directory, and its database.
fn anchors(config: &ServerConfig, dir: &DataDir) -> Result<Vec<Anchor>> {
    let lock = dir.server_file("lock");
    let lock = Anchor::of(&lock).with_context(|| format!("{} is not there", lock.display()))?;
    // A database whose place is not known by its URL is not watched; the directory is.
    let database = config.database_file().and_then(|path| Anchor::of(path).ok());
    Ok(std::iter::once(lock).chain(database).collect())
}

fn report_stops(ended: &molecule_backends::StopAll) {
    for (workspace, error) in &ended.failed {
        tracing::error!(%workspace, %error, "agent not stopped");
    }
    tracing::info!(stopped = ended.stopped.len(), "agents stopped");
}

/// What ends the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal was closed. Nobody handles it whom its parent told to ignore it, as `nohup` does.
    hangup: Option<Signal>,
}

impl Signals {
    fn install() -> Result<Self> {
        let hangup = (!hangup_is_ignored()).then(|| signal(SignalKind::hangup()));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?,
            hangup: hangup.transpose().context("SIGHUP cannot be handled")?,
        })
    }

    async fn received(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }
}

/// The mask of ignored signals begins with SIGHUP.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
