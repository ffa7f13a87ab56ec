//! The tenant guard of hosted servers (SEC-54…58). It never authenticates: what passes still meets its route's gate.

use http::HeaderMap;

use crate::limits::Origins;

/// Does the request belong to this org? Rows that answer any org are not asked.
pub(super) fn admits(org_id: Option<&str>, origins: &Origins, headers: &HeaderMap) -> bool {
    org_id.is_none_or(|org_id| names_org(headers, org_id) || origins.is_own_page(headers))
}

fn names_org(headers: &HeaderMap, org_id: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let state = |source: &str| {
        source
            .split(';')
            .filter_map(|part| part.trim().strip_prefix("state="))
            .any(|state| state == org_id)
    };
    text("x-molecule-org-id") == Some(org_id) || text("fly-replay-src").is_some_and(state)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use molecule_platform::AuthMode;

    use super::*;

    fn passes(headers: &[(&'static str, &'static str)]) -> bool {
        let origins = Origins::new(AuthMode::Required, None, None);
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        admits(Some("acme"), &origins, &headers.iter().map(pair).collect())
    }

    #[test]
    fn the_org_is_named_exactly() {
        // SEC-54
        assert!(passes(&[("x-molecule-org-id", "acme")]));
        assert!(!passes(&[("x-molecule-org-id", "acme2")]));
        assert!(passes(&[("fly-replay-src", "instance=1;state=acme;t=2")]));
        assert!(!passes(&[("fly-replay-src", "state=other")]));
        assert!(passes(&[("host", "h"), ("origin", "https://h")]));
        assert!(!passes(&[("host", "h"), ("origin", "https://e")]));
        assert!(!passes(&[]));
        assert!(admits(
            None,
            &Origins::new(AuthMode::Required, None, None),
            &HeaderMap::new()
        ));
    }
}
