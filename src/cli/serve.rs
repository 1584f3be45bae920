//! `verbatim serve`: runs the service, and prints commands to try it.

mod banner;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;

use super::open;
use crate::clock::Clock;
use crate::config::{ServeArgs, Settings};
use crate::lifecycle::Lifecycle;
use crate::server::Server;
use crate::telemetry;
use banner::Banner;

/// Wait for the database after which a line reports it.
const SILENT_WAIT: Duration = Duration::from_secs(3);

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::resolve(args)?;
    let traces = telemetry::init_with_traces(settings.log_format)?;
    let life = Lifecycle::new();
    life.stop_on_signals()?;
    let generated = settings.complete()?;
    let banner = Banner::new(&settings, &generated);
    let clock = Clock::system();
    let server = Server::start(settings, clock.clone(), life.clone()).await?;
    // The service accepts deliveries from here on, with or without the database.
    notify_systemd(NotifyState::Ready);
    tokio::select! {
        () = print_banner(&server, &banner, generated.is_first_start.then_some(&clock)) => {}
        () = life.stopping() => {}
    }
    let stopping = async {
        life.stopping().await;
        notify_systemd(NotifyState::Stopping);
    };
    let (ran, ()) = tokio::join!(server.run(), stopping);
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(|| traces.finish()).await?;
    }
    ran?;
    Ok(ExitCode::SUCCESS)
}

/// Reports the state to systemd. Does nothing if `NOTIFY_SOCKET` is not set.
fn notify_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}

/// Creates a one-time link to the page. The service runs even if this fails.
async fn sign_in_link(server: &Server, banner: &Banner, clock: &Clock) -> Option<String> {
    let link = async {
        let token = server.make_sign_in_link(clock).await?;
        open::link(&banner.url(server.address)?, &token)
    };
    let link: anyhow::Result<_> = link.await;
    let report = |error: &anyhow::Error| {
        tracing::warn!(error = format!("{error:#}"), "cannot create a sign-in link");
    };
    link.inspect_err(report).ok().map(String::from)
}

/// Prints addresses and places at once, and the commands when the database can be read.
async fn print_banner(server: &Server, banner: &Banner, first_start: Option<&Clock>) {
    print(&banner.places(server.address));
    if tokio::time::timeout(SILENT_WAIT, server.ready()).await.is_err() {
        print("\nWaiting for the database. Deliveries are accepted and stored in the inbox.\n");
        server.ready().await;
    }
    let link = match first_start {
        Some(clock) => sign_in_link(server, banner, clock).await,
        None => None,
    };
    print(&banner.commands(server.address, link.as_deref()));
}

fn print(text: &str) {
    // Standard output may be closed, which must not stop the service.
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
