//! A field of a PATCH: absent is not null.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Tells "leave as it is" from "clear" (LIFE-94). Use with `#[serde(default)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The key was not sent.
    #[default]
    Absent,
    /// The key was sent as `null`.
    Null,
    /// The key was sent with a value.
    Value(T),
}

impl<T> Patch<T> {
    /// Was the key sent at all?
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// `None` if absent, `Some(None)` if null.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// Takes `null` for the default, as clients send it for what they have nothing to say about. Use with
/// `#[serde(default, deserialize_with = "…")]` on optional fields that are no `Option`.
///
/// # Errors
/// What the field's own type says of a value that it cannot be.
pub fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An object, and nothing else: serde would also take a struct from an array of its members.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Takes a struct from an object only, and null for none.
///
/// # Errors
/// It is something else, or a member is.
pub fn optional_object<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// Takes structs from a list of objects only, and null for an empty one.
///
/// # Errors
/// It is something else, or a member is.
pub fn objects<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let objects = Option::<Vec<Object<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        x: Patch<i32>,
    }

    #[test]
    fn null_says_nothing() {
        // REG §4, LIFE §5: an agent that sends null for what it does not know stays alive.
        let beat = r#"{"workspace_id":"w","error_rate":null,"sample_error":null,"current_task":null,"active_tasks":null,
                       "uptime_seconds":null,"monthly_spend":null,"runtime_state":null,"runtime_metadata":null}"#;
        let beat: crate::registry::Heartbeat = serde_json::from_str(beat).unwrap();
        assert_eq!(
            (beat.error_rate, beat.active_tasks, beat.current_task.as_str()),
            (0.0, 0, "")
        );
        let register = r#"{"id":"w","agent_card":{},"url":null,"delivery_mode":null}"#;
        assert_eq!(
            serde_json::from_str::<crate::registry::Register>(register).unwrap().url,
            ""
        );
        let notify = r#"{"message":"hi","attachments":null}"#;
        assert!(
            serde_json::from_str::<crate::activity::Notify>(notify)
                .unwrap()
                .attachments
                .is_empty()
        );
        let create = r#"{"name":"w","external":null,"tier":null,"secrets":null,"canvas":{"x":null,"y":1}}"#;
        assert!(
            !serde_json::from_str::<crate::workspaces::CreateWorkspace>(create)
                .unwrap()
                .external
        );
        let restart = r#"{"template":null,"apply_template":null,"reset":null,"rebuild_config":null}"#;
        assert!(
            !serde_json::from_str::<crate::workspaces::RestartWorkspace>(restart)
                .unwrap()
                .reset
        );
        let model = |text| serde_json::from_str::<crate::secrets::SetModel>(text).map(|set| set.model);
        assert_eq!(model(r#"{"model":null}"#).unwrap(), "");
        assert!(model("{}").is_err(), "what is required is not optional");
        assert!(model(r#"{"model":3}"#).is_err());
    }

    #[test]
    fn a_struct_is_an_object() {
        // SEC-196
        let create = |canvas: &str| {
            serde_json::from_str::<crate::workspaces::CreateWorkspace>(&format!(r#"{{"name":"w","canvas":{canvas}}}"#))
        };
        assert_eq!(create(r#"{"x":1}"#).unwrap().canvas.unwrap().x, 1.0);
        assert!(create("null").unwrap().canvas.is_none());
        let refused = create("[1,2]").unwrap_err().to_string();
        assert!(refused.contains("expected an object"), "{refused}");
        let notify = r#"{"message":"m","attachments":[["u","n"]]}"#;
        assert!(serde_json::from_str::<crate::activity::Notify>(notify).is_err());
        let beat = r#"{"workspace_id":"w","runtime_metadata":[]}"#;
        assert!(serde_json::from_str::<crate::registry::Heartbeat>(beat).is_err());
    }

    #[test]
    fn absent_null_value() {
        // LIFE-94
        let x = |text| serde_json::from_str::<Body>(text).unwrap().x;
        assert_eq!(x("{}"), Patch::Absent);
        assert_eq!(x(r#"{"x":null}"#), Patch::Null);
        assert_eq!(x(r#"{"x":3}"#), Patch::Value(3));
    }
}
