//! From an environment to a serving agent, and its end (RUN-10…17, D18).

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::AsFd,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use molecule_a2a::{
    ProtocolVersion,
    jsonrpc::{AgentCapabilities, AgentCard, AgentSkill},
};
use molecule_core::{Runtime, contract, limits};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    agents_md,
    config::Config,
    credentials::{InboundSecret, TokenStore},
    delegation::Delegator,
    engine::Adapter,
    env::{Settings, Vars},
    heartbeat::{Cadence, Heart, Identity},
    journal::Journal,
    peers::Directory,
    platform::Platform,
    plugins::Extensions,
    preflight,
    pulse::Pulse,
    runtimes::{
        self, EngineContext,
        native::{llm::Patience, local},
    },
    sandbox, selfprompt,
    server::{self, Inbox, Server},
    skills::Skill,
    state::{self, Exit},
    turns::{self, Turns},
};

/// What still hangs in a blocking call must not hold the process longer.
const THREADS_GRACE: Duration = Duration::from_millis(400);

/// Last line of the `AGENTS.md` that agents write.
const AGENTS_MD_MARK: &str =
    "<!-- Written by Molecule at every start of the agent. Without this line it is left alone. -->";

/// Paces that tests shorten.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tuning {
    /// Of the heartbeat.
    pub cadence: Cadence,
    /// With the model's provider.
    pub patience: Patience,
}

/// Runs the agent until it is told to stop. Must be called while the process has one thread: the sandbox binds only
/// the calling thread and what it starts (D18).
#[must_use]
pub fn main(vars: Vars) -> ExitCode {
    let state_dir = vars.get(contract::env::STATE_DIR).map(std::path::PathBuf::from);
    let settings = match Settings::from_vars(vars) {
        Ok(settings) => settings,
        Err(error) => return end(state_dir.as_deref(), &Exit::failed(error.to_string())),
    };
    let state_dir = settings.state_dir.clone();
    if let Err(error) = std::fs::create_dir_all(&state_dir) {
        return end(
            None,
            &Exit::failed(format!(
                "the state directory {} cannot be used: {error}",
                state_dir.display()
            )),
        );
    }
    state::clear(&state_dir);
    match sandbox::apply(&settings) {
        Ok(confinement) => sandbox::announce(confinement.as_ref()),
        Err(error) => return end(Some(&state_dir), &failed("sandbox", &error)),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(Some(&state_dir), &Exit::failed(format!("no async runtime: {error}"))),
    };
    let exit = runtime.block_on(async {
        let stop = CancellationToken::new();
        if let Err(error) = stop_on_signals(stop.clone()) {
            return Exit::failed(format!("signals cannot be handled: {error}"));
        }
        run(settings, Tuning::default(), stop).await
    });
    runtime.shutdown_timeout(THREADS_GRACE);
    end(Some(&state_dir), &exit)
}

fn end(state_dir: Option<&Path>, exit: &Exit) -> ExitCode {
    if exit.code == 0 {
        tracing::info!(reason = exit.reason, "agent ends");
    } else {
        tracing::error!(reason = exit.reason, code = exit.code, "agent ends");
    }
    if let Some(dir) = state_dir {
        state::write_exit(dir, exit);
    }
    ExitCode::from(exit.code)
}

fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        stop.cancel();
    });
    Ok(())
}

/// Boots, serves and stops; returns why it ended. The exit file is the caller's.
pub async fn run(settings: Settings, tuning: Tuning, stop: CancellationToken) -> Exit {
    match Agent::boot(settings, tuning).await {
        Ok(agent) => agent.serve(stop).await,
        Err(exit) => exit,
    }
}

/// A booted agent that listens but does not serve yet.
struct Agent {
    settings: Settings,
    config: Config,
    tuning: Tuning,
    platform: Arc<Platform>,
    pulse: Pulse,
    adapter: Arc<dyn Adapter>,
    extensions: Arc<Extensions>,
    turns: Arc<Turns>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Agent {
    async fn boot(mut settings: Settings, tuning: Tuning) -> Result<Self, Exit> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else's provider, set meanwhile, serves as well.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let config = Config::load(&settings.config_dir).map_err(|error| failed("configuration", &error))?;
        local::settle_model(&mut settings, &config)
            .await
            .map_err(|error| failed("native", &error))?;
        let engine = checked(&settings, &config)?;
        prepare_work_dir(&settings);
        let tokens = TokenStore::new(&settings.credentials_dir, settings.vars.secret(contract::env::TOKEN));
        let inbound = InboundSecret::new(&settings.credentials_dir);
        let platform = Platform::new(&settings.platform_url, settings.workspace_id, tokens, inbound)
            .map_err(|error| failed(contract::env::PLATFORM_URL, &error))?;
        let platform = Arc::new(platform);
        std::fs::create_dir_all(&settings.state_dir).map_err(|error| failed("state directory", &error))?;
        let journal = Journal::open(&settings.state_dir).map_err(|error| failed("journal", &error))?;
        let adapter = build_adapter(&engine, &settings, &config, tuning, &platform, &journal)?;
        let pulse = Pulse::default();
        let limits = turns::Limits {
            timeout: config.runtime_config.timeout,
            at_once: settings.max_concurrent_tasks,
        };
        let turns = Turns::start(Arc::clone(&adapter), journal, pulse.clone(), limits)
            .map_err(|error| failed("journal", &error))?;
        let bind = settings
            .bind
            .clone()
            .unwrap_or_else(|| format!("0.0.0.0:{}", config.a2a.port));
        let listener = TcpListener::bind(&bind)
            .await
            .map_err(|error| failed(&format!("cannot listen on {bind}"), &error))?;
        let address = listener.local_addr().map_err(|error| failed("listener", &error))?;
        keep_port(&listener).map_err(|error| failed("listener", &error))?;
        Ok(Self {
            settings,
            config,
            tuning,
            platform,
            pulse,
            adapter,
            extensions: engine.extensions,
            turns,
            listener,
            address,
        })
    }

    async fn serve(self, stop: CancellationToken) -> Exit {
        let url = self.url();
        self.write_agents_md();
        let card = self.card(&url);
        let Ok(card_json) = serde_json::to_value(&card) else {
            return Exit::failed("the agent card cannot be written as JSON");
        };
        let identity = Identity {
            card: card_json,
            url,
            metadata: self.adapter.capabilities().metadata(),
        };
        let heart = Heart::new(
            Arc::clone(&self.platform),
            self.pulse.clone(),
            identity,
            self.tuning.cadence,
        );
        let mut prompts = self.prompts(heart.registration());
        let server = Arc::new(Server {
            turns: Arc::clone(&self.turns),
            platform: Arc::clone(&self.platform),
            card,
            inbox: Inbox {
                work_dir: self.settings.work_dir.clone(),
                writable: self.settings.may_write_work_dir(),
            },
            runtime: self.adapter.name(),
        });
        let closing = CancellationToken::new();
        let serving = axum::serve(self.listener, server::router(server))
            .with_graceful_shutdown(closing.clone().cancelled_owned());
        let mut serving = tokio::spawn(serving.into_future());
        if let Err(error) = state::write_endpoint(&self.settings.state_dir, self.address.port()) {
            return failed("the endpoint file cannot be written", &error);
        }
        tracing::info!(address = %self.address, runtime = self.adapter.name(), "listening");
        let heart_stop = CancellationToken::new();
        let mut heart = tokio::spawn(heart.run(heart_stop.clone()));
        let exit = tokio::select! {
            () = stop.cancelled() => Exit::stopped("asked to stop"),
            end = &mut heart => match end {
                Ok(Some(exit)) => exit,
                Ok(None) => Exit::failed("the heartbeat ended"),
                Err(error) => Exit::failed(format!("the heartbeat crashed: {error}")),
            },
            end = &mut serving => Exit::failed(served(end)),
        };
        // The heart beats on while the last turn ends, so that the platform sees it end.
        self.turns.shut_down(limits::AGENT_TURN_GRACE).await;
        closing.cancel();
        if !serving.is_finished() && tokio::time::timeout(limits::AGENT_ANSWER_GRACE, serving).await.is_err() {
            tracing::warn!("some connections were still open");
        }
        heart_stop.cancel();
        prompts.shutdown().await;
        exit
    }

    /// What it tells itself (RUN-25…28).
    fn prompts(&self, registered: watch::Receiver<bool>) -> JoinSet<()> {
        let mut prompts = JoinSet::new();
        prompts.spawn(selfprompt::initial(
            self.config.initial_prompt.clone(),
            self.settings.clone(),
            Arc::clone(&self.platform),
            registered,
        ));
        prompts.spawn(selfprompt::idle(
            self.config.idle_prompt.clone(),
            self.config.idle_interval,
            Arc::clone(&self.platform),
            self.pulse.clone(),
        ));
        prompts
    }

    /// Where the platform finds this agent. One that the backend bound to loopback is known to it anyway (D13).
    fn url(&self) -> String {
        if let Some(url) = self.settings.vars.get(contract::env::AGENT_URL) {
            return url.to_owned();
        }
        if !self.address.ip().is_unspecified() {
            return format!("http://{}", self.address);
        }
        let machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host = self.settings.vars.get("HOSTNAME").map_or_else(machine, str::to_owned);
        format!("http://{host}:{}", self.address.port())
    }

    fn card(&self, url: &str) -> AgentCard {
        let skill = |skill: &Skill| AgentSkill {
            id: skill.id.clone(),
            name: skill.name.clone(),
            description: skill.description.clone(),
            tags: skill.tags.clone(),
            ..AgentSkill::default()
        };
        AgentCard {
            version: self.config.version.clone(),
            capabilities: AgentCapabilities {
                streaming: Some(self.config.a2a.streaming),
                // There is no way to configure any, whatever the file says.
                push_notifications: Some(false),
                ..AgentCapabilities::default()
            },
            skills: self.extensions.skills.iter().map(skill).collect(),
            other: both_versions(url),
            ..AgentCard::new(&self.config.name, &self.config.description, url)
        }
    }

    fn write_agents_md(&self) {
        let endpoint = self.settings.vars.get(contract::env::AGENT_URL).map_or_else(
            || format!("http://localhost:{}/a2a", self.address.port()),
            str::to_owned,
        );
        let path = self.settings.work_dir.join("AGENTS.md");
        if !may_replace(&self.settings, &path) {
            tracing::info!(file = %path.display(), "AGENTS.md is not ours to write");
            return;
        }
        let text = format!("{}\n{AGENTS_MD_MARK}\n", agents_md::render(&self.config, &endpoint));
        if let Err(error) = std::fs::write(&path, text) {
            tracing::warn!(file = %path.display(), %error, "AGENTS.md could not be written");
        }
    }
}

/// What a card of v1.0 has beyond one of v0.3: both versions are spoken at one address, each to those who ask for it, and
/// all but the card is for the holder of a bearer (D13, D24).
fn both_versions(url: &str) -> serde_json::Map<String, Value> {
    let interface = |version: ProtocolVersion| json!({ "url": url, "protocolBinding": "JSONRPC", "protocolVersion": version.header() });
    let members = json!({
        "supportedInterfaces": [interface(ProtocolVersion::V1_0), interface(ProtocolVersion::V0_3)],
        "securitySchemes": { "bearer": {
            "type": "http", "scheme": "bearer", "httpAuthSecurityScheme": { "scheme": "Bearer" },
        }},
        "security": [{ "bearer": [] }],
        "securityRequirements": [{ "schemes": { "bearer": { "list": [] } } }],
    });
    match members {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}

/// In the workspace's own directory `AGENTS.md` is the agent's (RUN-12). In somebody's project it is theirs, unless an
/// agent left it there (PROV-60).
fn may_replace(settings: &Settings, agents_md: &Path) -> bool {
    if !settings.works_in_host_dir() {
        return true;
    }
    let absent = || {
        agents_md
            .symlink_metadata()
            .is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    let ours = || std::fs::read_to_string(agents_md).is_ok_and(|text| text.contains(AGENTS_MD_MARK));
    settings.may_write_work_dir() && (absent() || ours())
}

/// What preflight has found to run, and with what.
struct Engine {
    runtime: Runtime,
    extensions: Arc<Extensions>,
}

/// RUN-11: warnings are logged, failures end the boot.
fn checked(settings: &Settings, config: &Config) -> Result<Engine, Exit> {
    let report = preflight::check(settings, config);
    for warning in &report.warnings {
        tracing::warn!("preflight: {warning}");
    }
    match report.runtime {
        Some(runtime) if report.failures.is_empty() => Ok(Engine {
            runtime,
            extensions: Arc::new(report.extensions),
        }),
        _ => Err(Exit::failed(format!(
            "preflight failed: {}",
            report.failures.join("; ")
        ))),
    }
}

/// Keeps the port for as long as the process lives, whatever becomes of the server on it: the platform takes the life of
/// the process for proof that the port is the agent's, and nobody may have it before (D32).
fn keep_port(listener: &TcpListener) -> io::Result<()> {
    std::mem::forget(listener.as_fd().try_clone_to_owned()?);
    Ok(())
}

/// Best effort (RUN-10). Open to all only where the directory is the container's own: elsewhere it may be somebody's
/// project.
fn prepare_work_dir(settings: &Settings) {
    use std::os::unix::fs::PermissionsExt;
    if !settings.may_write_work_dir() {
        return;
    }
    for dir in [
        settings.work_dir.clone(),
        settings.work_dir.join(".molecule/chat-uploads"),
    ] {
        let made = std::fs::create_dir_all(&dir).and_then(|()| match settings.work_dir.to_str() {
            Some("/workspace") => std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)),
            _ => Ok(()),
        });
        if let Err(error) = made {
            tracing::warn!(dir = %dir.display(), %error, "directory could not be prepared");
        }
    }
}

fn build_adapter(
    engine: &Engine,
    settings: &Settings,
    config: &Config,
    tuning: Tuning,
    platform: &Arc<Platform>,
    journal: &Journal,
) -> Result<Arc<dyn Adapter>, Exit> {
    let limits = config.delegation.overridden(&settings.vars);
    let context = EngineContext {
        settings,
        config,
        extensions: Arc::clone(&engine.extensions),
        platform: Arc::clone(platform),
        directory: Arc::new(Directory::new(Arc::clone(platform))),
        delegator: Arc::new(Delegator::new(Arc::clone(platform), limits)),
        journal: journal.clone(),
        patience: tuning.patience,
    };
    runtimes::build(engine.runtime, &context).map_err(|error| failed("runtime", &error))
}

fn failed(what: &str, error: &dyn std::error::Error) -> Exit {
    let mut reason = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        reason = format!("{reason}: {inner}");
        cause = inner.source();
    }
    Exit::failed(reason)
}

/// Why a server that nobody asked to ended.
fn served(end: Result<io::Result<()>, JoinError>) -> String {
    match end {
        Ok(Ok(())) => "the server ended".to_owned(),
        Ok(Err(error)) => format!("the server failed: {error}"),
        Err(error) => format!("the server crashed: {error}"),
    }
}
