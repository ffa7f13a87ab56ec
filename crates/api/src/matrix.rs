//! Who may call what, as data: for every class of routes and every kind of caller, whether it is let in, and with what it
//! is refused. The guards ask it, the description of the API and the table in `docs/security.md` are made from it, and a
//! test walks all of it over HTTP.

use http::StatusCode;
use molecule_wire::words::ErrorCode;

use crate::route::{Class, Reach, Route};

/// A kind of caller, as far as that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Shows no credential.
    Anonymous,
    /// Shows a bearer that proves nothing: unknown, revoked, expired, or of a workspace that was removed.
    Unproven,
    /// The token of the workspace that the request is about.
    Own,
    /// The token of another workspace.
    Other,
    /// An org token that reaches what the request is about, and may change it.
    Org,
    /// An org token that is anchored elsewhere in the org chart.
    OrgElsewhere,
    /// An org token that may change nothing.
    OrgReadOnly,
    /// A signed-in browser.
    Session,
    /// A member of a hosted org, whom the control plane knows by its cookie.
    Member,
    /// The operator's own token.
    Operator,
}

impl Standing {
    /// Every kind, as columns stand in tables.
    pub const ALL: [Self; 10] = [
        Self::Anonymous,
        Self::Unproven,
        Self::Own,
        Self::Other,
        Self::Org,
        Self::OrgElsewhere,
        Self::OrgReadOnly,
        Self::Session,
        Self::Member,
        Self::Operator,
    ];

    /// As documents name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Unproven => "invalid-bearer",
            Self::Own => "own-workspace",
            Self::Other => "other-workspace",
            Self::Org => "org-token",
            Self::OrgElsewhere => "org-token-elsewhere",
            Self::OrgReadOnly => "org-token-read-only",
            Self::Session => "session",
            Self::Member => "member",
            Self::Operator => "operator",
        }
    }
}

/// How somebody is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Status.
    pub status: u16,
    /// Text of `error`.
    pub text: &'static str,
    /// `code` beside it, if there is one.
    pub code: Option<ErrorCode>,
}

/// What the matrix says of one caller on one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let in.
    Allowed,
    /// Let in while the workspace has no live token of its own; else refused.
    WhileTokenless(&'static Refusal),
    /// Refused.
    Refused(&'static Refusal),
}

use Verdict::{Allowed, Refused, WhileTokenless};

const fn refusal(status: StatusCode, text: &'static str) -> Refusal {
    Refusal {
        status: status.as_u16(),
        text,
        code: None,
    }
}

const fn scope(text: &'static str, code: ErrorCode) -> Refusal {
    Refusal {
        status: StatusCode::FORBIDDEN.as_u16(),
        text,
        code: Some(code),
    }
}

static NO_ADMIN: Refusal = refusal(StatusCode::UNAUTHORIZED, "admin auth required");
static BAD_ADMIN: Refusal = refusal(StatusCode::UNAUTHORIZED, "invalid admin auth token");
static NO_WORKSPACE: Refusal = refusal(StatusCode::UNAUTHORIZED, "missing workspace auth token");
static BAD_WORKSPACE: Refusal = refusal(StatusCode::UNAUTHORIZED, "invalid workspace auth token");
static NO_CALLER: Refusal = refusal(StatusCode::UNAUTHORIZED, "missing caller auth token");
static BAD_CALLER: Refusal = refusal(StatusCode::UNAUTHORIZED, "invalid caller auth token");
static HIDDEN: Refusal = refusal(StatusCode::NOT_FOUND, "not found");
/// An org token asks for what it does not reach (SEC-150).
pub(crate) static ELSEWHERE: Refusal = scope("org access denied", ErrorCode::OutOfReach);
/// An org token that may change nothing asks for a change.
pub(crate) static READ_ONLY: Refusal = scope("this token is read-only", ErrorCode::ReadOnly);

/// What a class says of those whose reach does not matter: anonymous, unproven, own, other, org, session, member,
/// operator.
type Row = [Verdict; 8];

/// Class; in required mode, and of requests of other machines in open mode; of this machine's own in open mode (D2).
#[rustfmt::skip]
static CLASSES: &[(Class, Row, Row)] = &[
    (Class::Public,
        [Allowed; 8],
        [Allowed; 8]),
    (Class::Signed,
        [Allowed; 8],
        [Allowed; 8]),
    (Class::Proxied,
        [Allowed; 8],
        [Allowed; 8]),
    // The workspace it registers for has a token; the exceptions are its handler's (D3).
    (Class::Registry,
        [Refused(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         Refused(&BAD_WORKSPACE), Refused(&BAD_WORKSPACE), Refused(&BAD_WORKSPACE), Refused(&BAD_WORKSPACE)],
        [Refused(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         Refused(&BAD_WORKSPACE), Refused(&BAD_WORKSPACE), Refused(&BAD_WORKSPACE), Refused(&BAD_WORKSPACE)]),
    // In open mode a bearer that proves nothing is the canvas (D2).
    (Class::Message,
        [Refused(&NO_CALLER), Refused(&BAD_CALLER), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed],
        [Allowed; 8]),
    // SEC-101, D2: nobody learns what there is.
    (Class::Queue,
        [Refused(&HIDDEN), Refused(&HIDDEN), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed],
        [Allowed, Refused(&HIDDEN), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed]),
    // SEC-75: neither the operator's nor an org token.
    (Class::Peer,
        [Refused(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         Refused(&BAD_WORKSPACE), Allowed, Allowed, Refused(&BAD_WORKSPACE)],
        [Allowed, Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         Refused(&BAD_WORKSPACE), Allowed, Allowed, Refused(&BAD_WORKSPACE)]),
    (Class::Topology,
        [Refused(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed],
        [Allowed, Refused(&BAD_WORKSPACE), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed]),
    (Class::Workspace,
        [Refused(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         Allowed, Allowed, Allowed, Allowed],
        [Allowed, Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         Allowed, Allowed, Allowed, Allowed]),
    // SEC-78
    (Class::WorkspaceOnly,
        [Refused(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         WhileTokenless(&BAD_WORKSPACE), WhileTokenless(&BAD_WORKSPACE), WhileTokenless(&BAD_WORKSPACE),
         WhileTokenless(&BAD_WORKSPACE)],
        [WhileTokenless(&NO_WORKSPACE), Refused(&BAD_WORKSPACE), Allowed, Refused(&BAD_WORKSPACE),
         WhileTokenless(&BAD_WORKSPACE), WhileTokenless(&BAD_WORKSPACE), WhileTokenless(&BAD_WORKSPACE),
         WhileTokenless(&BAD_WORKSPACE)]),
    // In open mode older clients show the token of their workspace here, too (SEC-46, SEC-51).
    (Class::Admin,
        [Refused(&NO_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN),
         Allowed, Allowed, Allowed, Allowed],
        [Allowed, Refused(&BAD_ADMIN), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed]),
    (Class::Metrics,
        [Refused(&NO_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN),
         Allowed, Allowed, Allowed, Allowed],
        [Allowed, Refused(&BAD_ADMIN), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed]),
    (Class::Socket,
        [Refused(&NO_ADMIN), Refused(&BAD_ADMIN), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed],
        [Allowed, Refused(&BAD_ADMIN), Allowed, Allowed, Allowed, Allowed, Allowed, Allowed]),
    // The keys of the server itself: not even who was let in by the operator changes them.
    (Class::Operator,
        [Refused(&NO_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN),
         Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Allowed],
        [Allowed, Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN),
         Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Refused(&BAD_ADMIN), Allowed]),
    // SEC-120, SEC-122
    (Class::TestToken,
        [Refused(&NO_ADMIN), Refused(&NO_ADMIN), Refused(&NO_ADMIN), Refused(&NO_ADMIN),
         Refused(&NO_ADMIN), Refused(&NO_ADMIN), Refused(&NO_ADMIN), Allowed],
        [Allowed, Refused(&NO_ADMIN), Refused(&NO_ADMIN), Refused(&NO_ADMIN),
         Refused(&NO_ADMIN), Refused(&NO_ADMIN), Refused(&NO_ADMIN), Allowed]),
];

impl Class {
    /// Every class, as it stands in tables.
    pub fn all() -> impl Iterator<Item = Self> {
        CLASSES.iter().map(|(class, ..)| *class)
    }

    /// What the class says of a caller. `local`: open mode, and the request is this machine's own.
    #[must_use]
    pub fn verdict(self, who: Standing, local: bool) -> Verdict {
        let column = match who {
            Standing::Anonymous => 0,
            Standing::Unproven => 1,
            Standing::Own => 2,
            Standing::Other => 3,
            Standing::Org | Standing::OrgElsewhere | Standing::OrgReadOnly => 4,
            Standing::Session => 5,
            Standing::Member => 6,
            Standing::Operator => 7,
        };
        let row = CLASSES.iter().find(|(class, ..)| *class == self);
        match row {
            Some((_, _, open)) if local => open[column],
            Some((_, required, _)) => required[column],
            // A test proves that every class has its row.
            None => Refused(&NO_ADMIN),
        }
    }

    /// Is no credential looked at? Whatever is sent proves nothing, and limits nothing.
    #[must_use]
    pub const fn ignores_credentials(self) -> bool {
        matches!(self, Self::Public | Self::Signed | Self::Proxied)
    }

    /// Does its handler decide, who alone knows on whose behalf is asked? The matrix says what comes of it.
    #[must_use]
    pub const fn is_decided_by_handler(self) -> bool {
        matches!(
            self,
            Self::Public | Self::Signed | Self::Proxied | Self::Registry | Self::Message | Self::Queue | Self::Socket
        )
    }
}

impl Route {
    /// What becomes of a caller here: what the class says, and for org tokens what they reach and may do besides.
    #[must_use]
    pub fn verdict(&self, who: Standing, local: bool) -> Verdict {
        let verdict = self.class.verdict(who, local);
        match (who, verdict) {
            (_, Refused(_)) => verdict,
            // Nothing is asked of a credential there, and so nothing of its limits.
            _ if self.class.ignores_credentials() => verdict,
            (Standing::OrgReadOnly, _) if self.changes() => Refused(&READ_ONLY),
            (Standing::OrgElsewhere, _) if self.reach == Reach::Whole || self.names_workspace() => Refused(&ELSEWHERE),
            _ => verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
    const BEGIN: &str = "do not edit -->\n";
    const END: &str = "<!-- end of matrix -->";

    fn cell(class: Class, who: Standing) -> String {
        let said = |local| match class.verdict(who, local) {
            Allowed => "yes".to_owned(),
            WhileTokenless(refusal) => format!("{}*", refusal.status),
            Refused(refusal) => refusal.status.to_string(),
        };
        let (required, open) = (said(false), said(true));
        if required == open {
            required
        } else {
            format!("{required} / {open}")
        }
    }

    /// The matrix and its routes, as the manual shows them.
    fn tables() -> String {
        let callers = [
            Standing::Anonymous,
            Standing::Unproven,
            Standing::Own,
            Standing::Other,
            Standing::Org,
            Standing::Session,
            Standing::Member,
            Standing::Operator,
        ];
        let mut text = String::from("\n| class |");
        callers.iter().for_each(|who| text += &format!(" {} |", who.as_str()));
        text += &format!("\n|---|{}\n", "---|".repeat(callers.len()));
        for class in Class::all() {
            text += &format!("| `{}` |", class.as_str());
            callers
                .iter()
                .for_each(|who| text += &format!(" {} |", cell(class, *who)));
            text += "\n";
        }
        text += "\n| operation | class | changes | an anchored org token | audit |\n|---|---|---|---|---|\n";
        for route in ROUTES.iter().filter(|route| !route.later) {
            let reach = match (route.verdict(Standing::OrgElsewhere, false), route.reach) {
                // Everybody is let in, whatever they show.
                _ if route.class.ignores_credentials() => "yes",
                (Refused(refusal), _) if refusal.status == 401 => "–",
                (_, Reach::Exactly) => "of that very org",
                _ if route.names_workspace() => "in its part",
                (_, Reach::Whole) => "no",
                (_, Reach::Part) => "sees its part",
                (_, Reach::Nothing) => "yes",
            };
            let audit = route.audit.map_or("", |audit| audit.action);
            text += &format!(
                "| `{} {}` | `{}` | {} | {reach} | {audit} |\n",
                route.verb.as_str(),
                route.path,
                route.class.as_str(),
                if route.changes() { "yes" } else { "" },
            );
        }
        text += "\nDecided, and answered with 404 until they are built:\n\n";
        for class in Class::all() {
            let later = ROUTES.iter().filter(|route| route.later && route.class == class);
            let later: Vec<_> = later
                .map(|route| format!("`{} {}`", route.verb.as_str(), route.path))
                .collect();
            if !later.is_empty() {
                text += &format!("- `{}`: {}\n", class.as_str(), later.join(", "));
            }
        }
        text + "\n"
    }

    #[test]
    fn the_manual_shows_the_matrix() {
        let manual = std::fs::read_to_string(MANUAL).unwrap();
        let (before, rest) = manual.split_once(BEGIN).unwrap();
        let (shown, after) = rest.split_once(END).unwrap();
        let tables = tables();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(MANUAL, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap();
            return;
        }
        assert!(
            shown == tables,
            "docs/security.md is not what the code says; run the test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn every_class_has_its_row() {
        for route in ROUTES {
            assert!(Class::all().any(|class| class == route.class), "{}", route.path);
        }
        for class in Class::all() {
            let rows = CLASSES.iter().filter(|(other, ..)| *other == class);
            assert_eq!(rows.count(), 1, "{class:?}");
        }
    }

    #[test]
    fn nobody_gets_more_in_required_mode_than_in_open_mode() {
        for (class, required, open) in CLASSES {
            for (strict, loose) in required.iter().zip(open) {
                assert!(!matches!((strict, loose), (Allowed, Refused(_))), "{class:?}");
            }
        }
    }

    #[test]
    fn an_org_token_with_a_scope_gets_no_more_than_one_without() {
        for route in ROUTES {
            for local in [false, true] {
                let whole = route.verdict(Standing::Org, local);
                for who in [Standing::OrgElsewhere, Standing::OrgReadOnly] {
                    let scoped = route.verdict(who, local);
                    assert!(scoped == whole || matches!(scoped, Refused(_)), "{}", route.path);
                }
            }
        }
    }

    #[test]
    fn no_change_is_open_to_anonymous_callers() {
        // D2
        let open = ROUTES
            .iter()
            .filter(|route| route.changes() && route.verdict(Standing::Anonymous, false) == Allowed)
            .map(|route| route.path);
        let judged_elsewhere = [
            "/cp/{*path}",
            "/webhooks/github",
            "/webhooks/github/{id}",
            "/webhooks/{kind}",
        ];
        for path in open {
            assert!(path == "/auth/login" || judged_elsewhere.contains(&path), "{path}");
        }
    }
}
