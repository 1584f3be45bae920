//! Request for a key: its check, and the limits of what its caller may grant.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::api::Caller;
use crate::api::query::invalid::invalid;
use crate::api::query::json_body::read_object;
use crate::api::query::zone::{Zone, date};
use crate::api::views::key::Key;
use crate::api::views::new_key::{AgentId, Expiry, NewKeyBody, ScopeName};
use crate::api::views::timestamp::Timestamp;
use crate::domain::time;
use crate::problem::{Code, Problem};
use crate::store::keys::{MAX_LIFETIME, Scope, each_once};

/// Longest name of a key, in characters.
const MAX_NAME: usize = 200;
/// Longest agent's id, in bytes; no delivery names a longer one.
const MAX_AGENT_ID: usize = 512;
/// Most agents that a key can be bound to: each of its queries contains all of them.
const MAX_AGENTS: usize = 1_000;

/// Key that is requested, checked.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Name.
    pub(crate) name: String,
    /// Scopes, each once.
    pub(crate) scopes: Vec<Scope>,
    /// Agents that it is bound to; `None` is every agent.
    pub(crate) agents: Option<Vec<String>>,
    /// End of its validity.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Wanted {
    /// Reads a request's body.
    pub(crate) fn parse(body: &[u8], now: DateTime<Utc>) -> Result<Self, Problem> {
        let body: NewKeyBody = read_object(body).map_err(|error| {
            let detail = format!(
                "The body is JSON such as {{\"name\":\"dashboard\",\"scopes\":[\"read\"],\
                 \"agents\":[\"A80HVD8577\"],\"expires\":\"90d\"}}, and this is not: {error}."
            );
            Problem::new(Code::InvalidParameter, detail)
        })?;
        let name_length = body.name.chars().count();
        if !(1..=MAX_NAME).contains(&name_length) || body.name.contains('\0') {
            return Err(invalid(
                "name",
                &format!("has 1 to {MAX_NAME} characters, none of them U+0000"),
            ));
        }
        Ok(Self {
            name: body.name,
            scopes: scopes(&body.scopes)?,
            agents: body.agents.map(agents).transpose()?,
            expires_at: body.expires.map(|Expiry(text)| expiry(&text, now)).transpose()?,
        })
    }

    /// Describes the key that was made of it.
    pub(crate) fn shown(self, id: Uuid, now: DateTime<Utc>, made_by: Option<Uuid>) -> Key {
        Key {
            id,
            name: self.name,
            scopes: self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            agents: self.agents,
            created_at: Timestamp(now),
            expires_at: self.expires_at.map(Timestamp),
            revoked_at: None,
            last_used_at: None,
            made_by,
        }
    }

    /// Rejects a key that grants more than its caller's: other agents, or a longer validity. Its scopes
    /// cannot be more, because only `admin` makes keys.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Problem> {
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

fn scopes(names: &[ScopeName]) -> Result<Vec<Scope>, Problem> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    let wrong = || invalid("scopes", &format!("is a list of one or more of: {known}"));
    let wanted = names.iter().map(|ScopeName(name)| Scope::parse(name).ok_or_else(wrong));
    let wanted: Vec<_> = wanted.collect::<Result<_, _>>()?;
    if wanted.is_empty() {
        return Err(wrong());
    }
    Ok(Scope::ALL.into_iter().filter(|scope| wanted.contains(scope)).collect())
}

fn agents(ids: Vec<AgentId>) -> Result<Vec<String>, Problem> {
    let ids: Vec<_> = ids.into_iter().map(|AgentId(id)| id).collect();
    let fits = |id: &String| (1..=MAX_AGENT_ID).contains(&id.len()) && !id.contains('\0');
    if !(1..=MAX_AGENTS).contains(&ids.len()) || !ids.iter().all(fits) {
        return Err(invalid(
            "agents",
            &format!(
                "is a list of 1 to {MAX_AGENTS} ids, each of 1 to {MAX_AGENT_ID} bytes; leave \
                 it out for every agent"
            ),
        ));
    }
    Ok(each_once(ids))
}

/// Reads a duration from now, or a future time.
fn expiry(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    let lifetime = humantime::parse_duration(text).ok().filter(|it| *it <= MAX_LIFETIME);
    let latest = now + MAX_LIFETIME;
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
