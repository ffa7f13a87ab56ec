//! Members of a hosted org, as the control plane knows them by their cookie (SEC-31, SEC-32).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use molecule_core::{credential::TokenHash, limits};
use parking_lot::Mutex;
use serde::Deserialize;
use url::form_urlencoded;

use super::Upstream;

const AGENT: HeaderValue = HeaderValue::from_static("molecule-tenant-platform/session-verifier");
/// How long a member counts as one.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// How long a stranger counts as one.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Answers that are kept.
const CAPACITY: usize = 10_000;
/// Answers that give way when there is no room.
const OVERFLOW: usize = 128;
/// How often those that do not count any more are swept out.
const SWEEP: Duration = Duration::from_secs(120);
/// Bytes of an answer (SEC-149).
const ANSWER_BYTES: usize = 64 << 10;

/// Asks who a cookie belongs to, and keeps the answers for a while.
#[derive(Debug)]
pub(crate) struct Members {
    upstream: Upstream,
    slug: String,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// By hash of slug and cookie: a cookie is never kept.
    answers: HashMap<TokenHash, (Instant, Option<Arc<str>>)>,
    swept: Instant,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    member: bool,
    #[serde(default)]
    user_id: String,
}

impl Members {
    pub(crate) fn new(upstream: Upstream, slug: String) -> Self {
        Self {
            upstream,
            slug,
            known: Mutex::new(Known {
                answers: HashMap::new(),
                swept: Instant::now(),
            }),
        }
    }

    /// The member whose cookie this is. Nobody, if it cannot be found out; only that is not remembered.
    pub(crate) async fn of(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let cookie = cookie_of(headers)?;
        let key = TokenHash::of(&[self.slug.as_str(), "\0", &cookie].concat());
        if let Some(known) = self.known.lock().get(&key, Instant::now()) {
            return known;
        }
        match self.ask(&cookie).await {
            Ok(member) => {
                self.known.lock().keep(key, member.clone(), Instant::now());
                member
            }
            Err(reason) => {
                tracing::warn!(reason, "the control plane could not be asked about a session");
                None
            }
        }
    }

    async fn ask(&self, cookie: &str) -> Result<Option<Arc<str>>, String> {
        let slug: String = form_urlencoded::byte_serialize(self.slug.as_bytes()).collect();
        let request = Request::get(format!("/cp/auth/tenant-member?slug={slug}"))
            .header(header::COOKIE, cookie)
            .header(header::USER_AGENT, AGENT)
            .body(Body::empty())
            .map_err(|error| error.to_string())?;
        let answer = self.upstream.send(request, limits::SESSION_CHECK_TIMEOUT).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Ok(None);
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect();
        let body = tokio::time::timeout(limits::SESSION_CHECK_TIMEOUT, body)
            .await
            .map_err(|_| "the answer did not end".to_owned())?
            .map_err(|error| error.to_string())?
            .to_bytes();
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        Ok(answer
            .filter(|answer| answer.member && !answer.user_id.is_empty())
            // It is shown in the log and in the audit.
            .filter(|answer| !answer.user_id.chars().any(char::is_control))
            .map(|answer| answer.user_id.into()))
    }
}

/// What the request carries of cookies, as it was sent.
fn cookie_of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies: Vec<_> = cookies.filter_map(|cookie| cookie.to_str().ok()).collect();
    (!cookies.is_empty()).then(|| cookies.join("; "))
}

fn lifetime(answer: &Option<Arc<str>>) -> Duration {
    if answer.is_some() { KNOWN_FOR } else { UNKNOWN_FOR }
}

impl Known {
    fn get(&self, key: &TokenHash, now: Instant) -> Option<Option<Arc<str>>> {
        let (asked, answer) = self.answers.get(key)?;
        (now.duration_since(*asked) < lifetime(answer)).then(|| answer.clone())
    }

    fn keep(&mut self, key: TokenHash, answer: Option<Arc<str>>, now: Instant) {
        if now.duration_since(self.swept) >= SWEEP {
            self.answers
                .retain(|_, (asked, answer)| now.duration_since(*asked) < lifetime(answer));
            self.swept = now;
        }
        if self.answers.len() >= CAPACITY {
            let giving_way: Vec<_> = self.answers.keys().take(OVERFLOW).copied().collect();
            for key in giving_way {
                self.answers.remove(&key);
            }
        }
        self.answers.insert(key, (now, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(now: Instant) -> Known {
        Known {
            answers: HashMap::new(),
            swept: now,
        }
    }

    #[test]
    fn answers_count_for_a_while() {
        // SEC-32
        let now = Instant::now();
        let mut known = known(now);
        let (member, stranger) = (TokenHash::of("member"), TokenHash::of("stranger"));
        known.keep(member, Some("u".into()), now);
        known.keep(stranger, None, now);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(known.get(&member, after(29)), Some(Some("u".into())));
        assert_eq!(known.get(&member, after(30)), None);
        assert_eq!(known.get(&stranger, after(4)), Some(None));
        assert_eq!(known.get(&stranger, after(5)), None);
        assert_eq!(known.get(&TokenHash::of("x"), now), None);
        known.keep(TokenHash::of("y"), None, after(120));
        assert_eq!(known.answers.len(), 1, "what does not count is swept out");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        // SEC-32
        let now = Instant::now();
        let mut known = known(now);
        for n in 0..=CAPACITY {
            known.keep(TokenHash::of(&n.to_string()), None, now);
        }
        assert_eq!(known.answers.len(), CAPACITY - OVERFLOW + 1);
    }

    #[test]
    fn cookies_are_taken_as_they_were_sent() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie_of(&headers), None);
        headers.append("cookie", HeaderValue::from_static("a=1"));
        headers.append("cookie", HeaderValue::from_static("b=2"));
        assert_eq!(cookie_of(&headers).as_deref(), Some("a=1; b=2"));
    }
}
