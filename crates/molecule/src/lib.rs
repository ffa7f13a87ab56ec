//! The `molecule` program: command line, configuration and wiring. It holds no business rules.
//!
//! - [`cli`] and [`commands`]: what can be typed, and what it does over the API; [`completing`]: what the shell offers.
//! - [`config`]: settings from flags, environment and `molecule.toml`.
//! - [`backup`]: a server's data in one file, and back.
//! - [`boot`]: data directory, lock, keys, socket and log of a server.
//! - [`server`]: the composition root.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use molecule_agent::sandbox::trial;
use tokio::runtime::{Builder, Runtime};

pub mod backup;
pub mod boot;
pub mod cli;
pub mod commands;
pub mod completing;
pub mod config;
pub mod connect;
pub mod exit;
pub mod output;
pub mod progress;
pub mod resolve;
pub mod schema;
pub mod server;

use cli::{Cli, Command, SandboxTrialArgs};
use output::{Format, Output};

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    completing::answer(Cli::command);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(exit::report_usage(&error, asks_for_json())),
    };
    if matches!(cli.command, Command::Agent) {
        // Its sandbox restricts only the calling thread and its children, so no other thread may exist yet (D18).
        let vars = molecule_agent::env::Vars::from_process();
        boot::init_agent_logging(vars.get(boot::AGENT_LOG));
        return molecule_agent::main(vars);
    }
    if let Command::SandboxTrial(args) = cli.command {
        // The same holds here.
        return try_sandbox(args);
    }
    let mut output = Output::standard(cli.global.format());
    let done = runtime(&cli.command).map_err(anyhow::Error::from).and_then(|runtime| {
        // One thread runs the command itself; a server's handlers are spawned on the others.
        runtime.block_on(Box::pin(commands::run(cli, &mut output)))
    });
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => ExitCode::from(exit::report(&mut output, &error)),
    }
}

fn try_sandbox(args: SandboxTrialArgs) -> ExitCode {
    let targets = trial::Targets {
        paths: args.paths,
        socket: args.socket,
    };
    let report = trial::run(molecule_agent::env::Vars::from_process(), &targets);
    let code = match Output::standard(Format::Json).json(&report) {
        Ok(()) => exit::DONE,
        Err(_) => exit::FAILED,
    };
    ExitCode::from(code)
}

/// Of a command line that could not be read.
fn asks_for_json() -> bool {
    std::env::args_os()
        .take_while(|argument| argument != "--")
        .fold((false, false), |(found, valued), argument| {
            let argument = argument.to_string_lossy();
            let json = argument == "--json"
                || (valued && argument == "json")
                || matches!(&*argument, "-ojson" | "-o=json" | "--output=json");
            (found || json, matches!(&*argument, "-o" | "--output"))
        })
        .0
}

fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Up(_) | Command::Server(_) => Builder::new_multi_thread().enable_all().build(),
        _ => Builder::new_current_thread().enable_all().build(),
    }
}
