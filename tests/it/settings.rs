//! Where settings come from, and what of them is shown.

use std::process::{Command, Output};

use serde_json::json;
use tempfile::TempDir;

use crate::support::app::{client, sign};
use crate::support::database::TestDatabase;
use crate::support::process::{Service, until, verbatim};

/// Names and values, or what is printed and what is typed in its place.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn text(output: &Output) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    of(&output.stdout) + &of(&output.stderr)
}

/// `verbatim serve`, which is to fail for one of its settings.
fn complaint(change: impl FnOnce(&mut Command)) -> String {
    let mut command = verbatim();
    command.arg("serve");
    change(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    text(&output)
}

/// Each value makes no sense, so that the complaint tells which one counted.
#[test]
fn a_flag_beats_the_environment_and_that_beats_the_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("verbatim.toml");
    for (flag, in_the_file) in [
        ("listen", "'of-the-file'"),
        ("max-body", "'of-the-file'"),
        ("inbox-quota", "'of-the-file'"),
        ("trusted-proxies", "['of-the-file']"),
        ("cors-origin", "['of-the-file']"),
        ("live-for", "'of-the-file'"),
        ("ended-after", "'of-the-file'"),
        ("visit-gap", "'of-the-file'"),
        ("keep-messages", "'of-the-file'"),
        ("keep-deliveries", "'of-the-file'"),
    ] {
        let key = flag.replace('-', "_");
        let variable = format!("VERBATIM_{}", key.to_uppercase());
        std::fs::write(&file, format!("{key} = {in_the_file}")).unwrap();
        let mut said = [false, true].map(|environment| {
            complaint(|command| {
                command.arg("--config").arg(&file);
                if environment {
                    command.env(&variable, "of-the-environment");
                }
            })
        });
        assert!(said[0].contains("of-the-file"), "{flag}: {}", said[0]);
        assert!(said[1].contains("of-the-environment"), "{flag}: {}", said[1]);
        said[0] = complaint(|command| {
            command.arg("--config").arg(&file).env(&variable, "of-the-environment");
            command.arg(format!("--{flag}")).arg("of-the-flag");
        });
        assert!(said[0].contains("of-the-flag"), "{flag}: {}", said[0]);
    }
}

#[tokio::test]
async fn an_empty_variable_leaves_the_database_of_the_file() {
    let database = TestDatabase::create().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("verbatim.toml");
    std::fs::write(&file, format!("database_url = '{}'", database.url())).unwrap();
    let mut command = verbatim();
    command.args(["keys", "list", "--config"]).arg(&file).env("DATABASE_URL", "");
    // A private one would be made here.
    let data = folder.path().join("data");
    let output = command.arg("--data-dir").arg(&data).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(!data.exists());
}

#[test]
fn no_help_shows_a_secret_of_the_environment() {
    fn help(path: &[String], seen: &mut Vec<String>) {
        let mut command = verbatim();
        for name in [
            "DATABASE_URL",
            "VERBATIM_WEBHOOK_SECRET",
            "VERBATIM_WEBHOOK_HEADER",
            "VERBATIM_API_KEY",
        ] {
            command.env(name, "x-hunter2: hunter2");
        }
        let output = command.args(path).arg("--help").output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{path:?}: {said}");
        assert!(!said.contains("hunter2"), "{path:?}: {said}");
        seen.push(path.join(" "));
        let commands = said.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        for line in commands.lines().take_while(|line| line.starts_with("  ")) {
            let name = line.split_whitespace().next().unwrap();
            // A description that goes on in the next line is further to the right.
            if name != "help" && !line.starts_with("   ") {
                help(&[path, &[name.to_owned()]].concat(), seen);
            }
        }
    }
    let mut seen = Vec::new();
    help(&[], &mut seen);
    for command in ["serve", "migrate", "doctor", "keys create", "keys list", "keys revoke"] {
        assert!(seen.iter().any(|one| one == command), "{seen:?}");
    }
    for command in ["retention", "export", "import", "simulate", "verify"] {
        assert!(seen.iter().any(|one| one == command), "{seen:?}");
    }
}

#[tokio::test]
async fn a_source_of_the_file_asks_for_all_that_the_file_says() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    let file = folder.path().join("verbatim.toml");
    let settings = "[[sources]]\nname = 'kiosk-7'\nsecrets = ['the new one', 'the old one']\n\
        headers = ['X-Site: berlin', 'X-API-Key: new key', 'x-api-key: old key']\n";
    std::fs::write(&file, settings).unwrap();
    let mut command = verbatim();
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
    command.arg("--data-dir").arg(folder.path().join("data"));
    let service = Service::run({
        command.env("DATABASE_URL", database.url());
        command
    });
    let (client, url) = (client(), format!("http://{}/webhook/kiosk-7", service.address));
    let (new, old) = (Some("new key"), Some("old key"));
    for (secret, site, key, status) in [
        ("the new one", Some("berlin"), new, 200),
        ("the old one", Some("berlin"), old, 200),
        ("the old one", Some("berlin"), new, 200),
        ("the webhook's secret", Some("berlin"), new, 401),
        ("the new one", Some("hamburg"), new, 401),
        ("the new one", None, new, 401),
        ("the new one", Some("berlin"), Some("no key"), 401),
        ("the new one", Some("berlin"), None, 401),
    ] {
        let body = json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253,
            "data": { "session_id": "s", "role": "user", "message": format!("{secret} {key:?}") } });
        let body = body.to_string();
        let mut request =
            client.post(&url).header("X-bitHuman-Signature", sign(secret, body.as_bytes()));
        for (name, value) in [("X-Site", site), ("X-API-Key", key)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{secret} {site:?} {key:?}");
    }
    let stored = "SELECT count(*) FROM messages JOIN sessions ON sessions.id = session_id
        WHERE source = 'kiosk-7'";
    loop {
        let count: i64 = sqlx::query_scalar(stored).fetch_one(database.pool()).await.unwrap();
        if count == 3 {
            break;
        }
    }
}

/// What the banner prints, in a shell that has the service's environment.
fn paste(commands: &str, environment: &[(&str, &str)]) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-c", commands]).envs(environment.iter().copied());
    for name in ["VERBATIM_WEBHOOK_SECRET", "VERBATIM_API_KEY"] {
        if environment.iter().all(|(set, _)| *set != name) {
            shell.env_remove(name);
        }
    }
    text(&shell.output().unwrap())
}

#[tokio::test]
async fn the_commands_of_the_banner_work_as_they_are_printed() {
    let folder = TempDir::new().unwrap();
    let strict = folder.path().join("strict.toml");
    let settings = "webhook_secrets = ['of the file']\nstrict_timestamps = true\n\
        webhook_headers = ['X-Site: berlin', 'x-site: old berlin']\napi_key = 'a key'\n";
    std::fs::write(&strict, settings).unwrap();
    let strict = strict.to_str().unwrap();
    let of_the_file = [
        ("secret='… as in webhook_secrets of ", "secret='of the file' # "),
        ("key='… as in api_key of ", "key='a key' # "),
        ("x-site: … as in webhook_headers of ", "x-site: berlin"),
    ];
    let cases: [(&str, Pairs<'_>, Pairs<'_>); 4] = [
        ("generated", &[], &[]),
        (
            "spaces",
            &[("VERBATIM_WEBHOOK_SECRET", " , one 1\t, two"), ("VERBATIM_API_KEY", "a key")],
            &[],
        ),
        (
            "plain",
            &[("VERBATIM_WEBHOOK_SECRET", "it's $one"), ("VERBATIM_API_KEY", "a \\key")],
            &[],
        ),
        ("strict", &[("VERBATIM_CONFIG", strict)], &of_the_file),
    ];
    for (name, environment, by_hand) in cases {
        let database = TestDatabase::create().await;
        let mut command = verbatim();
        command.env_remove("VERBATIM_WEBHOOK_SECRET").env_remove("VERBATIM_API_KEY");
        command.envs(environment.iter().copied()).env("DATABASE_URL", database.url());
        let data = folder.path().join(format!("o'brien's {name}"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
        let service = Service::run(command);
        let mut commands = service.commands.clone();
        for (printed, typed) in by_hand {
            assert!(commands.contains(printed), "{commands}");
            commands = commands.replace(printed, typed);
        }
        commands = commands.replace(&format!("x-site: berlin{strict}"), "x-site: berlin");
        let said = paste(&commands, environment);
        assert!(said.contains(r#"{"status":"ok"}"#), "{name}: {said}\n{commands}");
        until("the message", || {
            let said = paste(&commands, environment);
            assert!(said.contains(r#"{"status":"ok"}"#), "{name}: {said}\n{commands}");
            said.contains("Hello, is anybody there?")
        });
    }
}
