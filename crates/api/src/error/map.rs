//! Every error of the services as a status. Exhaustive on purpose: a new kind of error must be given its answer here.
//! Texts are the errors' own (`Display` is the wire's text) unless the route has another for the same error.

use http::StatusCode;
use molecule_core::text::Quoted;
use molecule_platform::{
    activity::{ActivityError, FeedError},
    credentials::GateRefusal,
    messaging::{CallerRefusal, MessagingError},
    orgs::ImportError,
    registry::{DiscoverError, HeartbeatError, RegisterError},
    secrets::SecretError,
    templates,
};
use molecule_wire::{a2a::A2aUnavailable, words::ErrorCode};

use super::{ApiError, Body};
use crate::limits::Unreadable;

/// Seconds after which a dead agent, or one that slept, may be back (A2A-61, A2A-81).
const RETRY_RESTARTING: u32 = 15;
/// Seconds after which a busy agent may be free (A2A-88, A2A-90).
const RETRY_BUSY: u32 = 30;
/// Seconds after which memory for a large body may be free (D33).
const RETRY_MEMORY: u32 = 5;
/// Seconds after which calls in flight may have ended (D33).
const RETRY_CROWDED: u32 = 5;
/// Seconds after which a store that refused a write may take it (open point 5 of a2a.md).
const RETRY_STORE: u32 = 30;

/// 500 with the error's own text.
pub(super) fn failed(error: &(impl std::error::Error + 'static)) -> ApiError {
    ApiError::store(error.to_string(), error)
}

impl From<Unreadable> for ApiError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::TooLong => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request body too large").code(ErrorCode::TooLarge)
            }
            Unreadable::Broken => Self::bad_request("failed to read request body"),
            Unreadable::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive in time")
                .code(ErrorCode::BodyTooSlow),
            Unreadable::NoMemory => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large requests at once, retry shortly",
            )
            .code(ErrorCode::OutOfMemory)
            .retry_after(RETRY_MEMORY),
        }
    }
}

impl From<GateRefusal> for ApiError {
    fn from(refusal: GateRefusal) -> Self {
        match refusal {
            GateRefusal::Missing | GateRefusal::Invalid => Self::new(StatusCode::UNAUTHORIZED, refusal.to_string()),
        }
    }
}

impl From<CallerRefusal> for ApiError {
    fn from(refusal: CallerRefusal) -> Self {
        let status = match refusal {
            CallerRefusal::Missing | CallerRefusal::Invalid => StatusCode::UNAUTHORIZED,
            CallerRefusal::Forged | CallerRefusal::Unknown => StatusCode::FORBIDDEN,
        };
        Self::new(status, refusal.to_string())
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::NothingGiven | ImportError::BadDirectory | ImportError::BadRuntime(_) => {
                Self::bad_request(error.to_string())
            }
            ImportError::Exists(ref there) => {
                Self::new(StatusCode::CONFLICT, error.to_string()).with("workspaces", there.clone())
            }
            ImportError::Unreadable(ref cause)
            | ImportError::Expansion(ref cause)
            | ImportError::BadTemplate(ref cause) => {
                // It quotes what was sent (SEC-146).
                tracing::info!(cause = %Quoted(&cause.to_string()), "org template refused");
                let refused = Self::bad_request(error.to_string());
                match cause.detail() {
                    Some(detail) => refused.with("detail", detail),
                    None => refused,
                }
            }
            ImportError::NotFound(_) => Self::not_found(error.to_string()),
            ImportError::MissingEnv(body) => Self::json(StatusCode::PRECONDITION_FAILED, &body),
            ImportError::Unverified(_) | ImportError::Store(_) => failed(&error),
        }
    }
}

impl From<templates::ImportError> for ApiError {
    fn from(error: templates::ImportError) -> Self {
        use templates::ImportError;
        match error {
            ImportError::Invalid(ref cause) => Self::bad_request(error.to_string()).with("detail", cause.to_string()),
            ImportError::TooManyFiles(_) => Self::bad_request(error.to_string()),
            ImportError::Exists { ref id } => {
                Self::new(StatusCode::CONFLICT, error.to_string()).with("id", id.as_str())
            }
            ImportError::NoDirectory | ImportError::Write(_) => failed(&error),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::BadRequest | RegisterError::BadMode | RegisterError::BadUrl(_) => {
                Self::bad_request(error.to_string())
            }
            RegisterError::Refused(refusal) => refusal.into(),
            RegisterError::NotFound => Self::not_found(error.to_string()),
            RegisterError::Store(_) => failed(&error),
        }
    }
}

impl From<HeartbeatError> for ApiError {
    fn from(error: HeartbeatError) -> Self {
        match error {
            HeartbeatError::BadRequest => Self::bad_request(error.to_string()),
            HeartbeatError::Refused(refusal) => refusal.into(),
            HeartbeatError::NotFound => Self::not_found(error.to_string()),
            HeartbeatError::Store(_) => failed(&error),
        }
    }
}

impl From<DiscoverError> for ApiError {
    fn from(error: DiscoverError) -> Self {
        match error {
            DiscoverError::Forbidden => Self::new(StatusCode::FORBIDDEN, error.to_string()),
            DiscoverError::NotFound => Self::not_found(error.to_string()),
            DiscoverError::Unavailable(status) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).with("status", status.as_str())
            }
            DiscoverError::Unsafe => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            DiscoverError::Store(_) => failed(&error),
        }
    }
}

impl From<ActivityError> for ApiError {
    fn from(error: ActivityError) -> Self {
        match error {
            ActivityError::BadRequest
            | ActivityError::BadType
            | ActivityError::NoMessage
            | ActivityError::TooLong { .. }
            | ActivityError::BadAttachment(_)
            | ActivityError::LongAttachment(_)
            | ActivityError::TooManyAttachments => Self::bad_request(error.to_string()),
            ActivityError::ForeignSource => Self::new(StatusCode::FORBIDDEN, error.to_string()),
            ActivityError::NotFound => Self::not_found(error.to_string()),
            ActivityError::Store(_) => failed(&error),
        }
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::CursorGone => Self::new(StatusCode::GONE, error.to_string()),
            FeedError::Store(cause) => Self::store("query failed", &cause),
        }
    }
}

impl From<MessagingError> for ApiError {
    fn from(error: MessagingError) -> Self {
        let text = error.to_string();
        match error {
            MessagingError::Caller(refusal) => refusal.into(),
            MessagingError::AccessDenied => Self::new(StatusCode::FORBIDDEN, text),
            MessagingError::OverBudget => Self::new(StatusCode::PAYMENT_REQUIRED, text),
            MessagingError::Invalid(invalid) => Self {
                status: StatusCode::from_u16(invalid.status()).unwrap_or(StatusCode::BAD_REQUEST),
                body: Body::Text(invalid.body()),
                retry_after: None,
                upstream: None,
            },
            MessagingError::NotFound => Self::not_found(text),
            MessagingError::NotRoutable | MessagingError::Unreachable => Self::new(StatusCode::BAD_GATEWAY, text),
            MessagingError::NoUrl { status } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text).with("status", status.as_str())
            }
            MessagingError::Waking => {
                let body = A2aUnavailable {
                    error: text,
                    waking: Some(true),
                    ..A2aUnavailable::default()
                };
                unavailable(body, RETRY_RESTARTING)
            }
            MessagingError::NotLive(_) | MessagingError::Restarting => {
                let body = A2aUnavailable {
                    error: text,
                    restarting: Some(true),
                    ..A2aUnavailable::default()
                };
                unavailable(body, RETRY_RESTARTING)
            }
            MessagingError::Crowded(_) => unavailable(busy(text), RETRY_CROWDED),
            MessagingError::Busy => unavailable(busy(text), RETRY_BUSY),
            MessagingError::BusyNativeSession => {
                let body = A2aUnavailable {
                    native_session: Some(true),
                    ..busy(text)
                };
                unavailable(body, RETRY_BUSY)
            }
            MessagingError::Upstream { status, .. } => Self::new(passed_on(status), text).upstream(status),
            MessagingError::UnreadableReply {
                delivery_confirmed,
                detail,
            } => Self::new(StatusCode::BAD_GATEWAY, text)
                .with("delivery_confirmed", delivery_confirmed)
                .with("detail", detail),
            MessagingError::NotStored(ref cause) if molecule_platform::is_disk_full(cause) => Self::store(text, cause),
            MessagingError::NotStored(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
                .code(ErrorCode::NotStored)
                .retry_after(RETRY_STORE),
            MessagingError::Store(cause) => Self::store(text, &cause),
        }
    }
}

fn busy(error: String) -> A2aUnavailable {
    A2aUnavailable {
        error,
        busy: Some(true),
        ..A2aUnavailable::default()
    }
}

/// The status for a caller of an agent that answered with this one: its own, if it is one of an error. What says
/// nothing of an error (redirects are not followed), or nothing at all, is a bad gateway (A2A-86).
fn passed_on(status: u16) -> StatusCode {
    match StatusCode::from_u16(status) {
        Ok(status) if status.is_client_error() || status.is_server_error() => status,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn unavailable(body: A2aUnavailable, seconds: u32) -> ApiError {
    let body = A2aUnavailable {
        retry_after: Some(seconds),
        ..body
    };
    ApiError {
        retry_after: Some(seconds),
        ..ApiError::json(StatusCode::SERVICE_UNAVAILABLE, &body)
    }
}

/// What was tried with a secret; the texts differ by route (PROV-111, PROV-119, PROV-121).
#[derive(Debug, Clone, Copy)]
pub(crate) enum SecretAct {
    /// List keys.
    List,
    /// All values.
    Values,
    /// Store one of a workspace.
    Set,
    /// Delete one of a workspace.
    Delete,
    /// Store a global one.
    SetGlobal,
    /// Delete a global one.
    DeleteGlobal,
    /// Read model or provider.
    ReadSetting,
    /// Store `model` or `provider`.
    SetSetting(&'static str),
    /// Clear `model` or `provider`.
    ClearSetting(&'static str),
}

/// The answer to a failed act on secrets.
pub(crate) fn secret_error(act: SecretAct, error: SecretError) -> ApiError {
    match error {
        SecretError::InvalidKey | SecretError::InvalidValue | SecretError::InvalidSetting(_) => {
            ApiError::bad_request(error.to_string())
        }
        SecretError::Encrypt(cause) => ApiError::store(encrypt_text(act), &cause),
        SecretError::Undecryptable(failed) => match act {
            SecretAct::Values => ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "one or more secrets failed to decrypt; refusing to return partial bundle",
            )
            .with("failed_keys", failed),
            _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "failed to decrypt"),
        },
        SecretError::Store(cause) => ApiError::store(store_text(act), &cause),
    }
}

fn encrypt_text(act: SecretAct) -> String {
    match act {
        SecretAct::SetGlobal | SecretAct::DeleteGlobal => "failed to encrypt".to_owned(),
        SecretAct::SetSetting(name) | SecretAct::ClearSetting(name) => format!("failed to encrypt {name}"),
        SecretAct::List | SecretAct::Values | SecretAct::Set | SecretAct::Delete | SecretAct::ReadSetting => {
            "failed to encrypt secret".to_owned()
        }
    }
}

fn store_text(act: SecretAct) -> String {
    match act {
        SecretAct::List | SecretAct::Values | SecretAct::ReadSetting => "query failed".to_owned(),
        SecretAct::Set => "failed to save secret".to_owned(),
        SecretAct::Delete => "failed to delete secret".to_owned(),
        SecretAct::SetGlobal => "failed to save".to_owned(),
        SecretAct::DeleteGlobal => "failed to delete".to_owned(),
        SecretAct::SetSetting(name) => format!("failed to save {name}"),
        SecretAct::ClearSetting(name) => format!("failed to clear {name}"),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::{Value, json};

    use molecule_platform::workspaces::CreateError;

    use super::*;

    #[test]
    fn only_an_errors_status_is_passed_on() {
        // A2A-86
        for status in (0..1_100).chain([u16::MAX]) {
            let expected = if (400..600).contains(&status) { status } else { 502 };
            assert_eq!(passed_on(status).as_u16(), expected, "{status}");
        }
    }

    async fn answer(error: impl Into<ApiError>) -> (u16, Option<String>, Value) {
        let response = error.into().into_response();
        let retry = response
            .headers()
            .get("retry-after")
            .map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, retry, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn what_was_sent_makes_no_lines_of_the_log() {
        // SEC-146
        let forged = "x\n2026-12-01T00:00:00Z INFO \u{1b}[31mforged";
        let (log, _guard) = crate::testing::log();
        drop(ApiError::store("failed", &std::io::Error::other(forged)));
        let text = log.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("forged"), "{text}");
    }

    #[tokio::test]
    async fn messages_that_may_be_repeated_say_when() {
        // A2A-81, A2A-88, A2A-90, A2A open point 5
        let (status, retry, body) = answer(MessagingError::Restarting).await;
        assert_eq!((status, retry.as_deref()), (503, Some("15")));
        assert_eq!((&body["restarting"], &body["retry_after"]), (&json!(true), &json!(15)));
        let (status, retry, body) = answer(MessagingError::BusyNativeSession).await;
        assert_eq!((status, retry.as_deref()), (503, Some("30")));
        assert_eq!(body["native_session"], true);
        let (status, retry, body) = answer(MessagingError::Busy).await;
        assert_eq!(
            (status, retry.as_deref(), &body["busy"]),
            (503, Some("30"), &json!(true))
        );
        assert!(body.get("native_session").is_none());
        let (status, retry, body) =
            answer(MessagingError::NotStored(molecule_platform::StoreError::WriterClosed)).await;
        assert_eq!(
            (status, retry.as_deref(), &body["retry_after"]),
            (503, Some("30"), &json!(30))
        );
    }

    #[tokio::test]
    async fn fixed_texts_have_a_detail_beside_them() {
        // D11
        for (error, text, detail) in [
            (CreateError::BadPayload, "invalid workspace payload", "name"),
            (CreateError::BadTemplate, "invalid template", "template"),
            (
                CreateError::BadDirectory,
                "invalid workspace directory",
                "absolute path",
            ),
            (CreateError::BadAccess, "invalid workspace access", "read_only"),
        ] {
            let (status, _, body) = answer(error).await;
            assert_eq!((status, &body["error"]), (400, &json!(text)));
            assert!(body["detail"].as_str().unwrap().contains(detail), "{body}");
        }
    }

    #[tokio::test]
    async fn an_agents_status_is_passed_on() {
        // A2A-71, A2A-86
        let (status, _, body) = answer(MessagingError::Upstream {
            status: 429,
            text: "slow down".into(),
        })
        .await;
        assert_eq!((status, body), (429, json!({ "error": "slow down" })));
        let (status, _, _) = answer(MessagingError::Upstream {
            status: 524,
            text: "x".into(),
        })
        .await;
        assert_eq!(status, 524);
        let (status, _, body) = answer(MessagingError::UnreadableReply {
            delivery_confirmed: true,
            detail: "deadline exceeded",
        })
        .await;
        assert_eq!((status, &body["delivery_confirmed"]), (502, &json!(true)));
        assert_eq!(body["detail"], "deadline exceeded");
    }

    #[tokio::test]
    async fn refused_callers() {
        // A2A-3, A2A-7, A2A-10
        let refused = |refusal: CallerRefusal| answer(MessagingError::Caller(refusal));
        assert_eq!(refused(CallerRefusal::Forged).await.0, 403);
        assert_eq!(
            refused(CallerRefusal::Missing).await,
            (401, None, json!({ "error": "missing caller auth token" }))
        );
        assert_eq!(refused(CallerRefusal::Invalid).await.0, 401);
        assert_eq!(answer(MessagingError::AccessDenied).await.0, 403);
        assert_eq!(answer(MessagingError::OverBudget).await.0, 402);
    }

    #[tokio::test]
    async fn no_partial_bundle_of_secrets() {
        // SEC-134
        let error = SecretError::Undecryptable(vec!["global:A".into(), "workspace:B".into()]);
        let (status, _, body) = answer(secret_error(SecretAct::Values, error)).await;
        assert_eq!(status, 500);
        assert_eq!(body["failed_keys"], json!(["global:A", "workspace:B"]));
        let error = SecretError::Undecryptable(vec!["workspace:MODEL_PROVIDER".into()]);
        let (status, _, body) = answer(secret_error(SecretAct::ReadSetting, error)).await;
        assert_eq!((status, body), (500, json!({ "error": "failed to decrypt" })));
    }
}
