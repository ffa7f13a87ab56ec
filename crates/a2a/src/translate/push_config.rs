//! Push notification settings: nested under `pushNotificationConfig` with a list of schemes in v0.3, flat with one scheme
//! in v1.0.

use crate::{
    raw::{self, RawObject},
    translate::spelling::object,
};

/// Members of the flat form that v0.3 nests.
const NESTED: [&str; 4] = ["id", "url", "token", "authentication"];

/// The settings object of v1.0 as v0.3, without the task around it.
pub(super) fn to_v03(raw: &str) -> Option<String> {
    let mut config = object(raw)?;
    config.update("authentication", |authentication| {
        let mut authentication = RawObject::parse(authentication)?;
        let schemes = format!("[{}]", authentication.get_some("scheme")?);
        // A caller of v0.3 may have named several, which then travelled along.
        if authentication.has("schemes") {
            authentication.remove("scheme");
        } else {
            authentication.rename("scheme", "schemes");
            authentication.set("schemes", schemes);
        }
        Some(authentication.to_json())
    });
    Some(config.to_json())
}

/// The settings object of v0.3 as v1.0, without the task around it.
pub(super) fn to_v1(raw: &str) -> Option<String> {
    let mut config = RawObject::parse(raw)?;
    config.update("authentication", |authentication| {
        let mut authentication = RawObject::parse(authentication)?;
        let schemes = authentication.get("schemes").and_then(raw::elements)?;
        let first = (*schemes.first()?).to_owned();
        // v1.0 has room for one; the list stays beside it, unknown to v1.0, when it says more.
        if schemes.len() == 1 {
            authentication.remove("schemes");
        }
        authentication.set("scheme", first);
        Some(authentication.to_json())
    });
    Some(config.to_json())
}

/// The flat form of v1.0 as the nested one of v0.3.
pub(super) fn set_to_v03(mut flat: RawObject<'_>) -> RawObject<'_> {
    let mut config = RawObject::default();
    for name in NESTED {
        if let Some(value) = flat.remove(name) {
            config.set(name, value);
        }
    }
    let config = config.to_json();
    flat.set("pushNotificationConfig", to_v03(&config).unwrap_or(config));
    flat
}

/// The nested form of v0.3 as the flat one of v1.0.
pub(super) fn set_to_v1(mut nested: RawObject<'_>) -> RawObject<'_> {
    let Some(config) = nested.remove("pushNotificationConfig") else {
        return nested;
    };
    match to_v1(&config).as_deref().and_then(RawObject::parse) {
        Some(config) => nested.absorb(config.into_owned()),
        None => nested.set("pushNotificationConfig", config),
    }
    nested
}
