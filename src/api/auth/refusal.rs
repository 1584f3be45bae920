//! Problems of requests whose credential is missing or not valid.

use std::net::IpAddr;

use crate::ingress::Ingress;
use crate::problem::{Code, Problem};

/// Returns the problem of a wrong, revoked or expired credential.
pub(crate) fn invalid_credential(detail: &'static str) -> Problem {
    Problem::new(Code::InvalidKey, detail)
}

/// Returns the problem of a request without a credential.
pub(crate) fn missing_credentials() -> Problem {
    Problem::new(
        Code::MissingCredentials,
        "Send an API key, as `Authorization: Bearer <key>` or as `X-API-Key: <key>`.",
    )
}

/// Counts a failed authentication of an address, and returns the answer to it. A failed look-up of a
/// key is not counted.
pub(crate) fn count_failure(ingress: &Ingress, client: IpAddr, problem: Problem) -> Problem {
    if problem.code() == Code::Unavailable || problem.code() == Code::Internal {
        return problem;
    }
    ingress.refusal(client, || problem)
}
