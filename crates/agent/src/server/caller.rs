//! Who asks, and in which version of the protocol: what is answered is put into the caller's words.

use std::convert::Infallible;

use axum::{
    http::{HeaderMap, StatusCode, Uri},
    response::{
        IntoResponse, Response as HttpResponse,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use molecule_a2a::{
    Method, ProtocolVersion, ReplyTranslator, VERSION_HEADER,
    jsonrpc::{RequestId, Response, RpcError},
};
use serde::Serialize;
use url::form_urlencoded;

/// One call's caller.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Of the request.
    pub(super) id: RequestId,
    /// What it wants, if that is known.
    pub(super) method: Option<Method>,
    /// The form it reads.
    pub(super) version: ProtocolVersion,
}

impl Caller {
    /// Is it strict about what it sends and gets (D24)?
    pub(super) fn is_v1(&self) -> bool {
        self.version == ProtocolVersion::V1_0
    }

    /// Does it read events?
    fn streams(&self) -> bool {
        self.method.is_some_and(Method::is_streaming)
    }

    /// The body of an answer, or the data of an event.
    pub(super) fn write<T: Serialize>(&self, outcome: Result<T, RpcError>) -> Bytes {
        let outcome = outcome.map_err(|error| if self.is_v1() { error.for_v1() } else { error });
        let response = Response {
            id: self.id.clone(),
            outcome,
        };
        let body = serde_json::to_vec(&response).unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be written");
            let failed = Response::<()>::error(self.id.clone(), RpcError::internal("the answer could not be written"));
            serde_json::to_vec(&failed).unwrap_or_default()
        });
        let body = Bytes::from(body);
        match ReplyTranslator::new(ProtocolVersion::V0_3, self.version, self.method) {
            Some(translator) => translator.body(&body),
            None => body,
        }
    }

    /// A plain answer.
    pub(super) fn answer<T: Serialize>(&self, outcome: Result<T, RpcError>) -> HttpResponse {
        ([("content-type", "application/json")], self.write(outcome)).into_response()
    }

    /// An error, in the form the caller waits for: who reads events loses what comes in any other (D24).
    pub(super) fn refuse(&self, status: StatusCode, error: RpcError) -> HttpResponse {
        if !self.streams() {
            return (status, self.answer::<()>(Err(error))).into_response();
        }
        let frame = self.write::<()>(Err(error));
        (status, self.events(stream::iter([frame]))).into_response()
    }

    /// A stream of events.
    pub(super) fn events(&self, frames: impl Stream<Item = Bytes> + Send + 'static) -> HttpResponse {
        let frames = frames.map(|frame| {
            let data = String::from_utf8_lossy(&frame).into_owned();
            Ok::<_, Infallible>(SseEvent::default().data(data))
        });
        Sse::new(frames).keep_alive(KeepAlive::default()).into_response()
    }
}

/// The version that a request names, in a header or in its address. `Err`: one that is not served.
pub(super) fn version(headers: &HeaderMap, uri: &Uri) -> Result<Option<ProtocolVersion>, String> {
    let header = headers
        .get(VERSION_HEADER)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let query = || {
        let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
        let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(VERSION_HEADER))?;
        Some(value.into_owned())
    };
    // An empty one says nothing.
    let named = header
        .filter(|text| !text.trim().is_empty())
        .or_else(query)
        .filter(|text| !text.trim().is_empty());
    match named {
        None => Ok(None),
        Some(text) => ProtocolVersion::parse(&text).map(Some).ok_or(text),
    }
}
