//! Metrics of all answers except the webhook's, by the route's pattern: a path contains ids, a
//! pattern does not.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::Histogram;

use super::family;
use super::register::Register;

/// Methods with a separate series; any other counts as the last.
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "DELETE", "other"];
/// Classes of statuses, from 100 on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Label for a path without a route.
const NO_ROUTE: &str = "(none)";

/// Metrics of requests. A series is created when it is first needed. Their number is limited, since
/// the routes are fixed.
#[derive(Debug)]
pub struct HttpMetrics {
    register: Arc<Register>,
    routes: RwLock<HashMap<String, Arc<Route>>>,
}

type Route = [[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()];

impl HttpMetrics {
    pub(super) fn new(register: Arc<Register>) -> Self {
        Self { register, routes: RwLock::default() }
    }

    /// Records an answer. `pattern` is the route's, for example `/v1/sessions/{session_id}`.
    pub fn answered(&self, pattern: Option<&str>, method: &str, status: u16, took: Duration) {
        let pattern = pattern.unwrap_or(NO_ROUTE);
        let method = METHODS.iter().position(|known| *known == method);
        let method = method.unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        let route = self.route(pattern);
        let series = route[method][class].get_or_init(|| {
            let labels =
                [("route", pattern), ("method", METHODS[method]), ("status", CLASSES[class])];
            self.register.histogram(family::HTTP_DURATION, &labels)
        });
        series.record(took);
    }

    fn route(&self, pattern: &str) -> Arc<Route> {
        let known = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(pattern) {
            return Arc::clone(route);
        }
        drop(known);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(pattern.to_owned()).or_default())
    }
}
