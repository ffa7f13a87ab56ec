//! People who watch: open event sockets that read what comes. A process of its own, so that reading costs the generator
//! nothing.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::{
    http1::{Connection, request},
    upstream::input_end,
};

/// Environment variable with the header line of the credential; never an argument, which everybody on the machine reads.
pub(crate) const AUTHORIZATION: &str = "MOLECULE_BENCH_AUTHORIZATION";

/// Opens `count` sockets, prints how many, reads until standard input ends, prints how many events came.
pub(crate) async fn serve(address: SocketAddr, count: usize) -> anyhow::Result<()> {
    allow_files();
    let authorization = std::env::var(AUTHORIZATION).context(AUTHORIZATION)?;
    let mut admin = Connection::new(address);
    let events = Arc::new(AtomicU64::new(0));
    for number in 0..count {
        let socket = open(address, &mut admin, &authorization)
            .await
            .with_context(|| format!("socket {number} of {count}"))?;
        tokio::spawn(read(socket, Arc::clone(&events)));
    }
    say(count as u64)?;
    input_end().await?;
    say(events.load(Ordering::Relaxed))
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// Changes a ticket for a socket, as a browser does (D2).
async fn open(address: SocketAddr, admin: &mut Connection, authorization: &String) -> anyhow::Result<Socket> {
    let question = request("POST", "/auth/tickets", std::slice::from_ref(authorization), b"");
    let reply = admin.exchange(&question).await.context("POST /auth/tickets")?;
    ensure!(reply.is_success(), "POST /auth/tickets answered {}", reply.summary());
    let ticket: serde_json::Value = serde_json::from_slice(&reply.body)?;
    let ticket = ticket["ticket"].as_str().context("an answer with a ticket")?;
    let stream = TcpStream::connect(address).await?;
    let (socket, _) = client_async(format!("ws://{address}/ws?ticket={ticket}"), stream).await?;
    Ok(socket)
}

/// Reads as fast as it comes. Pings are answered inside.
async fn read(mut socket: Socket, events: Arc<AtomicU64>) {
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_)) {
            events.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A socket is a file: takes as many as the system lets this process have.
fn allow_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("watchers: the limit of open files stays: {error}");
    }
}

fn say(number: u64) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{number}")?;
    Ok(stdout.flush()?)
}
