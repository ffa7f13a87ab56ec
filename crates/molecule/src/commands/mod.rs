//! The commands. Each module holds the arguments and the doing of one.

pub mod activity;
mod affected;
mod answer;
mod ask;
pub mod audit;
pub mod backup;
mod body;
pub mod cancel;
mod config;
mod doctor;
pub mod events;
mod facts;
pub mod help;
pub mod login;
pub mod org;
mod runtime;
pub mod secret;
pub mod send;
mod serve;
pub mod session;
mod status;
pub mod token;
mod version;
pub mod ws;

use clap::CommandFactory;

use crate::{
    boot::DataDir,
    cli::{Cli, Command},
    completing, connect,
    output::Output,
    server::Mode,
};

/// Does what was asked. `agent` never comes here: it must run before any thread exists.
///
/// # Errors
/// Whatever failed; [`crate::exit::code_of`] knows the exit code.
pub async fn run(cli: Cli, out: &mut Output) -> anyhow::Result<()> {
    let global = &cli.global;
    match cli.command {
        Command::Up(args) => Box::pin(serve::run(&args, global, Mode::Up)).await,
        Command::Server(args) => Box::pin(serve::run(&args, global, Mode::Server)).await,
        Command::Agent | Command::SandboxTrial(_) => {
            anyhow::bail!("this runs in a process of its own, which has no other threads")
        }
        Command::Ws(command) => ws::run(command, &connect::client(global)?, out).await,
        Command::Org(command) => org::run(command, &connect::client(global)?, out).await,
        Command::Send(args) => send::run(args, &connect::client(global)?, out).await,
        Command::Cancel(args) => cancel::run(args, &connect::client(global)?, out).await,
        Command::Token(command) => token::run(command, &connect::client(global)?, out).await,
        Command::Secret(command) => secret::run(command, &connect::client(global)?, out).await,
        Command::Events(args) => events::run(args, &connect::client(global)?, out).await,
        Command::Status => status::run(&connect::client(global)?, out).await,
        Command::Activity(args) => activity::run(args, &connect::client(global)?, out).await,
        Command::Login(args) => {
            let place = connect::data_dir(global);
            let place = place.as_ref().map(DataDir::root);
            login::run(&args, place, &connect::client(global)?, out).await
        }
        Command::Version => version::run(&connect::client(global)?, out).await,
        Command::Help(args) => help::run(&args, Cli::command(), out),
        Command::Session(command) => session::run(command, &connect::client(global)?, out).await,
        Command::Audit(args) => audit::run(args, &connect::client(global)?, out).await,
        Command::Config(args) => config::run(&args, global, out),
        Command::Doctor(args) => doctor::run(&args, global, out).await,
        Command::Backup(args) => backup::back_up(args, global, out).await,
        Command::Restore(args) => backup::restore(args, global, out).await,
        Command::Completions { shell } => Ok(out.text(&completing::script(shell)?)?),
    }
}
