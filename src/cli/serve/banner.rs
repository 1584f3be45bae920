//! The text that `serve` prints: addresses, places, and commands to try the service. It contains no
//! secret: a command reads it from its place, or names the place.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use reqwest::Url;

use crate::config::{Generated, Origin, Settings};
use crate::webhook::test_sender::reachable;

/// Shell expression for the first of the variable's secrets, trimmed as the service does it.
const FIRST_SECRET: &str = r#"$(printf %s "$VERBATIM_WEBHOOK_SECRET" | sed 's/^[[:space:],]*//; s/[[:space:]]*,.*//; s/[[:space:]]*$//')"#;

/// Contents of the text.
pub(super) struct Banner {
    database: String,
    secret: Credential,
    key: Credential,
    /// `-H` and a header, for each that the webhook requires.
    headers: Vec<String>,
    signed: bool,
    strict: bool,
    https: bool,
}

/// Place of a credential, and shell code that reads it.
struct Credential {
    place: String,
    /// Line that sets a variable by hand, if a shell cannot read the place.
    first: Option<String>,
    /// Expression for the value, within double quotes.
    shell: String,
}

impl Banner {
    /// Builds the text from complete settings.
    pub(super) fn new(settings: &Settings, generated: &Generated) -> Self {
        let source = settings.sources.first();
        let headers = source.map_or(&[][..], |source| &source.headers);
        let signed = source.is_some_and(|source| !source.secrets.is_empty());
        let origins = &settings.origins;
        let headers_place =
            place(&origins.webhook_headers, "VERBATIM_WEBHOOK_HEADER", "webhook_headers");
        let secret = match &generated.webhook_secret {
            Some(file) => Credential::in_file(file),
            None if signed => Credential::configured(
                &origins.webhook_secrets,
                ("VERBATIM_WEBHOOK_SECRET", FIRST_SECRET),
                "webhook_secrets",
                "secret",
            ),
            None => Credential::none(&format!("none; headers are in {headers_place}")),
        };
        let key = match &generated.api_key {
            Some(file) => Credential::in_file(file),
            None if settings.api_key.is_some() => Credential::configured(
                &origins.api_key,
                ("VERBATIM_API_KEY", "$VERBATIM_API_KEY"),
                "api_key",
                "key",
            ),
            None => Credential {
                place: "none; create one with `verbatim keys create`".to_owned(),
                first: Some("key='… as `verbatim keys create` prints it'".to_owned()),
                shell: "$key".to_owned(),
            },
        };
        // A header with several values is printed once.
        let mut names: Vec<&String> = Vec::new();
        for header in headers {
            if !names.contains(&&header.name) {
                names.push(&header.name);
            }
        }
        let header = |name: &String| format!(r#"-H "{name}: … as in {headers_place}""#);
        Self {
            database: match &settings.database.url {
                Some(_) => "yours (DATABASE_URL)".to_owned(),
                None => {
                    let folder = &settings.database.data_dir;
                    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                    // Removes the dot of `./data`, if the folder exists.
                    let folder = folder.canonicalize().unwrap_or(folder);
                    format!("private PostgreSQL in {}", folder.display())
                }
            },
            secret,
            key,
            headers: names.into_iter().map(header).collect(),
            signed,
            strict: source.is_some_and(|source| source.strict_timestamps),
            https: settings.tls.is_some(),
        }
    }

    /// Returns the page's URL for a browser on this machine.
    pub(super) fn url(&self, address: SocketAddr) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("{}://{}/", self.scheme(), reachable(address)))?)
    }

    /// Returns the first part, which does not need the database.
    pub(super) fn places(&self, address: SocketAddr) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let Self { database, secret, key, .. } = self;
        let scheme = self.scheme();
        format!(
            "
Verbatim {version}

  database        {database}
  page            {scheme}://{address}/ (`verbatim open` signs in)
  webhook         {scheme}://{address}/webhook
  webhook secret  {}
  API key         {}
",
            secret.place, key.place
        )
    }

    /// Returns the second part, for the time when a message can be read back.
    pub(super) fn commands(&self, address: SocketAddr, link: Option<&str>) -> String {
        let mut text = String::new();
        if let Some(link) = link {
            let _ = write!(
                text,
                "\nOpen the page, signed in (this link works once, within 5 minutes):\n\n  {link}\n"
            );
        }
        text.push_str("\nSend it a message, and read it back:\n\n");
        let credentials = [&self.secret, &self.key].into_iter();
        let first = credentials.filter_map(|credential| credential.first.as_ref());
        for line in first {
            let _ = writeln!(text, "  {line}");
        }
        let body = r#"{"agent_id":"A80HVD8577","event_type":"chat.push","data":{"role":"user","message":"Hello, is anybody there?","session_id":"first-session","timestamp":'$(date +%s)'},"timestamp":'$(date +%s)'}"#;
        let _ = writeln!(text, "  body='{body}'");
        let mut headers = Vec::new();
        if self.signed {
            let signed = if self.strict {
                text.push_str("  time=$(date +%s)\n");
                headers.push(r#"-H "X-BitHuman-Timestamp: $time""#.to_owned());
                "$time.$body"
            } else {
                "$body"
            };
            let _ = writeln!(
                text,
                r#"  signature=$(printf %s "{signed}" | openssl dgst -sha256 -hmac "{}" -r | cut -d ' ' -f 1)"#,
                self.secret.shell
            );
            headers.push(r#"-H "X-bitHuman-Signature: sha256=$signature""#.to_owned());
        }
        headers.extend(self.headers.iter().cloned());
        let (headers, key) = (headers.join(" "), &self.key.shell);
        let (scheme, mut curl) = (self.scheme(), "curl -sS");
        if self.https {
            text.push_str("  # -k: the certificate is for a name, not for this address\n");
            curl = "curl -sSk";
        }
        let _ = writeln!(
            text,
            r#"  {curl} {scheme}://{address}/webhook {headers} -d "$body"; echo

  {curl} {scheme}://{address}/v1/sessions/first-session/messages -H "Authorization: Bearer {key}"; echo
"#
        );
        text
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

impl Credential {
    fn none(place: &str) -> Self {
        Self { place: place.to_owned(), first: None, shell: String::new() }
    }

    fn in_file(path: &Path) -> Self {
        let place = path.display().to_string();
        Self { shell: format!("$(cat '{}')", quoted(&place)), first: None, place }
    }

    /// Describes a credential that is configured in the `environment` (its variable, and a shell
    /// expression for the value), in a separate file, or as a `setting` of the TOML file. A shell
    /// cannot read the latter, so `variable` is set by hand first.
    fn configured(
        origin: &Origin,
        environment: (&str, &str),
        setting: &str,
        variable: &str,
    ) -> Self {
        let place = place(origin, environment.0, setting);
        match origin {
            Origin::Environment => Self { place, first: None, shell: environment.1.to_owned() },
            // The file may contain several secrets.
            Origin::SecretFile(file) if setting == "webhook_secrets" => {
                let first = format!("head -n 1 '{}' | cut -d , -f 1", quoted(&place));
                Self { shell: format!("$({first})"), ..Self::in_file(file) }
            }
            Origin::SecretFile(file) => Self::in_file(file),
            Origin::File(_) => Self {
                first: Some(format!("{variable}='… as in {}'", quoted(&place))),
                shell: format!("${variable}"),
                place,
            },
        }
    }
}

/// Escapes a text for a shell's single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

fn place(origin: &Origin, variable: &str, setting: &str) -> String {
    match origin {
        Origin::Environment => variable.to_owned(),
        Origin::File(file) => format!("{setting} of {}", file.display()),
        Origin::SecretFile(file) => file.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use secrecy::SecretString;

    use super::*;
    use crate::config::ServeArgs;

    fn banner(
        secret: Option<&str>,
        header: Option<&str>,
        file: Option<&str>,
        generated: &Generated,
    ) -> String {
        let mut toml = tempfile::NamedTempFile::new().unwrap();
        let mut args = ServeArgs {
            webhook_secret: secret.map(Into::into),
            webhook_header: header.map(Into::into),
            api_key: file.is_none().then(|| "hunter1".into()),
            ..ServeArgs::default()
        };
        if let Some(file) = file {
            toml.write_all(file.as_bytes()).unwrap();
            args.database.config = Some(toml.path().to_owned());
        }
        args.database.database_url = Some("postgres://hunter2@db/verbatim".into());
        let mut settings = Settings::resolve(args).unwrap();
        if generated.webhook_secret.is_some() {
            settings.sources[0].secrets.push(SecretString::from("hunter3"));
        }
        let banner = Banner::new(&settings, generated);
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let text = banner.places(address) + &banner.commands(address, None);
        assert!(!text.contains("hunter"), "no secret is printed: {text}");
        text.replace(&toml.path().display().to_string(), "/etc/verbatim.toml")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    #[test]
    fn generated_credentials_are_read_from_their_files() {
        let generated = Generated {
            webhook_secret: Some("/srv/o'brien/data/webhook-secret".into()),
            api_key: Some("/srv/o'brien/data/api-key".into()),
            is_first_start: true,
        };
        insta::assert_snapshot!(banner(None, None, None, &generated));
    }

    #[test]
    fn first_of_several_secrets_of_the_environment_signs() {
        let text = banner(Some("hunter4,hunter5"), None, None, &Generated::default());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn required_headers_are_printed_without_their_values() {
        let text = banner(
            None,
            Some("X-Webhook-Secret: hunter6\nX-Site: hunter7"),
            None,
            &Generated::default(),
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn secrets_of_the_file_are_set_as_variables_first() {
        let file = "api_key = 'hunter8'\nwebhook_secrets = ['hunter9']\n\
                    webhook_headers = ['X-Site: hunter10']\nstrict_timestamps = true";
        insta::assert_snapshot!(banner(None, None, Some(file), &Generated::default()));
    }

    #[test]
    fn certificate_changes_the_urls_to_https() {
        let file = "webhook_secrets = ['hunter9']\ntls_cert = 'c'\ntls_key = 'k'";
        let text = banner(None, None, Some(file), &Generated::default());
        assert!(text.contains("webhook         https://127.0.0.1:8080/webhook"), "{text}");
        assert_eq!(text.matches("curl -sSk https://127.0.0.1:8080/").count(), 2, "{text}");
    }

    #[test]
    fn text_names_the_command_that_creates_a_key_if_there_is_none() {
        let file = "webhook_secrets = ['hunter9']";
        let text = banner(None, None, Some(file), &Generated::default());
        let none = "API key         none; create one with `verbatim keys create`";
        assert!(text.contains(none), "{text}");
        assert!(text.contains("key='… as `verbatim keys create` prints it'"), "{text}");
    }
}
