//! One scan over a request that collects what decides whether it is in normal form, without building a tree and without
//! looking at anything else.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::raw::is_name;

/// What the scan saw of the envelope.
#[derive(Default)]
pub(super) struct Probe<'a> {
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Option<&'a RawValue>,
    pub(super) params: Params<'a>,
    jsonrpc: bool,
    has_params: bool,
    repeated: bool,
}

/// What the scan saw of `params`.
#[derive(Default)]
pub(super) struct Params<'a> {
    pub(super) expires_in_seconds: Option<&'a RawValue>,
    pub(super) message: Message<'a>,
    has_message: bool,
    repeated: bool,
}

/// What the scan saw of `params.message`.
#[derive(Default)]
pub(super) struct Message<'a> {
    pub(super) id: Option<&'a RawValue>,
    is_object: bool,
    parts: bool,
    repeated: bool,
}

impl<'a> Probe<'a> {
    /// Scans a body. `None` sends it the general way, which then decides whether it is valid: some valid oddities, such
    /// as a number beyond the range of a float in place of `params`, are not worth a rule here.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether the request needs no change: an envelope, and a message that has an id and parts, or no message at all.
    pub(super) fn is_settled(&self) -> bool {
        let message = &self.params.message;
        let repeated = self.repeated || self.params.repeated || message.repeated;
        self.jsonrpc && !repeated && (!message.is_object || (message.id.is_some() && message.parts))
    }
}

/// Visitor methods for everything that is not an object: there is nothing to see.
macro_rules! nothing_in_other_types {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Probe<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;

        impl<'de> Visitor<'de> for EnvelopeVisitor {
            type Value = Probe<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = Probe::default();
                while let Some(name) = map.next_key::<&'de RawValue>()?.map(RawValue::get) {
                    if is_name(name, "jsonrpc") {
                        seen.repeated |= std::mem::replace(&mut seen.jsonrpc, true);
                        map.next_value::<IgnoredAny>()?;
                    } else if is_name(name, "id") {
                        seen.repeated |= seen.id.replace(map.next_value()?).is_some();
                    } else if is_name(name, "method") {
                        seen.repeated |= seen.method.replace(map.next_value()?).is_some();
                    } else if is_name(name, "params") {
                        seen.repeated |= std::mem::replace(&mut seen.has_params, true);
                        seen.params = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(seen)
            }
        }

        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParamsVisitor;

        impl<'de> Visitor<'de> for ParamsVisitor {
            type Value = Params<'de>;

            nothing_in_other_types!();

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = Params::default();
                while let Some(name) = map.next_key::<&'de RawValue>()?.map(RawValue::get) {
                    if is_name(name, "message") {
                        seen.repeated |= std::mem::replace(&mut seen.has_message, true);
                        seen.message = map.next_value()?;
                    } else if is_name(name, "expires_in_seconds") {
                        seen.repeated |= seen.expires_in_seconds.replace(map.next_value()?).is_some();
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(seen)
            }
        }

        deserializer.deserialize_any(ParamsVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MessageVisitor;

        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = Message<'de>;

            nothing_in_other_types!();

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = Message {
                    is_object: true,
                    ..Message::default()
                };
                while let Some(name) = map.next_key::<&'de RawValue>()?.map(RawValue::get) {
                    if is_name(name, "messageId") {
                        seen.repeated |= seen.id.replace(map.next_value()?).is_some();
                    } else if is_name(name, "parts") {
                        seen.repeated |= std::mem::replace(&mut seen.parts, true);
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(seen)
            }
        }

        deserializer.deserialize_any(MessageVisitor)
    }
}
