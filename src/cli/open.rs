//! `verbatim open`: prints a one-time link that signs a browser in and, on a desktop, opens it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{http, keys};
use crate::clock::Clock;
use crate::config::{ServeArgs, Settings};
use crate::domain::DeliveryId;
use crate::store::keys::KeyHash;
use crate::store::sign_in_links::generate_link_token;
use crate::webhook::test_sender::reachable;

/// Limit on the time to connect to the service.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Time after which the browser counts as started.
const START_LIMIT: Duration = Duration::from_secs(3);
/// Name of the file that the browser opens.
const FILE_NAME: &str = "open.html";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// URL of the service for your browser [default: the address from its settings]
    #[arg(long, value_parser = http::parse_url)]
    url: Option<Url>,
    /// Print the link without opening a browser
    #[arg(long)]
    no_browser: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(args.serve)?;
    let base = if let Some(url) = args.url {
        url
    } else {
        let address = reachable(settings.listen);
        if !answers(address).await {
            print_hint(&format!(
                "No service answers at {address}. Start it with `verbatim serve`, or set its URL \
                 with --url."
            ));
        }
        http::own_url(&settings)?
    };
    let (token, now) = (generate_link_token(), Clock::system().now());
    let (hash, key_id) = (KeyHash::of(&token), DeliveryId::new(now).0);
    let insert =
        async |store: crate::store::Store| store.insert_sign_in_link(hash, key_id, now).await;
    keys::with_store_of(&settings.database, insert).await?;
    let link = link(&base, &token)?;
    print(link.as_str());
    print_hint("The link works once, within 5 minutes, and signs in with every scope.");
    if !args.no_browser && has_desktop() {
        let folder = &settings.database.data_dir;
        let folder = if folder.is_dir() { folder.clone() } else { std::env::temp_dir() };
        if let Err(error) = open(&folder, &link).await {
            print_hint(&format!("Cannot open a browser: {error:#}. Open the link yourself."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the link for a token. A browser does not send the part after `#`, so no log of a server
/// or proxy contains the token.
pub(super) fn link(base: &Url, token: &str) -> anyhow::Result<Url> {
    let mut link = base.join("sign-in").context("the URL cannot have a path")?;
    link.set_fragment(Some(&format!("token={token}")));
    Ok(link)
}

async fn answers(address: std::net::SocketAddr) -> bool {
    let connected = tokio::time::timeout(TIME_LIMIT, TcpStream::connect(address)).await;
    connected.is_ok_and(|connected| connected.is_ok())
}

fn has_desktop() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// Opens a link through a file that redirects to it: other users can read a command line, but not
/// the file.
async fn open(folder: &Path, link: &Url) -> anyhow::Result<()> {
    let file = write(folder, link)?;
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C in the terminal does not reach the browser.
    let child = command.process_group(0).spawn();
    let mut child = child.with_context(|| format!("cannot run {program}"))?;
    // The program may run as long as the browser.
    if let Ok(status) = tokio::time::timeout(START_LIMIT, child.wait()).await {
        let status = status?;
        anyhow::ensure!(status.success(), "{program} failed ({status})");
    }
    Ok(())
}

fn write(folder: &Path, link: &Url) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(folder.join(FILE_NAME))?;
    // An earlier run may have left the file.
    let _ = fs::remove_file(&path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let link = link.as_str().replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    writeln!(
        file,
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0; url={link}\"><a href=\"{link}\">Verbatim</a>"
    )?;
    Ok(path)
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "hints are for a person, not for a pipe")]
fn print_hint(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn link_has_the_token_in_its_fragment() {
        for (base, expected) in [
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/sign-in#token=vbl_x"),
            ("https://verbatim.test", "https://verbatim.test/sign-in#token=vbl_x"),
        ] {
            let link = link(&Url::parse(base).unwrap(), "vbl_x").unwrap();
            assert_eq!(link.as_str(), expected);
            assert_eq!((link.query(), link.path()), (None, "/sign-in"));
        }
    }

    #[test]
    fn file_that_the_browser_opens_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let link = Url::parse("http://a.test/sign-in?x=\"&y#token=vbl_x").unwrap();
            let path = write(folder.path(), &link).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let text = fs::read_to_string(path).unwrap();
            assert!(
                text.contains("0; url=http://a.test/sign-in?x=%22&amp;y#token=vbl_x\""),
                "{text}"
            );
        }
    }
}
