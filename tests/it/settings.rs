//! Sources of settings, and secrets in messages and help.

use std::process::{Command, Output};

use serde_json::json;
use tempfile::TempDir;

use crate::support::app::{client, sign};
use crate::support::database::TestDatabase;
use crate::support::process::{Service, until, verbatim};

/// Names and values, or printed texts and their replacements.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn text(output: &Output) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    of(&output.stdout) + &of(&output.stderr)
}

/// Runs `verbatim serve` with an invalid setting, and returns its output.
fn error_of_serve(change: impl FnOnce(&mut Command)) -> String {
    let mut command = verbatim();
    command.arg("serve");
    change(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    text(&output)
}

/// Each value is invalid, so the error names the one that took precedence.
#[test]
fn flags_override_the_environment_and_the_environment_overrides_the_file() {
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
        let mut errors = [false, true].map(|environment| {
            error_of_serve(|command| {
                command.arg("--config").arg(&file);
                if environment {
                    command.env(&variable, "of-the-environment");
                }
            })
        });
        assert!(errors[0].contains("of-the-file"), "{flag}: {}", errors[0]);
        assert!(errors[1].contains("of-the-environment"), "{flag}: {}", errors[1]);
        errors[0] = error_of_serve(|command| {
            command.arg("--config").arg(&file).env(&variable, "of-the-environment");
            command.arg(format!("--{flag}")).arg("of-the-flag");
        });
        assert!(errors[0].contains("of-the-flag"), "{flag}: {}", errors[0]);
    }
}

#[tokio::test]
async fn empty_variable_does_not_override_the_database_of_the_file() {
    let database = TestDatabase::create().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("verbatim.toml");
    std::fs::write(&file, format!("database_url = '{}'", database.url())).unwrap();
    let mut command = verbatim();
    command.args(["keys", "list", "--config"]).arg(&file).env("DATABASE_URL", "");
    // A private database would be created here.
    let data = folder.path().join("data");
    let output = command.arg("--data-dir").arg(&data).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(!data.exists());
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    fn help(path: &[String], commands_shown: &mut Vec<String>) {
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
        let output_text = text(&output);
        assert!(output.status.success(), "{path:?}: {output_text}");
        assert!(!output_text.contains("hunter2"), "{path:?}: {output_text}");
        commands_shown.push(path.join(" "));
        let commands = output_text.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        for line in commands.lines().take_while(|line| line.starts_with("  ")) {
            let name = line.split_whitespace().next().unwrap();
            // The next line of a description has more indentation.
            if name != "help" && !line.starts_with("   ") {
                help(&[path, &[name.to_owned()]].concat(), commands_shown);
            }
        }
    }
    let mut commands_shown = Vec::new();
    help(&[], &mut commands_shown);
    for command in ["serve", "migrate", "doctor", "keys create", "keys list", "keys revoke"] {
        assert!(commands_shown.iter().any(|one| one == command), "{commands_shown:?}");
    }
    for command in ["retention", "export", "import", "simulate", "verify"] {
        assert!(commands_shown.iter().any(|one| one == command), "{commands_shown:?}");
    }
}

#[tokio::test]
async fn source_of_the_file_requires_all_its_credentials() {
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

/// Runs commands of the banner in a shell with the service's environment.
fn run_in_shell(commands: &str, environment: &[(&str, &str)]) -> String {
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
async fn commands_of_the_banner_work_as_printed() {
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
        let output_text = run_in_shell(&commands, environment);
        assert!(output_text.contains(r#"{"status":"ok"}"#), "{name}: {output_text}\n{commands}");
        until("the message", || {
            let output_text = run_in_shell(&commands, environment);
            assert!(
                output_text.contains(r#"{"status":"ok"}"#),
                "{name}: {output_text}\n{commands}"
            );
            output_text.contains("Hello, is anybody there?")
        });
    }
}

/// Environment variables in the help of `serve`.
fn variables() -> Vec<String> {
    let mut command = verbatim();
    let output_text = text(&command.args(["serve", "--help"]).output().unwrap());
    let names =
        output_text.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

#[test]
fn empty_or_blank_variable_counts_as_unset() {
    let folder = TempDir::new().unwrap();
    let names = variables();
    assert!(names.len() > 20, "{names:?}");
    for blank in ["", " \r\n"] {
        // All variables at once, and an invalid one that ends the command.
        let output_text = error_of_serve(|command| {
            for name in &names {
                command.env(name, blank);
            }
            for name in ["VERBATIM_API_KEY", "VERBATIM_WEBHOOK_SECRET", "VERBATIM_WEBHOOK_HEADER"] {
                command.env(name, blank);
            }
            command.arg("--data-dir").arg(folder.path()).env("VERBATIM_VISIT_GAP", "\tof-mine \n");
        });
        assert!(
            output_text.contains("visit-gap") && output_text.contains("\"of-mine\""),
            "{output_text}"
        );
    }
}

#[test]
fn white_space_around_a_variable_is_ignored() {
    for (name, value, known) in [
        ("VERBATIM_LISTEN", "127.0.0.1:0\n", "live-for"),
        ("VERBATIM_MAX_CONNECTIONS", " 100\r\n", "live-for"),
        ("VERBATIM_ACK", "postgres\n", "live-for"),
        ("VERBATIM_LOG_FORMAT", " json", "live-for"),
        ("VERBATIM_MAX_BODY", "1MiB\n", "live-for"),
        ("VERBATIM_KEEP_MESSAGES", "30d \n", "live-for"),
        ("VERBATIM_TRUSTED_PROXIES", " 10.0.0.0/8 ,\n", "live-for"),
    ] {
        let output_text = error_of_serve(|command| {
            command.env(name, value).env("VERBATIM_LIVE_FOR", "nonsense");
        });
        assert!(
            output_text.contains(known) && !output_text.contains(name),
            "{name}: {output_text}"
        );
    }
}

#[test]
fn empty_or_blank_text_of_the_file_counts_as_unset() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("verbatim.toml");
    std::fs::write(
        &file,
        "listen = ''\nmax_body = ' '\nack = ''\nlog_format = \"\\n\"\nkeep_messages = ''\n\
         database_url = ''\napi_key = ''\nwebhook_secrets = ['']\nwebhook_headers = ['', ' ']\n\
         trusted_proxies = ['']\nredact = ['']\ntls_cert = ''\ntls_key = ''\nlive_for = \" 5x\\n\"",
    )
    .unwrap();
    let output_text = error_of_serve(|command| {
        command.arg("--config").arg(&file);
    });
    assert!(output_text.contains("live-for") && output_text.contains("\"5x\""), "{output_text}");
    std::fs::write(&file, "listen = ''\n\nack = 'nonsense'").unwrap();
    let output_text = error_of_serve(|command| {
        command.arg("--config").arg(&file);
    });
    assert!(
        output_text.contains("line 3") && output_text.contains("`ack` does not fit"),
        "{output_text}"
    );
}

#[test]
fn credential_that_cannot_be_sent_is_rejected_and_not_quoted() {
    for (name, value) in [
        ("VERBATIM_API_KEY", "hunter2\u{fc}hunter3"),
        ("VERBATIM_API_KEY", "hunter2\nhunter3"),
        ("VERBATIM_WEBHOOK_SECRET", "hunter2\u{1}hunter3"),
        ("VERBATIM_WEBHOOK_HEADER", "X-Key: hunter2\u{1}hunter3"),
    ] {
        let output_text = error_of_serve(|command| {
            command.env(name, value);
        });
        assert!(!output_text.contains("hunter"), "{name}: {output_text}");
    }
}

#[tokio::test]
async fn credentials_are_read_from_files_without_the_final_line_break() {
    let (database, folder) = (TestDatabase::create().await, TempDir::new().unwrap());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = file("key", "k-of-a-file\n");
    let secrets = file("secrets", "new one\r\nold one\r\n");
    let header = file("header", "X-Ingress: open\n");
    let url = file("url", &format!("{}\n", database.url()));
    let mut command = verbatim();
    for name in ["VERBATIM_API_KEY", "VERBATIM_WEBHOOK_SECRET"] {
        command.env(name, ""); // Compose sets missing variables to an empty text.
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .env("VERBATIM_API_KEY_FILE", &key)
        .env("VERBATIM_WEBHOOK_SECRET_FILE", &secrets)
        .env("VERBATIM_WEBHOOK_HEADER_FILE", &header)
        .env("DATABASE_URL_FILE", &url);
    let service = Service::run(command);
    let http = client();
    let body = json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": "hi" } })
    .to_string();
    let deliver = |secret: &'static str, ingress: bool| {
        let mut request = http
            .post(format!("http://{}/webhook", service.address))
            .header("X-bitHuman-Signature", sign(secret, body.as_bytes()))
            .body(body.clone());
        if ingress {
            request = request.header("X-Ingress", "open");
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(deliver("new one", true).await, 200);
    assert_eq!(deliver("old one", true).await, 200);
    assert_eq!(deliver("old one", false).await, 401);
    assert_eq!(deliver("another", true).await, 401);
    let read = http.get(format!("http://{}/v1/agents", service.address));
    assert_eq!(read.bearer_auth("k-of-a-file").send().await.unwrap().status(), 200);
    // A client reads its key from the same file.
    let output = verbatim()
        .args(["export", "messages", "--url", &format!("http://{}", service.address), "--output"])
        .arg(folder.path().join("out.jsonl"))
        .env("VERBATIM_API_KEY", "")
        .env("VERBATIM_API_KEY_FILE", &key)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    for (name, path) in [("VERBATIM_API_KEY", &key), ("VERBATIM_WEBHOOK_SECRET", &secrets)] {
        let output_text = error_of_serve(|command| {
            command.env(name, "by-itself").env(format!("{name}_FILE"), path);
        });
        assert!(output_text.contains("are both set"), "{output_text}");
        let output_text = error_of_serve(|command| {
            command.env(name, "").env(format!("{name}_FILE"), folder.path().join("nowhere"));
        });
        assert!(
            output_text.contains("nowhere") && output_text.contains(&format!("{name}_FILE")),
            "{output_text}"
        );
    }
}
