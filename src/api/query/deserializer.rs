//! Deserializer of a query's names and values into a struct.

use std::cell::Cell;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserializer, de, forward_to_deserialize_any};

use super::invalid::invalid;
use super::pairs::Pairs;
use super::time;
use super::time::TIME;
use crate::problem::Problem;

/// Reads a struct from those of the parameters that are its fields.
pub(super) fn from_pairs<T: DeserializeOwned>(pairs: &Pairs) -> Result<T, Problem> {
    T::deserialize(Query(pairs)).map_err(|fault| match fault {
        Fault::Problem(problem) => *problem,
        Fault::Value(text) => Problem::internal(anyhow::anyhow!("struct of a query: {text}")),
        Fault::NoValues => Problem::internal(anyhow::anyhow!("struct of a query without fields")),
    })
}

/// Returns the names of a struct's fields.
pub(super) fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let names = Cell::new(&[][..]);
    // It fails once it has them.
    let _ = T::deserialize(Names(&names));
    names.get()
}

/// Reason why a query cannot be read.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// Answer to the caller.
    #[error("a parameter is wrong")]
    Problem(Box<Problem>),
    /// Description of valid values, before the parameter's name is known.
    #[error("{0}")]
    Value(String),
    /// There are names only.
    #[error("there are no values")]
    NoValues,
}

impl de::Error for Fault {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Value(text.to_string())
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

/// Parameters, as a struct that has some of them.
struct Query<'a>(&'a Pairs);

impl<'de> Deserializer<'de> for Query<'_> {
    type Error = Fault;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let mut names = self.0.names();
        names.retain(|name| fields.contains(name));
        visitor.visit_map(Fields { pairs: self.0, names: names.into_iter(), name: "" })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("it is no struct with named fields"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Place for the names of a struct's fields.
struct Names<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Fault;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        self.0.set(fields);
        Err(Fault::NoValues)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::NoValues)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'a> {
    pairs: &'a Pairs,
    names: std::vec::IntoIter<&'static str>,
    /// Name of the next value.
    name: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some(name) = self.names.next() else { return Ok(None) };
        self.name = name;
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let values = self.pairs.values(self.name);
        let field = Field { pairs: self.pairs, name: self.name, values };
        seed.deserialize(field).map_err(|fault| match fault {
            Fault::Value(text) => Fault::from(invalid(self.name, &text)),
            other => other,
        })
    }
}

/// All values of one parameter.
struct Field<'a> {
    pairs: &'a Pairs,
    name: &'static str,
    values: Vec<String>,
}

impl Field<'_> {
    /// Returns the only value.
    fn value(mut self) -> Result<String, Fault> {
        if self.values.len() > 1 {
            return Err(de::Error::custom("comes too often"));
        }
        Ok(self.values.pop().unwrap_or_default())
    }
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.value()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &*self.value()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(de::Error::custom("is one of: true, false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    /// Passes each value once, sorted.
    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        self.values.sort_unstable();
        self.values.dedup();
        let values = self.values.into_iter().map(IntoDeserializer::into_deserializer);
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    /// Passes a time as microseconds since 1970: its meaning depends on the parameter's name and on
    /// the time zone of the query.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name != TIME {
            return visitor.visit_newtype_struct(self);
        }
        let (name, pairs) = (self.name, self.pairs);
        let at = time::read(name, &self.value()?, pairs)?;
        visitor.visit_i64(at.timestamp_micros())
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}
