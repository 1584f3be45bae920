//! A query's parameters as one struct, which the document shows, too.
//!
//! The names of the struct's fields are the parameters that are known. One that is not is refused by
//! its name, and so is one that comes more than once where the field is no list.

use std::cell::Cell;

use actix_web::HttpRequest;
use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::params::{Params, invalid};
use crate::problem::Problem;

/// Reads the query of a request.
pub(super) fn read<T: DeserializeOwned>(req: &HttpRequest) -> Result<T, Problem> {
    let known = fields::<T>();
    // Which of them may repeat, their fields say.
    from(&Params::parse(req, known, known)?)
}

/// Reads the query of a request into two structs: the parameters that several routes share, and the
/// route's own.
pub(super) fn read_both<A, B>(req: &HttpRequest) -> Result<(A, B), Problem>
where
    A: DeserializeOwned,
    B: DeserializeOwned,
{
    let known = [fields::<A>(), fields::<B>()].concat();
    let params = Params::parse(req, &known, &known)?;
    Ok((from(&params)?, from(&params)?))
}

fn from<T: DeserializeOwned>(params: &Params) -> Result<T, Problem> {
    T::deserialize(Query(params)).map_err(|fault| match fault {
        Fault::Told(problem) => *problem,
        Fault::Text(text) => Problem::internal(anyhow::anyhow!("a query's struct: {text}")),
    })
}

/// Returns the names of a struct's fields.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let names = Cell::new(&[][..]);
    // It fails once it has them.
    let _ = T::deserialize(Names(&names));
    names.get()
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// As the caller is told.
    #[error("a parameter is wrong")]
    Told(Box<Problem>),
    /// What is right for a value, before it is known whose it is.
    #[error("{0}")]
    Text(String),
}

impl de::Error for Fault {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Told(Box::new(problem))
    }
}

/// Parameters, as a struct that has some of them.
struct Query<'a>(&'a Params);

impl<'de> Deserializer<'de> for Query<'_> {
    type Error = Fault;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let mut names: Vec<&'static str> = self.0.pairs().iter().map(|(name, _)| *name).collect();
        names.retain(|name| fields.contains(name));
        names.sort_unstable();
        names.dedup();
        visitor.visit_map(Pairs { params: self.0, names: names.into_iter(), name: "" })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("it is no struct with named fields"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
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
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.0.set(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("there are no values"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Pairs<'a> {
    params: &'a Params,
    names: std::vec::IntoIter<&'static str>,
    /// The one whose value comes next.
    name: &'static str,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
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
        let values = self.params.texts(self.name).unwrap_or_default();
        let count = self.params.pairs().iter().filter(|(name, _)| *name == self.name).count();
        seed.deserialize(Values { values, count }).map_err(|fault| match fault {
            Fault::Text(text) => Fault::from(invalid(self.name, &text)),
            told @ Fault::Told(_) => told,
        })
    }
}

/// All values of one parameter, each once.
struct Values {
    values: Vec<String>,
    /// How often it came.
    count: usize,
}

impl<'de> Deserializer<'de> for Values {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        if self.count > 1 {
            return Err(de::Error::custom("comes too often"));
        }
        visitor.visit_string(self.values.pop().unwrap_or_default())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let values = self.values.into_iter().map(IntoDeserializer::into_deserializer);
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    use super::*;
    use crate::problem::Code;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Example {
        one: Option<String>,
        #[serde(default)]
        many: Vec<String>,
    }

    fn example(query: &str) -> Result<Example, Problem> {
        read(&TestRequest::with_uri(&format!("/?{query}")).to_http_request())
    }

    #[test]
    fn a_field_takes_one_value_and_a_list_several() {
        assert_eq!(example("").unwrap(), Example { one: None, many: vec![] });
        let read = example("many=b%20c&one=1&many=a&many=a").unwrap();
        assert_eq!(read, Example { one: Some("1".into()), many: vec!["a".into(), "b c".into()] });
    }

    #[test]
    fn two_structs_share_a_query() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Other {
            two: Option<String>,
        }
        let both = |query: &str| {
            let req = TestRequest::with_uri(&format!("/?{query}")).to_http_request();
            read_both::<Example, Other>(&req)
        };
        let (one, other) = both("many=a&two=2&one=1").unwrap();
        assert_eq!(one, Example { one: Some("1".into()), many: vec!["a".into()] });
        assert_eq!(other, Other { two: Some("2".into()) });
        let problem = serde_json::to_value(both("three=3").unwrap_err().body("id")).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with("Known are: one, many, two."), "{detail}");
    }

    #[test]
    fn what_is_unknown_or_comes_too_often_is_refused_by_name() {
        for (query, named) in
            [("two=2", "\"two\""), ("one=1&one=1", "`one` comes too often"), ("many=", "`many`")]
        {
            let problem = example(query).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidParameter, "{query}");
            let body = serde_json::to_value(problem.body("id")).unwrap();
            assert!(body["detail"].as_str().unwrap().contains(named), "{query}: {body}");
        }
        let known = serde_json::to_value(example("x=").unwrap_err().body("id")).unwrap();
        assert!(known["detail"].as_str().unwrap().ends_with("Known are: one, many."), "{known}");
    }
}
