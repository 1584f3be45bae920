//! JSON shape of a sign-in.

use serde::Deserialize;
use utoipa::ToSchema;

/// Key or token to sign in with: one of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn, example = json!({ "key": "vb_4f6uXq0mJ7yR2cV9tB1nK8sD3hL5wE6a" }))]
pub(crate) struct SignInBody {
    /// API key.
    #[schema(example = "vb_4f6uXq0mJ7yR2cV9tB1nK8sD3hL5wE6a")]
    pub(crate) key: Option<String>,
    /// Token of a one-time link, as `verbatim open` prints it after `#token=`.
    pub(crate) token: Option<String>,
}
