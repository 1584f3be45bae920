//! Lenient JSON parser: accepts lone surrogates, repeated keys, and any depth.
//!
//! It parses one level of an object and leaves the values unparsed. A fault in an unused field is
//! therefore harmless, and depth needs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::text::Text;

/// Members of one object.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(Vec<(Bytes<'a>, &'a RawValue)>);

/// Value, of which only strings are parsed.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// String; lone surrogates are replaced.
    Text(Text),
    /// Number, as it is written.
    Number(&'a str),
    /// Object, unparsed.
    Object(&'a str),
    /// Any other value, described for a message: `an array`, `true or false`.
    Other(&'static str),
}

impl<'a> Object<'a> {
    /// Parses an object; returns `Ok(None)` if the text is JSON but not an object.
    pub(super) fn parse(text: &'a str) -> serde_json::Result<Option<Self>> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map(Some)
        } else {
            serde_json::from_str::<&RawValue>(text).map(|_| None)
        }
    }

    /// Returns a member's value. The last one of repeated keys counts, as in most parsers. A null
    /// counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        let (_, raw) = self.0.iter().rev().find(|(Bytes(name), _)| **name == *key.as_bytes())?;
        Value::of(raw.get())
    }

    /// Returns the values of a member that may be repeated.
    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = Value<'a>> {
        let named = self.0.iter().filter(move |(Bytes(name), _)| **name == *key.as_bytes());
        named.filter_map(|(_, raw)| Value::of(raw.get()))
    }

    /// Returns the object under a key, if there is a valid one.
    pub(super) fn object(&self, key: &str) -> Option<Object<'a>> {
        match self.get(key)? {
            Value::Object(text) => Object::parse(text).ok().flatten(),
            _ => None,
        }
    }

    /// Returns `true` if the key has a value other than null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

impl<'a> Value<'a> {
    pub(super) fn of(raw: &'a str) -> Option<Self> {
        Some(match raw.as_bytes().first()? {
            b'n' => return None,
            b'"' => match serde_json::from_str::<Bytes<'_>>(raw) {
                Ok(Bytes(bytes)) => Self::Text(Text::from_wtf8(&bytes)),
                Err(_) => Self::Other("an invalid string"),
            },
            b'{' => Self::Object(raw),
            b'[' => Self::Other("an array"),
            b't' | b'f' => Self::Other("true or false"),
            _ => Self::Number(raw),
        })
    }

    /// Returns the kind of the value, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

/// JSON string as bytes: UTF-8, with lone surrogates in WTF-8.
#[derive(Debug)]
struct Bytes<'a>(Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Borrowed(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Owned(bytes.to_vec())))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}
