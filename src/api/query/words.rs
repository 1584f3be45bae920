//! Parameters that take one or several of some words.

use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Value that a word of a query names.
pub(crate) trait Word: Copy + Send + Sync + 'static {
    /// Returns all values.
    fn all() -> Vec<Self>;

    /// Returns the word for a value.
    fn word(self) -> &'static str;
}

/// Returns the value that a word names, or a description of all words.
fn find<T: Word>(text: &str) -> Result<T, String> {
    T::all().into_iter().find(|value| value.word() == text).ok_or_else(|| {
        let words: Vec<_> = T::all().into_iter().map(T::word).collect();
        format!("is one of: {}", words.join(", "))
    })
}

fn schema_of<T: Word>() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(T::all().into_iter().map(T::word)))
}

/// A word of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneOf<T>(pub(crate) T);

impl<'de, T: Word> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        find(&text).map(Self).map_err(D::Error::custom)
    }
}

impl<T: Word> ToSchema for OneOf<T> {}

impl<T: Word> PartialSchema for OneOf<T> {
    fn schema() -> RefOr<Schema> {
        schema_of::<T>().into()
    }
}

/// Some of some words, separated by commas.
#[derive(Clone, Debug)]
pub(crate) struct Words<T>(Vec<T>);

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Words<T> {
    /// Returns true where the words name a value.
    pub(crate) fn has(&self, value: T) -> bool {
        self.0.contains(&value)
    }
}

impl<'de, T: Word> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let values = text.split(',').map(find).collect::<Result<_, _>>();
        values.map(Self).map_err(D::Error::custom)
    }
}

/// Some of some words, in a parameter that may repeat or has commas between its words.
#[derive(Clone, Debug)]
pub(crate) struct AnyOf<T>(Vec<T>);

impl<T> Default for AnyOf<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> AnyOf<T> {
    /// Returns the values; `None` without any.
    pub(crate) fn given(self) -> Option<Vec<T>> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl<'de, T: Word> Deserialize<'de> for AnyOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Several(PhantomData))
    }
}

struct Several<T>(PhantomData<T>);

impl<'de, T: Word> Visitor<'de> for Several<T> {
    type Value = AnyOf<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("words")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyOf<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            for word in text.split(',') {
                values.push(find(word).map_err(A::Error::custom)?);
            }
        }
        Ok(AnyOf(values))
    }
}

impl<T: Word> ToSchema for AnyOf<T> {}

impl<T: Word> PartialSchema for AnyOf<T> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(schema_of::<T>()).into()
    }
}
