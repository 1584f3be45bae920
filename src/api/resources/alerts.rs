//! `GET /v1/alerts` and `GET /v1/alerts/history`: what fires, and what has fired.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::alerts::Rule;
use crate::api::answers::page;
use crate::api::query::list;
use crate::api::query::parameters::Paging;
use crate::api::query::read::read_nothing;
use crate::api::views::alerts::{Alert, AlertEvent};
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::problem::responses::{ApiErrors, Errors, InvalidCursor};
use crate::store::keys::Scope;
use crate::store::{Order, Position};

/// Notifications that each alert is shown with.
const RECENT: i64 = 5;

/// Filter of the history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Only this alert.
    #[param(example = "lobby-quiet")]
    alert: Option<String>,
}

/// The alerts of the settings, each with its state and its latest notifications.
///
/// A key that is bound to agents sees the alerts that are about its agents alone.
#[utoipa::path(get, path = "/v1/alerts", tag = "Alerts",
    responses((status = 200, description = "All alerts, by name; there is no further page.",
        body = Page<Alert>), (status = 304),
        Errors<ApiErrors>),
    security(("key" = ["analytics"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    read_nothing(&req)?;
    let visible = caller.agents();
    let mut rules: Vec<&Rule> =
        state.alerts.iter().filter(|rule| rule.is_visible_to(visible)).collect();
    rules.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let states = state.store.alert_states(&names).await?;
    let mut states: HashMap<String, _> =
        states.into_iter().map(|state| (state.name.clone(), state)).collect();
    let events = state.store.recent_alert_events(visible, &names, RECENT).await?;
    let mut history: HashMap<String, Vec<AlertEvent>> = HashMap::new();
    for event in events.into_iter().map(AlertEvent::from) {
        history.entry(event.name().to_owned()).or_default().push(event);
    }
    let alerts = rules.into_iter().map(|rule| {
        let history = history.remove(&rule.name).unwrap_or_default();
        Alert::new(rule, states.remove(&rule.name), history)
    });
    Ok(page::answer(req.uri(), alerts.collect(), None)?.tagged(&req))
}

/// Notifications of all alerts, the latest first.
///
/// They are kept for 90 days, and the last 1,000 of each alert. A key that is bound to agents sees
/// those about its agents alone.
#[utoipa::path(get, path = "/v1/alerts/history", tag = "Alerts", params(Paging, HistoryQuery),
    responses((status = 200, description = "Notifications.", body = Page<AlertEvent>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["analytics"])))]
pub(crate) async fn history(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    let (query, list) = list::read::<HistoryQuery, _>(&req, Order::Desc, &caller, &state).await?;
    let (visible, alert) = (caller.agents(), query.alert.as_deref());
    let mut rows = state.store.list_alert_events(visible, alert, &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.at, key: row.id });
    Ok(page::answer(req.uri(), rows.into_iter().map(AlertEvent::from).collect(), next)?.into())
}
