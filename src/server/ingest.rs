//! Assembles ingest over HTTP: the ingress, the writer past the inbox, and the sources.

use std::collections::HashMap;
use std::sync::Arc;

use super::resources::Resources;
use crate::config::{Ack, SourceSettings};
use crate::domain::SourceName;
use crate::drain::attempts::Attempts;
use crate::drain::direct::{Direct, Fallback};
use crate::ingress::{Cors, Ingress, Proxies};
use crate::webhook::credentials::Source;
use crate::webhook::durable::Durable;
use crate::webhook::handler::Webhook;

/// Starts the upkeep of the ingress, and returns its state.
pub(super) fn start_ingress(resources: &Resources) -> Ingress {
    let Resources { settings, clock, life, .. } = resources;
    let proxies = Proxies::new(&settings.trusted_proxies);
    let mut ingress = Ingress::new(proxies, settings.max_body_bytes, clock.clone());
    ingress.strict_transport = settings.tls.is_some();
    ingress.cors = Cors::new(&settings.cors_origins);
    life.spawn("authentication throttle", ingress.auth_throttle.clone().run(life.clone()));
    life.spawn("lines", ingress.lines.clone().run(life.clone()));
    ingress
}

/// Starts the writer past the inbox, and returns the state of the webhook.
pub(super) fn start_webhook(
    resources: &Resources,
    attempts: Attempts,
    ingress: Ingress,
) -> anyhow::Result<Webhook> {
    let Resources { settings, clock, metrics, .. } = resources;
    let durable = start_durable(resources, attempts);
    let prepare = |source: &SourceSettings| Ok((source.name.clone(), Source::new(source)?));
    let sources: anyhow::Result<HashMap<SourceName, Source>> =
        settings.sources.iter().map(prepare).collect();
    Ok(Webhook {
        sources: Arc::new(sources?),
        durable,
        ingress,
        clock: clock.clone(),
        max_body_bytes: settings.max_body_bytes,
        metrics: metrics.clone(),
    })
}

fn start_durable(resources: &Resources, attempts: Attempts) -> Durable {
    let Resources { settings, connector, inbox, metrics, life, .. } = resources;
    let direct = Direct::start(
        connector.clone(),
        settings.roles.clone(),
        otherwise(settings.ack),
        metrics.clone(),
        attempts,
        life,
    );
    Durable::new(inbox.clone(), direct, settings.ack, metrics.clone())
}

/// Returns the destination of a delivery that Postgres does not accept.
fn otherwise(ack: Ack) -> Fallback {
    match ack {
        Ack::Inbox => Fallback::Nobody,
        Ack::Postgres => Fallback::Inbox,
    }
}
