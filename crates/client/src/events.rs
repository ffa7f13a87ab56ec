//! Live events over `/ws` (`activity.md` §2.3).

use futures_util::StreamExt;
use molecule_wire::events::EventEnvelope;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::{
    Client, ClientError,
    call::CONNECT_TIMEOUT,
    error::{StatusError, root_cause},
};

/// Events as they happen. Nothing is replayed (ACT-80): read the state again after connecting.
pub struct EventStream {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: String,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens `/ws`. A client that speaks for a workspace presents its bearer (ACT-77); others exchange theirs for a
    /// single-use ticket (D2); without any credential the socket is opened as it is, which open mode accepts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self) -> Result<EventStream, ClientError> {
        let mut url = self.url(&["ws"]);
        let mut identity = self.identity();
        if self.workspace().is_none() && self.has_bearer() {
            let ticket = self.ticket().await?.ticket;
            url.query_pairs_mut().append_pair("ticket", &ticket);
            identity.remove("authorization");
        }
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        // http(s) and ws(s) are both special schemes, between which the setter never refuses.
        url.set_scheme(scheme)
            .map_err(|()| ClientError::InvalidUrl(self.base_url().to_owned()))?;
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| self.socket_failure(&error))?;
        for (name, value) in &identity {
            request.headers_mut().insert(name, value.clone());
        }
        let (socket, _) = tokio::time::timeout(CONNECT_TIMEOUT, connect_async(request))
            .await
            .map_err(|_| ClientError::Timeout {
                url: self.base_url().to_owned(),
                after: Some(CONNECT_TIMEOUT),
            })?
            .map_err(|error| self.socket_failure(&error))?;
        Ok(EventStream {
            socket,
            url: self.base_url().to_owned(),
        })
    }

    fn socket_failure(&self, error: &Error) -> ClientError {
        let url = self.base_url().to_owned();
        match error {
            Error::Http(response) => {
                let retry_after = response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let body = response.body().as_deref().unwrap_or_default();
                StatusError::new(response.status().as_u16(), retry_after, body).into()
            }
            Error::Io(_) | Error::Tls(_) => ClientError::Connect {
                url,
                reason: root_cause(error),
            },
            _ => ClientError::Interrupted {
                url,
                reason: root_cause(error),
            },
        }
    }
}

impl EventStream {
    /// The next event; `None` once the server closed the socket. Pings are answered inside. Cancel safe.
    ///
    /// # Errors
    /// The connection broke, or a frame is no event; after the latter the stream goes on.
    pub async fn next(&mut self) -> Result<Option<EventEnvelope>, ClientError> {
        loop {
            let text = match self.socket.next().await {
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed) | Ok(Message::Close(_))) => {
                    return Ok(None);
                }
                Some(Err(error)) => {
                    return Err(ClientError::Interrupted {
                        url: self.url.clone(),
                        reason: root_cause(&error),
                    });
                }
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(_)) => continue,
            };
            return serde_json::from_str(text.as_str())
                .map(Some)
                .map_err(|error| ClientError::Decode {
                    request: "an event of /ws".into(),
                    reason: error.to_string(),
                });
        }
    }
}
