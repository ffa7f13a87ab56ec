//! The HTTP/1.1 server: accepts, serves, and stops in order (SEC-218).

mod idle;
mod tls;

pub use tls::{Tls, TlsError};

use futures_util::future::BoxFuture;
use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use molecule_core::limits;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use self::idle::{Answer, Idle, Idlers};
use crate::{request::Secure, state::ApiState};

/// Time a client has for the head of its next request. It also ends idle connections, so it is well above the 60 s
/// after which the slowest agents beat again.
const HEAD_LIMIT: Duration = Duration::from_secs(150);
/// Bytes of a connection that are read ahead, and that the head of a request may have. What is sent before anybody reads
/// it stays in the kernel (D33).
const BUFFER: usize = 64 << 10;
/// How often measurements are sorted into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Pause after the system refused to hand out a connection, as when descriptors are used up.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Descriptors that are left for files, databases and agents.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Connections there may be at once, sockets included, before idle ones give way.
fn most_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.unwrap_or(u64::MAX);
    // Where there are few, at least half of them are for clients.
    let most = limit.saturating_sub(RESERVED_DESCRIPTORS).max(limit / 2);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Serves until `shutdown` resolves, then drains for at most 30 s. Sockets are told to close at once.
/// With `tls` only this machine is answered without.
pub(crate) async fn serve(
    state: &ApiState,
    router: Router,
    listener: TcpListener,
    tls: Option<Tls>,
    mut shutdown: BoxFuture<'_, ()>,
) {
    let connections = TaskTracker::new();
    let (idlers, most) = (Idlers::default(), most_connections());
    let (draining, cut) = (CancellationToken::new(), CancellationToken::new());
    let mut refusing = false;
    let mut upkeep = interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            _ = upkeep.tick() => {
                state.metrics().upkeep();
                if let Some(services) = &state.config().metrics {
                    services.run_upkeep();
                }
                // Two small files are looked at.
                tls.as_ref().map(Tls::refresh);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let full = connections.len() + state.serving().sockets.len() >= most && !idlers.evict();
                if full && !refusing {
                    tracing::warn!(most, "connections are refused: all there may be are at work");
                }
                refusing = full;
                if full {
                    continue;
                }
                let connection = Connection {
                    router: router.clone(),
                    tls: tls.clone(),
                    peer,
                    idle: idlers.enter(),
                    draining: draining.clone(),
                    cut: cut.clone(),
                };
                connections.spawn(connection.serve(stream));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    drain(state, &connections, &draining, &cut).await;
}

/// Lets what is under way end.
async fn drain(state: &ApiState, connections: &TaskTracker, draining: &CancellationToken, cut: &CancellationToken) {
    state.serving().closing.cancel();
    draining.cancel();
    connections.close();
    state.serving().sockets.close();
    let ended = timeout(limits::SHUTDOWN_DRAIN, async {
        connections.wait().await;
        state.serving().sockets.wait().await;
    });
    if ended.await.is_err() {
        tracing::warn!(connections = connections.len(), "requests in flight are cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// How a connection to a port that speaks TLS began.
enum Begun {
    Secure(Box<TlsStream<TcpStream>>),
    /// From this machine.
    Plain(TcpStream),
}

/// First byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;
/// What is answered to others without TLS.
const PLAIN_REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\
    Connection: close\r\n\r\n{\"error\":\"this port speaks TLS: use https\"}\n";

/// Finds out which of the two a client speaks. `None`: neither, or not soon enough.
async fn begin(mut stream: TcpStream, peer: SocketAddr, tls: &Tls) -> Option<Begun> {
    let mut first = [0];
    let peeked = timeout(HEAD_LIMIT, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return None;
    }
    if first[0] == HANDSHAKE {
        let accepted = timeout(limits::TLS_HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await;
        return match accepted {
            Ok(Ok(stream)) => Some(Begun::Secure(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(%error, %peer, "no TLS connection");
                None
            }
            Err(_) => None,
        };
    }
    // Nobody listens on the way from a machine to itself.
    let here = stream.local_addr().is_ok_and(|own| own.ip() == peer.ip());
    if here || peer.ip().to_canonical().is_loopback() {
        return Some(Begun::Plain(stream));
    }
    timeout(limits::TLS_HANDSHAKE_TIMEOUT, stream.write_all(PLAIN_REFUSED))
        .await
        .ok();
    None
}

struct Connection {
    router: Router,
    tls: Option<Tls>,
    peer: SocketAddr,
    idle: Idle,
    /// Ends the connection after the request that is being answered.
    draining: CancellationToken,
    /// Ends it now.
    cut: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers may be delayed");
        }
        let Some(tls) = self.tls.clone() else {
            return self.speak(stream, false).await;
        };
        let begun = tokio::select! {
            begun = begin(stream, self.peer, &tls) => begun,
            () = self.idle.evicted() => None,
            () = self.draining.cancelled() => None,
        };
        match begun {
            Some(Begun::Secure(stream)) => self.speak(*stream, true).await,
            Some(Begun::Plain(stream)) => self.speak(stream, false).await,
            None => self.idle.end(),
        }
    }

    /// HTTP, over whatever carries it.
    async fn speak<S>(self, stream: S, secure: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            router,
            peer,
            idle,
            draining,
            cut,
            ..
        } = self;
        let at_work = idle.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            if secure {
                request.extensions_mut().insert(Secure);
            }
            let working = at_work.work();
            // A router is always ready.
            let answer = router.clone().call(request);
            async move {
                let response = answer.await?;
                Ok::<_, Infallible>(response.map(|body| Answer {
                    body,
                    _working: working,
                }))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = idle.evicted() => Ok(()),
            () = draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    outcome = connection.as_mut() => outcome,
                    () = cut.cancelled() => Ok(()),
                }
            }
        };
        idle.end();
        if let Err(error) = outcome {
            // Clients go away in many ways, none of which is an error here.
            tracing::debug!(%error, %peer, "connection ended");
        }
    }
}
