//! `verbatim serve`: runs everything, and says how to try it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use crate::clock::Clock;
use crate::config::{Generated, ServeArgs, Settings};
use crate::lifecycle::Lifecycle;
use crate::server::Server;
use crate::telemetry;

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::resolve(args)?;
    telemetry::init(settings.log_format);
    let life = Lifecycle::new();
    life.stop_on_signals()?;
    let generated = settings.complete()?;
    let database = match &settings.database.url {
        Some(_) => "yours, as DATABASE_URL says".to_owned(),
        None => format!("private PostgreSQL under {}", shown(&settings.database.data_dir)),
    };
    let server = Server::start(settings, Clock::system(), life.clone()).await?;
    tokio::select! {
        () = server.ready() => print_banner(server.address, &database, generated.as_ref()),
        () = life.stopping() => {}
    }
    server.run().await?;
    Ok(ExitCode::SUCCESS)
}

fn shown(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Where things are, and two commands that work as they stand.
fn print_banner(address: SocketAddr, database: &str, generated: Option<&Generated>) {
    let version = env!("CARGO_PKG_VERSION");
    let (secret_place, secret, key_place, key) = match generated {
        Some(Generated { webhook_secret, api_key }) => {
            let (secret, key) = (webhook_secret.display(), api_key.display());
            (
                secret.to_string(),
                format!("$(cat '{secret}')"),
                key.to_string(),
                format!("$(cat '{key}')"),
            )
        }
        None => (
            "as configured".into(),
            "$VERBATIM_WEBHOOK_SECRET".into(),
            "as configured; `verbatim keys create` makes more".into(),
            "$VERBATIM_API_KEY".into(),
        ),
    };
    // Nobody may be reading: a service does not die of that.
    let _ = writeln!(
        std::io::stdout(),
        r#"
Verbatim {version}

  database        {database}
  webhook         http://{address}/webhook
  webhook secret  {secret_place}
  API key         {key_place}

Send it a message, and read it back:

  body='{{"agent_id":"A80HVD8577","event_type":"chat.push","data":{{"role":"user","message":"Hello, is anybody there?","session_id":"first-session","timestamp":'$(date +%s.%N)'}},"timestamp":'$(date +%s.%N)'}}'
  signature=$(printf %s "$body" | openssl dgst -sha256 -hmac "{secret}" -r | cut -d ' ' -f 1)
  curl -sS http://{address}/webhook -H "X-bitHuman-Signature: sha256=$signature" -d "$body"

  curl -sS http://{address}/v1/sessions/first-session/messages -H "Authorization: Bearer {key}"
"#
    );
}
