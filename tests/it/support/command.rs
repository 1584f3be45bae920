//! The program as a command that runs to its end, and a small service that it can call.

use std::process::Output;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio::process::Command;

/// Serves on a free port until the test's runtime ends.
pub(crate) fn serve(
    configure: impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> (String, ServerHandle) {
    let server = HttpServer::new(move || App::new().configure(configure.clone()))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (url, handle)
}

/// Runs the program to its end.
pub(crate) async fn verbatim(args: &[&str]) -> Output {
    command(args).output().await.unwrap()
}

/// Returns the program without settings from the environment.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command
        .args(args)
        .env_remove("VERBATIM_WEBHOOK_SECRET")
        .env_remove("VERBATIM_API_KEY")
        .env_remove("RUST_BACKTRACE")
        // No proxy, whatever the environment contains.
        .env("http_proxy", "http://127.0.0.1:9")
        .kill_on_drop(true);
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Returns the number that follows `name` in a table.
pub(crate) fn figure(table: &str, name: &str) -> usize {
    let line = table.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
    line.split_whitespace().last().unwrap().replace(',', "").parse().unwrap()
}
