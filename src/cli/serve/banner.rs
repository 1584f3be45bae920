//! What `serve` prints: where things are, and two commands to try it with. A secret is never in
//! it: a command reads it from where it is kept, or says where to look.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use reqwest::Url;

use crate::config::{Generated, Origin, Settings};
use crate::webhook::front_door::reachable;

/// The first of the variable's secrets without the spaces around it, as the service takes it.
const FIRST_SECRET: &str = r#"$(printf %s "$VERBATIM_WEBHOOK_SECRET" | sed 's/^[[:space:],]*//; s/[[:space:]]*,.*//; s/[[:space:]]*$//')"#;

/// All that it tells.
pub(super) struct Banner {
    database: String,
    secret: Credential,
    key: Credential,
    /// `-H` and its header, for each that the webhook requires.
    headers: Vec<String>,
    signed: bool,
    strict: bool,
    /// Over TLS.
    https: bool,
}

/// Where a credential is, and how a shell gets at it.
struct Credential {
    place: String,
    /// A line that sets a variable first, where nothing else can.
    first: Option<String>,
    /// What stands for it, within double quotes.
    shell: String,
}

impl Banner {
    /// What these settings, once they are complete, have to say.
    pub(super) fn new(settings: &Settings, generated: &Generated) -> Self {
        let source = settings.sources.first();
        let headers = source.map_or(&[][..], |source| &source.headers);
        let signed = source.is_some_and(|source| !source.secrets.is_empty());
        let origins = &settings.origins;
        let headers_place =
            place(&origins.webhook_headers, "VERBATIM_WEBHOOK_HEADER", "webhook_headers");
        let secret = match &generated.webhook_secret {
            Some(kept) => Credential::kept(kept),
            None if signed => Credential::configured(
                &origins.webhook_secrets,
                ("VERBATIM_WEBHOOK_SECRET", FIRST_SECRET),
                "webhook_secrets",
                "secret",
            ),
            None => Credential::none(&format!("none; the headers in {headers_place} instead")),
        };
        let key = match &generated.api_key {
            Some(kept) => Credential::kept(kept),
            None if settings.api_key.is_some() => Credential::configured(
                &origins.api_key,
                ("VERBATIM_API_KEY", "$VERBATIM_API_KEY"),
                "api_key",
                "key",
            ),
            None => Credential {
                place: "none; `verbatim keys create` makes one".to_owned(),
                first: Some("key='… as `verbatim keys create` prints it'".to_owned()),
                shell: "$key".to_owned(),
            },
        };
        // Of a header that has several values, one is to be shown.
        let mut names: Vec<&String> = Vec::new();
        for header in headers {
            if !names.contains(&&header.name) {
                names.push(&header.name);
            }
        }
        let header = |name: &String| format!(r#"-H "{name}: … as in {headers_place}""#);
        Self {
            database: match &settings.database.url {
                Some(_) => "yours, as DATABASE_URL says".to_owned(),
                None => {
                    let folder = &settings.database.data_dir;
                    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                    // Without the dots of `./data`, where it is there.
                    let folder = folder.canonicalize().unwrap_or(folder);
                    format!("private PostgreSQL under {}", folder.display())
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

    /// The URL of the page for a browser on this machine.
    pub(super) fn url(&self, address: SocketAddr) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("{}://{}/", self.scheme(), reachable(address)))?)
    }

    /// The first part, which is true before the database is there.
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

    /// The second part, for once a message can be read back.
    pub(super) fn commands(&self, address: SocketAddr, link: Option<&str>) -> String {
        let mut text = String::new();
        if let Some(link) = link {
            let _ = write!(
                text,
                "\nOpen the page, signed in (this link works once, within 5 minutes):\n\n  {link}\n"
            );
        }
        text.push_str("\nSend it a message, and read it back:\n\n");
        let first = [&self.secret, &self.key].into_iter().filter_map(|one| one.first.as_ref());
        for line in first {
            let _ = writeln!(text, "  {line}");
        }
        let body = r#"{"agent_id":"A80HVD8577","event_type":"chat.push","data":{"role":"user","message":"Hello, is anybody there?","session_id":"first-session","timestamp":'$(date +%s)'},"timestamp":'$(date +%s)'}"#;
        let _ = writeln!(text, "  body='{body}'");
        let mut shown = Vec::new();
        if self.signed {
            let signed = if self.strict {
                text.push_str("  time=$(date +%s)\n");
                shown.push(r#"-H "X-BitHuman-Timestamp: $time""#.to_owned());
                "$time.$body"
            } else {
                "$body"
            };
            let _ = writeln!(
                text,
                r#"  signature=$(printf %s "{signed}" | openssl dgst -sha256 -hmac "{}" -r | cut -d ' ' -f 1)"#,
                self.secret.shell
            );
            shown.push(r#"-H "X-bitHuman-Signature: sha256=$signature""#.to_owned());
        }
        shown.extend(self.headers.iter().cloned());
        let (shown, key) = (shown.join(" "), &self.key.shell);
        let (scheme, mut curl) = (self.scheme(), "curl -sS");
        if self.https {
            text.push_str("  # -k, since the certificate is for a name and not for this address\n");
            curl = "curl -sSk";
        }
        let _ = writeln!(
            text,
            r#"  {curl} {scheme}://{address}/webhook {shown} -d "$body"; echo

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

    fn kept(path: &Path) -> Self {
        let place = path.display().to_string();
        Self { shell: format!("$(cat '{}')", quoted(&place)), first: None, place }
    }

    /// From the environment, that is from (its variable, how a shell reads it), or from a file's
    /// `setting`, which a shell cannot read: there it is for a person to set `variable` first.
    fn configured(
        origin: &Origin,
        environment: (&str, &str),
        setting: &str,
        variable: &str,
    ) -> Self {
        let place = place(origin, environment.0, setting);
        match origin {
            Origin::Environment => Self { place, first: None, shell: environment.1.to_owned() },
            // There may be several in it.
            Origin::SecretFile(file) if setting == "webhook_secrets" => {
                let first = format!("head -n 1 '{}' | cut -d , -f 1", quoted(&place));
                Self { shell: format!("$({first})"), ..Self::kept(file) }
            }
            Origin::SecretFile(file) => Self::kept(file),
            Origin::File(_) => Self {
                first: Some(format!("{variable}='… as in {}'", quoted(&place))),
                shell: format!("${variable}"),
                place,
            },
        }
    }
}

/// For within single quotes; this is the shell's own way to have one there.
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
            settings.sources[0].secrets.push(crate::config::Secret::new("hunter3".into()));
        }
        let banner = Banner::new(&settings, generated);
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let text = banner.places(address) + &banner.commands(address, None);
        assert!(!text.contains("hunter"), "no secret is printed: {text}");
        text.replace(&toml.path().display().to_string(), "/etc/verbatim.toml")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    #[test]
    fn what_was_generated_is_read_from_its_file() {
        let generated = Generated {
            webhook_secret: Some("/srv/o'brien/data/webhook-secret".into()),
            api_key: Some("/srv/o'brien/data/api-key".into()),
            is_first_start: true,
        };
        insta::assert_snapshot!(banner(None, None, None, &generated));
    }

    #[test]
    fn the_first_of_several_secrets_of_the_environment_signs() {
        let text = banner(Some("hunter4,hunter5"), None, None, &Generated::default());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn headers_alone_are_shown_without_their_values() {
        let text = banner(
            None,
            Some("X-Webhook-Secret: hunter6\nX-Site: hunter7"),
            None,
            &Generated::default(),
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn secrets_of_the_file_are_variables_to_set_first() {
        let file = "api_key = 'hunter8'\nwebhook_secrets = ['hunter9']\n\
                    webhook_headers = ['X-Site: hunter10']\nstrict_timestamps = true";
        insta::assert_snapshot!(banner(None, None, Some(file), &Generated::default()));
    }

    #[test]
    fn with_a_certificate_it_says_https() {
        let file = "webhook_secrets = ['hunter9']\ntls_cert = 'c'\ntls_key = 'k'";
        let text = banner(None, None, Some(file), &Generated::default());
        assert!(text.contains("webhook         https://127.0.0.1:8080/webhook"), "{text}");
        assert_eq!(text.matches("curl -sSk https://127.0.0.1:8080/").count(), 2, "{text}");
    }

    #[test]
    fn without_any_key_it_says_how_to_make_one() {
        let file = "webhook_secrets = ['hunter9']";
        let text = banner(None, None, Some(file), &Generated::default());
        assert!(text.contains("API key         none; `verbatim keys create` makes one"), "{text}");
        assert!(text.contains("key='… as `verbatim keys create` prints it'"), "{text}");
    }
}
