//! Measures Molecule's release binary on this machine: `make bench`. What is measured and how, says `README.md` beside
//! this crate.
//!
//! One JSON object per figure goes to standard output, what is being done to standard error.

mod children;
mod contest;
mod figure;
mod figures;
mod floor;
mod http1;
mod load;
mod org;
mod proxy;
mod server;
mod upstream;
mod watchers;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about = "Measures Molecule's release binary on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure; prints one JSON object per figure
    Run(Run),
    /// Play an agent: answer every request with the same short message (prints its port; ends with standard input)
    Upstream,
    /// Play a bare proxy: parse, re-serialise and forward every body (prints its port; ends with standard input)
    Proxy {
        /// Port of the upstream on the loopback interface
        #[arg(long)]
        upstream: u16,
    },
    /// Play a server that takes beats and does nothing (prints its port; ends with standard input)
    Floor,
    /// Play people who watch: hold event sockets open and read (prints when all are open; ends with standard input)
    Watchers {
        /// Where the server listens
        #[arg(long)]
        address: SocketAddr,
        /// Sockets to open
        #[arg(long)]
        count: usize,
    },
}

#[derive(Args)]
struct Run {
    /// What to measure; everything if none is named
    figures: Vec<Name>,
    /// The server to measure
    #[arg(long, default_value = "target/release/molecule")]
    binary: PathBuf,
    /// Another build of the server, which takes turns with the first
    #[arg(long)]
    against: Option<PathBuf>,
    /// Short loads and small stores: for trying a change, not for quoting
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Name {
    /// The contestants without Molecule: generator to upstream, bare proxy, nginx
    Baseline,
    /// Messages between two workspaces, next to the same load through the bare proxy
    A2a,
    /// Heartbeats of many workspaces
    Heartbeats,
    /// Heartbeats while a thousand event sockets are open
    EventSockets,
    /// Time from process start to the first list of 10 000 workspaces
    #[value(name = "boot_10k")]
    Boot10k,
    /// Memory of an idle server with the starter organisation
    IdleRss,
    /// Time from process start to the login URL
    BootToLoginUrl,
}

// One thread: the generator takes at most one core and leaves the rest to what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match execute(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Upstream => upstream::serve().await,
        Command::Proxy { upstream } => proxy::serve(upstream).await,
        Command::Floor => floor::serve().await,
        Command::Watchers { address, count } => watchers::serve(address, count).await,
        // Interrupted, it still ends its children and removes their directories.
        Command::Run(run) => tokio::select! {
            result = measure(&run) => result,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        },
    }
}

async fn measure(run: &Run) -> anyhow::Result<()> {
    let scale = if run.quick {
        figures::Scale::QUICK
    } else {
        figures::Scale::FULL
    };
    let builds = contest::Builds {
        binary: run.binary.clone(),
        against: run.against.clone(),
    };
    let wanted = |name| run.figures.is_empty() || run.figures.contains(&name);
    // `a2a` contains the baseline.
    if run.figures.contains(&Name::Baseline) {
        figures::a2a::baseline(&scale).await?;
    }
    if wanted(Name::A2a) {
        figures::a2a::measure(&builds, &scale).await?;
    }
    if wanted(Name::Heartbeats) {
        figures::heartbeats::measure(&builds, &scale).await?;
    }
    if wanted(Name::EventSockets) {
        figures::sockets::measure(&builds, &scale).await?;
    }
    if wanted(Name::Boot10k) {
        figures::boot::ten_thousand(&builds, &scale).await?;
    }
    if wanted(Name::BootToLoginUrl) {
        figures::boot::login_url(&builds, &scale).await?;
    }
    if wanted(Name::IdleRss) {
        figures::memory::idle(&builds).await?;
    }
    Ok(())
}
