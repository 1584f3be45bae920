//! What `POST /v1/keys` can be asked for, and what its caller may grant.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Caller;
use super::json_body::read_object;
use super::openapi::{AgentId, Expiry, ScopeName};
use super::params::invalid;
use super::zone::{Zone, date};
use crate::domain::time;
use crate::problem::{Code, Problem};
use crate::store::keys::{LONGEST_LIFETIME, Scope, each_once};

/// Longest name of a key, in characters.
const LONGEST_NAME: usize = 200;
/// Longest agent's id, in bytes; no delivery names a longer one.
const LONGEST_AGENT_ID: usize = 512;
/// Most agents that a key can be bound to: all of them go along with each of its queries.
const MOST_AGENTS: usize = 1_000;

/// A key as it is asked for, and found to be right.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What its owner calls it.
    pub(super) name: String,
    /// What it allows, each once.
    pub(super) scopes: Vec<Scope>,
    /// The agents that it is bound to; `None` is every agent.
    pub(super) agents: Option<Vec<String>>,
    /// When it stops to be valid.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// The request's body. A member that is not known is refused: a bound that was misspelt would make
/// a key without it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub(super) struct Body {
    /// What its owner calls it.
    #[schema(min_length = 1, max_length = 200, pattern = "^[^\\u0000]*$")]
    name: String,
    /// What it is to allow.
    #[schema(value_type = Vec<ScopeName>, min_items = 1)]
    scopes: Vec<String>,
    /// The agents that it is to be bound to; without it, every agent.
    #[schema(value_type = Option<Vec<AgentId>>, min_items = 1, max_items = 1000)]
    agents: Option<Vec<String>>,
    /// When it stops to be valid: a duration from now, or a time to come; without it, never.
    #[schema(value_type = Option<Expiry>)]
    expires: Option<String>,
}

impl Wanted {
    /// Reads a request's body.
    pub(super) fn parse(body: &[u8], now: DateTime<Utc>) -> Result<Self, Problem> {
        let body: Body = read_object(body).map_err(|error| {
            let detail = format!(
                "The body is JSON such as {{\"name\":\"dashboard\",\"scopes\":[\"read\"],\
                 \"agents\":[\"A80HVD8577\"],\"expires\":\"90d\"}}, and this is not: {error}."
            );
            Problem::new(Code::InvalidParameter, detail)
        })?;
        let name_length = body.name.chars().count();
        if !(1..=LONGEST_NAME).contains(&name_length) || body.name.contains('\0') {
            return Err(invalid(
                "name",
                &format!("has 1 to {LONGEST_NAME} characters, none of them U+0000"),
            ));
        }
        Ok(Self {
            name: body.name,
            scopes: scopes(&body.scopes)?,
            agents: body.agents.map(agents).transpose()?,
            expires_at: body.expires.map(|text| expiry(&text, now)).transpose()?,
        })
    }

    /// A key grants no more than the key that it is made with: no other agents, and no longer. Its
    /// scopes cannot be more, since only `admin` makes keys.
    pub(super) fn check(&self, caller: &Caller) -> Result<(), Problem> {
        match (caller.agents(), &self.agents) {
            (Some(_), None) => {
                return Err(forbidden("is bound to agents: say in `agents` to which of them"));
            }
            (_, Some(agents)) if !agents.iter().all(|agent| caller.sees(agent)) => {
                return Err(forbidden("is not bound to all of these agents"));
            }
            _ => {}
        }
        match (caller.expires_at(), self.expires_at) {
            (Some(_), None) => {
                Err(forbidden("expires: say in `expires` when the new one does, no later"))
            }
            (Some(own), Some(wanted)) if wanted > own => {
                Err(forbidden("expires before that: the new one must expire no later"))
            }
            _ => Ok(()),
        }
    }
}

fn scopes(names: &[String]) -> Result<Vec<Scope>, Problem> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    let wrong = || invalid("scopes", &format!("is a list of one or more of: {known}"));
    let wanted = names.iter().map(|name| Scope::parse(name).ok_or_else(wrong));
    let wanted: Vec<_> = wanted.collect::<Result<_, _>>()?;
    if wanted.is_empty() {
        return Err(wrong());
    }
    Ok(Scope::ALL.into_iter().filter(|scope| wanted.contains(scope)).collect())
}

fn agents(ids: Vec<String>) -> Result<Vec<String>, Problem> {
    let fits = |id: &String| (1..=LONGEST_AGENT_ID).contains(&id.len()) && !id.contains('\0');
    if !(1..=MOST_AGENTS).contains(&ids.len()) || !ids.iter().all(fits) {
        return Err(invalid(
            "agents",
            &format!(
                "is a list of 1 to {MOST_AGENTS} ids, each of 1 to {LONGEST_AGENT_ID} bytes; leave \
                 it out for every agent"
            ),
        ));
    }
    Ok(each_once(ids))
}

/// A duration from now, or a time to come.
fn expiry(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    let lifetime = humantime::parse_duration(text).ok().filter(|it| *it <= LONGEST_LIFETIME);
    let latest = now + LONGEST_LIFETIME;
    let day = || date(text).map(|day| Zone::UTC.start_of(day)).filter(|at| *at <= latest);
    let at = lifetime.map(|it| now + it).or_else(day).or_else(|| time::from_text(text));
    at.filter(|at| *at > now).ok_or_else(|| {
        invalid(
            "expires",
            "is a duration such as 90d, of a hundred years at the most, or a date or time to come \
             such as 2027-01-31 or 2027-01-31T08:00:00Z",
        )
    })
}

fn forbidden(what: &str) -> Problem {
    Problem::new(Code::Forbidden, format!("This key {what}."))
}
