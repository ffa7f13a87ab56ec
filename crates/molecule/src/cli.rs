//! Commands and their arguments.

mod global;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use self::global::Global;
use crate::{
    commands::{
        activity::ActivityArgs, audit::AuditArgs, cancel::CancelArgs, events::EventsArgs, help::HelpArgs,
        login::LoginArgs, org::OrgCommand, secret::SecretCommand, send::SendArgs, session::SessionCommand,
        token::TokenCommand, ws::WsCommand,
    },
    config::{Flags, settings},
};

const AFTER_HELP: &str = "\
Environment:
  MOLECULE_URL        address of the server
  MOLECULE_TOKEN      credential to present (else ADMIN_TOKEN, else the data directory's admin_token)
  MOLECULE_DATA_DIR   data directory

Exit codes:
  0 done   1 failed   2 wrong usage or configuration   3 not found   4 refused   5 server not reachable   130 interrupted

`molecule help` lists the chapters that explain how things fit together.";

/// Runs organisations of AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "molecule",
    version,
    after_help = AFTER_HELP,
    propagate_version = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine; Ctrl-C stops the agents too
    Up(ServerArgs),
    /// Run the server; agents survive its restart
    Server(ServerArgs),
    /// Run the agent of one workspace, configured by its environment (started by the server)
    Agent,
    /// Try to get out of the sandbox that agents are in, and print what was found (used by `doctor`)
    #[command(hide = true)]
    SandboxTrial(SandboxTrialArgs),
    /// Workspaces
    #[command(subcommand, alias = "workspace")]
    Ws(WsCommand),
    /// Organisations
    #[command(subcommand)]
    Org(OrgCommand),
    /// Send a message to a workspace and print the answer as it comes
    Send(SendArgs),
    /// Stop what an agent is at
    Cancel(CancelArgs),
    /// Tokens of a workspace or of the organisation
    #[command(subcommand)]
    Token(TokenCommand),
    /// Secrets of a workspace, or of all of them
    #[command(subcommand, alias = "secrets")]
    Secret(SecretCommand),
    /// Show server, agents, and what needs attention
    Status,
    /// What was said, to agents and among them
    #[command(alias = "history")]
    Activity(ActivityArgs),
    /// Recorded events, and with -f those to come
    Events(EventsArgs),
    /// Browsers that are signed in
    #[command(subcommand, alias = "sessions")]
    Session(SessionCommand),
    /// Who changed what
    Audit(AuditArgs),
    /// Print a login URL for the browser, or open it
    Login(LoginArgs),
    /// Show every setting with its value and where it came from
    Config(ConfigArgs),
    /// Say what is missing on this machine and how to get it
    Doctor(ServerArgs),
    /// Write database and agents' files into one file, while the server runs
    Backup(BackupArgs),
    /// Restore what `backup` wrote, while no server runs
    Restore(RestoreArgs),
    /// Print a completion script, which completes names of workspaces too
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the versions of this program and of the server
    Version,
    /// Explain a command or a topic: agents, orgs, messages, secrets, external, auth, output, server
    Help(HelpArgs),
}

/// Arguments of `up`, `server` and `doctor`. All are texts here: the configuration reads them, so that every problem is
/// reported at once and in one way.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerArgs {
    /// Configuration file [env: MOLECULE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// IP address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub host: Option<String>,
    /// Port to listen on; 0 takes any free one [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Database; a URL with a password belongs into DATABASE_URL [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Whether every caller needs a credential: required or open [default: required]
    #[arg(long, value_name = "MODE")]
    pub auth: Option<String>,
    /// What runs the workspaces: auto, control-plane, kubernetes, docker, process or none [default: auto]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Sandbox of process agents: required, best-effort or off [default: best-effort]
    #[arg(long, value_name = "MODE")]
    pub sandbox: Option<String>,
    /// Log filter, such as info or info,molecule_platform=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of the log: pretty or json [default: pretty]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Arguments of `sandbox-trial`. The rest is in its environment, as an agent's is.
#[derive(Debug, Clone, Default, Args)]
pub struct SandboxTrialArgs {
    /// A Unix socket on which somebody listens
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Files and directories that must stay closed
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write, such as molecule.backup; it must not exist
    pub file: PathBuf,
    /// Put the admin token and the key of stored secrets into it: whoever reads the file can read every secret then
    #[arg(long)]
    pub with_keys: bool,
    /// What of the server's settings says where its data is.
    #[command(flatten)]
    pub place: Place,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file that `molecule backup` wrote
    pub file: PathBuf,
    /// Set aside what the data directory holds; tables of a PostgreSQL database are dropped
    #[arg(long)]
    pub replace: bool,
    /// What of the server's settings says where its data is.
    #[command(flatten)]
    pub place: Place,
}

/// Where a server's data is.
#[derive(Debug, Default, Args)]
pub struct Place {
    /// Configuration file of the server [env: MOLECULE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `config`.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Print a commented molecule.toml instead
    #[arg(long)]
    pub example: bool,
    /// As `up` and `server` take them.
    #[command(flatten)]
    pub server: ServerArgs,
}

impl ServerArgs {
    /// The flags, for the configuration.
    #[must_use]
    pub fn flags(&self, global: &Global) -> Flags {
        let mut flags = Flags::default();
        flags
            .set(
                &settings::DATA_DIR,
                global.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned()),
            )
            .set(&settings::HOST, self.host.clone())
            .set(&settings::PORT, self.port.clone())
            .set(&settings::DATABASE_URL, self.database_url.clone())
            .set(&settings::AUTH, self.auth.clone())
            .set(&settings::BACKEND, self.backend.clone())
            .set(&settings::SANDBOX, self.sandbox.clone())
            .set(&settings::LOG, self.log.clone())
            .set(&settings::LOG_FORMAT, self.log_format.clone());
        flags
    }
}

#[cfg(test)]
mod tests;
