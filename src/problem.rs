//! Errors towards HTTP: RFC 9457 problem details.
//!
//! Ingest and read API share this error type. A 5xx reveals no internals; its cause is logged once,
//! with the same request id.

pub mod responses;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

tokio::task_local! {
    /// ID of the current request, set by the request-id middleware.
    pub static REQUEST_ID: String;
}

/// Which kind of problem: a name that programs can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A delivery's signature is wrong.
    InvalidSignature,
    /// Required credentials are missing.
    MissingCredentials,
    /// A key or a required header is wrong, revoked or expired.
    InvalidKey,
    /// The key is valid and lacks the scope.
    Forbidden,
    /// The resource does not exist, or is not visible to this key.
    NotFound,
    /// The path does not support this method.
    MethodNotAllowed,
    /// Two agents share the sender's session id.
    AmbiguousSession,
    /// The state of the resource does not allow this.
    Conflict,
    /// A parameter or its value is not valid.
    InvalidParameter,
    /// A cursor is not valid, or belongs to other filters.
    InvalidCursor,
    /// An answer would have more rows than the limit.
    TooManyBuckets,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The delivery is authentic and cannot be decoded; it is in quarantine.
    UnreadableDelivery,
    /// Too many requests.
    RateLimited,
    /// The delivery could not be stored durably.
    NotDurable,
    /// The service cannot answer now; try again.
    Unavailable,
    /// An internal error.
    Internal,
}

impl Code {
    /// Returns the HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidSignature | Self::MissingCredentials | Self::InvalidKey => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::AmbiguousSession | Self::Conflict => StatusCode::CONFLICT,
            Self::InvalidParameter | Self::InvalidCursor | Self::TooManyBuckets => {
                StatusCode::BAD_REQUEST
            }
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnreadableDelivery => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NotDurable | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the title, the same for every problem with this code.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidSignature => "The signature is wrong",
            Self::MissingCredentials => "Credentials are missing",
            Self::InvalidKey => "The key is not valid",
            Self::Forbidden => "The key does not allow this",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The method is not allowed",
            Self::AmbiguousSession => "Several sessions have this id",
            Self::Conflict => "It is not in a state that allows this",
            Self::InvalidParameter => "A parameter is not valid",
            Self::InvalidCursor => "The cursor is not valid",
            Self::TooManyBuckets => "The answer would have too many rows",
            Self::PayloadTooLarge => "The body is too large",
            Self::RequestTimeout => "The request took too long",
            Self::UnreadableDelivery => "The delivery cannot be read",
            Self::RateLimited => "Too many requests",
            Self::NotDurable => "The delivery could not be stored",
            Self::Unavailable => "Temporarily unavailable",
            Self::Internal => "Something went wrong on our side",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSignature => "invalid_signature",
            Self::MissingCredentials => "missing_credentials",
            Self::InvalidKey => "invalid_key",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AmbiguousSession => "ambiguous_session",
            Self::Conflict => "conflict",
            Self::InvalidParameter => "invalid_parameter",
            Self::InvalidCursor => "invalid_cursor",
            Self::TooManyBuckets => "too_many_buckets",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UnreadableDelivery => "unreadable_delivery",
            Self::RateLimited => "rate_limited",
            Self::NotDurable => "not_durable",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// Problem to return to the caller. Requests that share a read share its problem.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
    extension: Option<(&'static str, serde_json::Value)>,
    /// Logged, and not returned to the caller.
    cause: Option<Arc<anyhow::Error>>,
}

/// JSON body.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Code,
    request_id: &'a str,
    #[serde(flatten)]
    extension: Option<serde_json::Map<String, Value>>,
}

impl Problem {
    /// Creates a problem; `detail` says what the caller can do about it.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after_seconds: None,
            extension: None,
            cause: None,
        }
    }

    /// Creates an internal error. Its cause is logged and not returned to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            cause: Some(Arc::new(cause.into())),
            ..Self::new(Code::Internal, "The log tells more under this request id.")
        }
    }

    /// Creates a temporary error. Its cause is logged and not returned to the caller.
    #[must_use]
    pub fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            cause: Some(Arc::new(cause.into())),
            retry_after_seconds: Some(1),
            ..Self::new(Code::Unavailable, "The service cannot answer this now; try again shortly.")
        }
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds an extension member to the body, such as the field at fault.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.extension = Some((name, value.into()));
        self
    }

    /// Returns the JSON body.
    #[must_use]
    pub fn body<'a>(&'a self, request_id: &'a str) -> impl Serialize + 'a {
        let member = |(name, value): &(&'static str, Value)| ((*name).to_owned(), value.clone());
        Body {
            kind: format!("urn:verbatim:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            extension: self.extension.as_ref().map(|one| std::iter::once(member(one)).collect()),
        }
    }

    /// Replaces the detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the cause to log, if there is one.
    #[must_use]
    pub fn cause(&self) -> Option<&anyhow::Error> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.code.status();
        let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
        let mut response = HttpResponseBuilder::new(status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"verbatim\""));
        }
        // A struct of strings always serialises.
        response.body(serde_json::to_vec(&self.body(&request_id)).unwrap_or_default())
    }
}
