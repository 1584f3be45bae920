//! `/openapi.json`: the parameters, bodies and answers of all routes, as `OpenAPI` 3.1.
//!
//! A handler's annotation describes its route with the types that it uses. What holds for all routes
//! is added by [`complete`]. The copy at the top of the repository is compared with it by a test.

mod complete;
pub(crate) mod document;
mod examples;
mod webhook;
