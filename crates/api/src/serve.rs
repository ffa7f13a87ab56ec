//! The HTTP/1.1 server: accepts, serves, and stops in order (SEC-218).

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use molecule_core::limits;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::state::ApiState;

/// Time a client has for the head of its next request. It also ends idle connections, so it is well above the 60 s
/// after which the slowest agents beat again.
const HEAD_LIMIT: Duration = Duration::from_secs(150);
/// Bytes of a connection that are read ahead, and that the head of a request may have. What is sent before anybody reads
/// it stays in the kernel (D33).
const BUFFER: usize = 64 << 10;
/// Pause after the system refused to hand out a connection, as when descriptors are used up.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Serves until `shutdown` resolves, then drains for at most 30 s. Sockets are told to close at once.
pub(crate) async fn serve(state: &ApiState, router: Router, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let connections = TaskTracker::new();
    let (draining, cut) = (CancellationToken::new(), CancellationToken::new());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection {
                    router: router.clone(),
                    peer,
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

struct Connection {
    router: Router,
    peer: SocketAddr,
    /// Ends the connection after the request that is being answered.
    draining: CancellationToken,
    /// Ends it now.
    cut: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let Self {
            router,
            peer,
            draining,
            cut,
        } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers may be delayed");
        }
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            // A router is always ready.
            router.clone().call(request)
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
            () = draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    outcome = connection.as_mut() => outcome,
                    () = cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = outcome {
            // Clients go away in many ways, none of which is an error here.
            tracing::debug!(%error, %peer, "connection ended");
        }
    }
}
