//! Reading of a query into structs.
//!
//! The fields of a struct are the parameters of a query. A query has several parts where routes share
//! some of them, such as [`Paging`](super::parameters::Paging): [`And`] joins two.

use actix_web::HttpRequest;
use serde::de::DeserializeOwned;

use super::deserializer;
use super::pairs::Pairs;
use crate::problem::Problem;

/// Part of a query: a struct, or two parts joined.
pub(crate) trait Query: Sized {
    /// Returns the names of the parameters.
    fn names() -> Vec<&'static str>;

    /// Reads this part from the parameters of a request.
    fn from_pairs(pairs: &Pairs) -> Result<Self, Problem>;
}

impl<T: DeserializeOwned> Query for T {
    fn names() -> Vec<&'static str> {
        deserializer::fields::<T>().to_vec()
    }

    fn from_pairs(pairs: &Pairs) -> Result<Self, Problem> {
        deserializer::from_pairs(pairs)
    }
}

/// Two parts of a query.
#[derive(Debug)]
pub(crate) struct And<A, B>(pub(crate) A, pub(crate) B);

impl<A: Query, B: Query> Query for And<A, B> {
    fn names() -> Vec<&'static str> {
        [A::names(), B::names()].concat()
    }

    fn from_pairs(pairs: &Pairs) -> Result<Self, Problem> {
        Ok(Self(A::from_pairs(pairs)?, B::from_pairs(pairs)?))
    }
}

/// Reads the query of a request.
pub(crate) fn read<T: Query>(req: &HttpRequest) -> Result<T, Problem> {
    T::from_pairs(&Pairs::parse(req, &T::names())?)
}

/// Rejects a request with parameters.
pub(crate) fn read_nothing(req: &HttpRequest) -> Result<(), Problem> {
    read(req)
}

/// Names and values of a query's filters, which the checksum of a cursor covers.
pub(crate) type Filters = Vec<(&'static str, String)>;

/// Reads a query of `F`, which filters, and `O`, which does not, and returns the filters as they were
/// sent beside it.
pub(crate) fn read_filters<F: Query, O: Query>(
    req: &HttpRequest,
) -> Result<(F, O, Filters), Problem> {
    let pairs = Pairs::parse(req, &And::<O, F>::names())?;
    let (filters, others) = (F::from_pairs(&pairs)?, O::from_pairs(&pairs)?);
    Ok((filters, others, pairs.sorted(&F::names())))
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

    #[derive(Debug, Deserialize, PartialEq)]
    struct Other {
        two: Option<String>,
    }

    fn read_from<T: Query>(query: &str) -> Result<T, Problem> {
        read(&TestRequest::with_uri(&format!("/?{query}")).to_http_request())
    }

    fn detail(problem: &Problem) -> String {
        let body = serde_json::to_value(problem.body("id")).unwrap();
        body["detail"].as_str().unwrap().to_owned()
    }

    #[test]
    fn field_takes_one_value_and_a_list_several() {
        let example = read_from::<Example>("").unwrap();
        assert_eq!(example, Example { one: None, many: vec![] });
        let example = read_from::<Example>("many=b%20c&one=1&many=a&many=a").unwrap();
        assert_eq!(
            example,
            Example { one: Some("1".into()), many: vec!["a".into(), "b c".into()] }
        );
    }

    #[test]
    fn two_structs_share_a_query() {
        let And(one, other) = read_from::<And<Example, Other>>("many=a&two=2&one=1").unwrap();
        assert_eq!(one, Example { one: Some("1".into()), many: vec!["a".into()] });
        assert_eq!(other, Other { two: Some("2".into()) });
        let detail = detail(&read_from::<And<Example, Other>>("three=3").unwrap_err());
        assert!(detail.ends_with("Known are: one, many, two."), "{detail}");
    }

    #[test]
    fn unknown_or_repeated_parameter_is_rejected_by_name() {
        for (query, named) in
            [("two=2", "\"two\""), ("one=1&one=1", "`one` comes too often"), ("many=", "`many`")]
        {
            let problem = read_from::<Example>(query).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidParameter, "{query}");
            assert!(detail(&problem).contains(named), "{query}: {problem:?}");
        }
        let known = detail(&read_from::<Example>("x=").unwrap_err());
        assert!(known.ends_with("Known are: one, many."), "{known}");
        let known = detail(&read_from::<()>("x=1").unwrap_err());
        assert!(known.ends_with("Known are: none."), "{known}");
    }

    #[test]
    fn filters_are_sorted_and_without_the_other_part() {
        let req = TestRequest::with_uri("/?many=b&two=2&many=a").to_http_request();
        let (_, _, filters) = read_filters::<Example, Other>(&req).unwrap();
        assert_eq!(filters, [("many", "a".to_owned()), ("many", "b".to_owned())]);
    }
}
