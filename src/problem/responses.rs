//! Problems in the document of the API: the schema, and the error answers of routes as types.
//!
//! An annotation names the codes of its route, as in `Errors<(ApiErrors, NotFound)>`.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{
    ContentBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, SchemaFormat,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::{Code, Problem};

/// ID of a request in examples.
const REQUEST_ID: &str = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64";

/// Codes that a route can answer.
pub trait Codes {
    /// Returns the codes.
    fn codes() -> Vec<Code>;
}

/// Error answers of a route, with the codes of `T`.
pub struct Errors<T>(PhantomData<T>);

macro_rules! codes {
    ($($name:ident),*) => { $(
        #[doc = concat!("The code `", stringify!($name), "`.")]
        #[derive(Debug)]
        pub struct $name;

        impl Codes for $name {
            fn codes() -> Vec<Code> {
                vec![Code::$name]
            }
        }
    )* };
}

codes!(
    InvalidSignature,
    MissingCredentials,
    InvalidKey,
    Forbidden,
    NotFound,
    AmbiguousSession,
    Conflict,
    InvalidParameter,
    InvalidCursor,
    TooManyBuckets,
    PayloadTooLarge,
    RequestTimeout,
    UnreadableDelivery,
    RateLimited,
    NotDurable,
    Unavailable,
    Internal
);

/// Codes of every route that needs a key.
#[derive(Debug)]
pub struct KeyErrors;

impl Codes for KeyErrors {
    fn codes() -> Vec<Code> {
        vec![
            Code::MissingCredentials,
            Code::InvalidKey,
            Code::Forbidden,
            Code::RateLimited,
            Code::Internal,
            Code::Unavailable,
        ]
    }
}

/// Codes of every route below `/v1` that needs a key.
#[derive(Debug)]
pub struct ApiErrors;

impl Codes for ApiErrors {
    fn codes() -> Vec<Code> {
        [KeyErrors::codes(), InvalidParameter::codes()].concat()
    }
}

macro_rules! codes_of_tuples {
    ($(($($name:ident),*))*) => { $(
        impl<$($name: Codes),*> Codes for ($($name),*) {
            fn codes() -> Vec<Code> {
                [$($name::codes()),*].concat()
            }
        }
    )* };
}

codes_of_tuples! {
    (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H) (A, B, C, D, E, F, G, H, I) (A, B, C, D, E, F, G, H, I, J)
    (A, B, C, D, E, F, G, H, I, J, K)
}

impl<T: Codes> IntoResponses for Errors<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut statuses: BTreeMap<String, Vec<Code>> = BTreeMap::new();
        for code in T::codes() {
            statuses.entry(code.status().as_str().to_owned()).or_default().push(code);
        }
        statuses.into_iter().map(|(status, codes)| (status, response(&codes).into())).collect()
    }
}

/// Returns the answer with one of these codes, which share a status. Its extension `x-name` is the
/// name under which routes share it.
fn response(codes: &[Code]) -> Response {
    let titles: Vec<_> = codes.iter().map(|code| code.title()).collect();
    let name = codes.iter().map(|code| format!("{code:?}")).collect::<Vec<_>>().join("Or");
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(codes.iter().map(|code| example(*code)))
        .build();
    let mut response = ResponseBuilder::new()
        .description(format!("{}.", titles.join("; or: ")))
        .content("application/problem+json", content)
        .extensions(Some(ExtensionsBuilder::new().add("x-name", name).build()));
    let has_status =
        |wanted: &[u16]| codes.iter().any(|code| wanted.contains(&code.status().as_u16()));
    if has_status(&[401]) {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let header =
            HeaderBuilder::new().description(Some("How to send a key.")).schema(Some(text));
        response = response.header("WWW-Authenticate", header.build());
    }
    if has_status(&[429, 503]) {
        let seconds =
            ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).minimum(Some(0));
        let header = HeaderBuilder::new()
            .description(Some("Time to wait before the next attempt, in seconds."))
            .schema(Some(seconds));
        response = response.header("Retry-After", header.build());
    }
    response.build()
}

fn example(code: Code) -> (String, Example) {
    let problem = Problem::new(code, detail(code));
    let body = serde_json::to_value(problem.body(REQUEST_ID)).unwrap_or_default();
    let example = ExampleBuilder::new().summary(code.title()).value(Some(body));
    (code.as_str().to_owned(), example.build())
}

/// Returns an example of a code's detail.
fn detail(code: Code) -> &'static str {
    match code {
        Code::InvalidSignature => "The signature does not match any secret of this source.",
        Code::MissingCredentials => {
            "Send an API key, as `Authorization: Bearer <key>` or as `X-API-Key: <key>`."
        }
        Code::InvalidKey => "This key has expired.",
        Code::Forbidden => "This key lacks the scope `read`.",
        Code::NotFound => "There is no such session.",
        Code::MethodNotAllowed => "PUT is not possible here. Possible: GET, HEAD.",
        Code::AmbiguousSession => {
            "Several sessions have this id: say which with `agent_id` (and `source`), or ask with \
             its own `id`."
        }
        Code::Conflict => "Only what is in quarantine can be retried; this is `stored`.",
        Code::InvalidParameter => "`limit` is a whole number from 1 to 500.",
        Code::InvalidCursor => "The cursor belongs to other filters; begin again without it.",
        Code::TooManyBuckets => {
            "An answer has 5000 rows at the most, groups included. `bucket=hour` fits."
        }
        Code::PayloadTooLarge => {
            "A delivery has 1048576 bytes at most; VERBATIM_MAX_BODY raises the limit."
        }
        Code::RequestTimeout => "The body was not complete after 30 seconds; nothing was stored.",
        Code::UnreadableDelivery => {
            "The field data.session_id: it is missing. The bytes are kept in quarantine."
        }
        Code::RateLimited => {
            "These credentials are missing or wrong, and so were many others from this address; \
             the first answers and the log say what is wrong."
        }
        Code::NotDurable => "The delivery was not stored; send it again.",
        Code::Unavailable => "The service cannot answer this now; try again shortly.",
        Code::Internal => "The log has the cause under this request id.",
    }
}

impl ToSchema for Problem {}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| member(Type::String, description);
        let session = ["agent_id", "id", "source"].into_iter().fold(
            ObjectBuilder::new().schema_type(SchemaType::new(Type::Object)),
            |session, name| {
                let format = (name == "id").then_some(SchemaFormat::KnownFormat(KnownFormat::Uuid));
                let member = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
                session.property(name, member.format(format)).required(name)
            },
        );
        let sessions = ArrayBuilder::new()
            .items(session)
            .description(Some("With `ambiguous_session`: the sessions with this id."));
        let problem = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some("What is wrong, and how to correct it (RFC 9457)."))
            .property("type", text("`urn:verbatim:problem:` and the code."))
            .property("title", text("The same for every problem of this code."))
            .property("status", member(Type::Integer, "Status of the answer."))
            .property("detail", text("What is wrong, and how to correct it."))
            .property("code", Ref::from_schema_name("Code"))
            .property("request_id", text("ID under which the log has more."))
            .property("field", text("Of a delivery: the invalid field."))
            .property("outcome", text("Of a delivery: its outcome."))
            .property("sessions", sessions);
        let required = ["type", "title", "status", "detail", "code", "request_id"];
        required.into_iter().fold(problem, ObjectBuilder::required).into()
    }
}

fn member(kind: Type, description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(kind)).description(Some(description))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn codes_of_one_status_share_an_answer() {
        let responses = Errors::<(ApiErrors, InvalidCursor)>::responses();
        let bad: Value = serde_json::to_value(&responses["400"]).unwrap();
        assert_eq!(bad["x-name"], json!("InvalidParameterOrInvalidCursor"));
        let examples = bad["content"]["application/problem+json"]["examples"].as_object().unwrap();
        let examples: Vec<_> = examples.values().collect();
        assert_eq!(examples.len(), 2);
        assert!(examples.iter().all(|example| example["value"]["status"] == 400));
    }
}
