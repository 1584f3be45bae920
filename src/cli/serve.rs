//! `verbatim serve`: runs everything, and says how to try it.

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

/// A database that is not there after this long is worth a word to whoever looks on.
const WORTH_A_WORD: Duration = Duration::from_secs(3);

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::resolve(args)?;
    let traces = telemetry::init_with_traces(settings.log_format)?;
    let life = Lifecycle::new();
    life.stop_on_signals()?;
    let generated = settings.complete()?;
    let banner = Banner::new(&settings, &generated);
    let clock = Clock::system();
    let server = Server::start(settings, clock.clone(), life.clone()).await?;
    // Deliveries are taken from here on, whether the database is there or not.
    tell_systemd(NotifyState::Ready);
    tokio::select! {
        () = print_banner(&server, &banner, generated.is_first_start.then_some(&clock)) => {}
        () = life.stopping() => {}
    }
    let stopping = async {
        life.stopping().await;
        tell_systemd(NotifyState::Stopping);
    };
    let (ran, ()) = tokio::join!(server.run(), stopping);
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(|| traces.finish()).await?;
    }
    ran?;
    Ok(ExitCode::SUCCESS)
}

/// Does nothing where nobody asked to be told (`NOTIFY_SOCKET`).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell systemd how the service is");
    }
}

/// Makes a one-time link to the page. A start without one is a start all the same.
async fn sign_in_link(server: &Server, banner: &Banner, clock: &Clock) -> Option<String> {
    let link = async {
        let token = server.make_sign_in_link(clock).await?;
        open::link(&banner.url(server.address)?, &token)
    };
    let link: anyhow::Result<_> = link.await;
    link.inspect_err(|error| tracing::warn!(error = format!("{error:#}"), "no sign-in link"))
        .ok()
        .map(String::from)
}

/// Where things are, at once; how to try them, when the database is there to be read from.
async fn print_banner(server: &Server, banner: &Banner, first_start: Option<&Clock>) {
    print(&banner.places(server.address));
    if tokio::time::timeout(WORTH_A_WORD, server.ready()).await.is_err() {
        print("\nWaiting for the database. Deliveries are taken meanwhile, and kept.\n");
        server.ready().await;
    }
    let link = match first_start {
        Some(clock) => sign_in_link(server, banner, clock).await,
        None => None,
    };
    print(&banner.commands(server.address, link.as_deref()));
}

fn print(text: &str) {
    // Nobody may be reading: a service does not die of that.
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
