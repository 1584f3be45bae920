//! `verbatim readers`: creates, lists and drops database roles that may read the schema
//! `analytics_v1`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::config::{DatabaseArgs, DatabaseSettings};
use crate::postgres::{Database, read_pool};
use crate::store::Store;
use crate::store::readers::{NewReader, Password, ReaderError, ReaderName, ReaderPlace, ReaderRow};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a reader, and print its password to standard output
    ///
    /// The password is printed only once.
    Create(CreateArgs),
    /// List the roles that may read
    List(DatabaseArgs),
    /// Close a reader's connections, and drop the reader
    Drop {
        /// Name of the role
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Name of the role
    #[arg(long)]
    name: String,
    /// Let it read texts of messages, in the view `message_texts`
    #[arg(long)]
    with_text: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Create(args) => create(args).await?,
        Command::List(database) => {
            let settings = DatabaseSettings::resolve(&database)?;
            let list = async |store: Store| Ok(store.list_readers().await?);
            print(&table(&with_store(&settings, list).await?));
        }
        Command::Drop { name, database } => {
            let name = ReaderName::parse(&name)?;
            let settings = DatabaseSettings::resolve(&database)?;
            with_store(&settings, async |store| store.drop_reader(&name).await).await?;
            print_hint(&format!("Dropped reader {}.", name.as_str()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let name = ReaderName::parse(&args.name)?;
    let settings = DatabaseSettings::resolve(&args.database)?;
    let password = Password::generate();
    let new = NewReader {
        name: &name,
        verifier: &password.verifier(),
        with_text: args.with_text,
        is_private: settings.url.is_none(),
    };
    let place = with_store(&settings, async |store| store.create_reader(&new).await).await?;
    // Roles are replicated, so a reader can connect to the standby, too.
    let server = match settings.read_url.as_ref().or(settings.url.as_ref()) {
        Some(url) => Server::of_url(url.expose_secret(), &place),
        None => Server::private(&place),
    };
    let mut text = format!("user      {}\npassword  {}\n", name.as_str(), password.expose());
    if let Some(server) = &server {
        // Writing to a string does not fail.
        let _ = writeln!(text, "url       {}", server.url(&name, password.expose()));
    }
    print(&text);
    print_hint(&format!("Created reader {}. Its password is printed only once.", name.as_str()));
    if settings.read_url.is_some() {
        print_hint(
            "The url is the standby's, so that queries do not load the primary. The role exists \
             there once the standby has replayed this. It may connect to the primary, too.",
        );
    }
    if server.is_none() {
        print_hint(
            "The private PostgreSQL does not listen on TCP yet: start the service with \
             --postgres-listen 127.0.0.1:5432 (VERBATIM_POSTGRES_LISTEN). Then connect to database \
             verbatim at that address.",
        );
    }
    if place.has_temporary_tables {
        print_hint(&format!(
            "Like every role, it can create temporary tables in this database. To forbid that to \
             all roles: REVOKE TEMPORARY ON DATABASE \"{}\" FROM PUBLIC",
            place.database
        ));
    }
    Ok(())
}

/// Runs `work` on the database. Stops a private server afterwards if this started it.
async fn with_store<T>(
    settings: &DatabaseSettings,
    work: impl AsyncFnOnce(Store) -> Result<T, ReaderError>,
) -> anyhow::Result<T> {
    let database = Database::attach(settings).await?;
    let pool = read_pool(database.connector());
    let outcome = work(Store::new(pool.clone())).await;
    // A private server that was started for this stops only when its connections are closed.
    pool.close().await;
    let stopped = database.stop().await;
    let outcome = outcome.map_err(explain)?;
    stopped?;
    Ok(outcome)
}

fn explain(error: ReaderError) -> anyhow::Error {
    let hint = match &error {
        ReaderError::Store(error) => error.hint(),
        _ => None,
    };
    hint.into_iter().fold(anyhow::Error::new(error), anyhow::Error::context)
}

/// Server and database, as parts of a URL.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    /// Host, with the port if there is one.
    host: String,
    database: String,
    /// Query with its question mark, or nothing.
    query: String,
}

impl Server {
    /// Returns the server of the service's database URL.
    fn of_url(url: &str, place: &ReaderPlace) -> Option<Self> {
        /// Parameters that apply to every user.
        const SHARED: [&str; 5] = ["host", "port", "hostaddr", "sslmode", "sslrootcert"];
        let url = Url::parse(url).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let mut shared = url::form_urlencoded::Serializer::new(String::new());
        let pairs = url.query_pairs().filter(|(name, _)| SHARED.contains(&name.as_ref()));
        let query = shared.extend_pairs(pairs).finish();
        Some(Self {
            host: format!("{host}{port}"),
            database: place.database.clone(),
            query: if query.is_empty() { query } else { format!("?{query}") },
        })
    }

    /// Returns the private server, if it listens on TCP.
    fn private(place: &ReaderPlace) -> Option<Self> {
        let address = place.addresses.split(',').next().map(str::trim)?;
        let host = match address {
            "" => return None,
            // The server listens on every address, and this one works from this machine.
            "*" | "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            address if address.contains(':') => format!("[{address}]"),
            address => address.to_owned(),
        };
        let host = format!("{host}:{}", place.port);
        Some(Self { host, database: place.database.clone(), query: String::new() })
    }

    fn url(&self, name: &ReaderName, password: &str) -> String {
        let Self { host, database, query } = self;
        let database: String = url::form_urlencoded::byte_serialize(database.as_bytes()).collect();
        // In the encoding of forms, a plus is a space.
        let database = database.replace('+', "%20");
        format!("postgres://{}:{password}@{host}/{database}{query}", name.as_str())
    }
}

/// Formats the readers as a table.
fn table(readers: &[ReaderRow]) -> String {
    let width = readers.iter().map(|reader| reader.name.chars().count()).max().unwrap_or(0);
    let width = width.max("NAME".len());
    let mut out = format!("{:<width$}  TEXT  CONNECTIONS  CREATED BY\n", "NAME");
    for reader in readers {
        let limit = match reader.connection_limit {
            limit if limit < 0 => "any".to_owned(),
            limit => limit.to_string(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{:<width$}  {:<4}  {:<11}  {}",
            // A name may contain escape sequences of terminals.
            reader.name.replace(char::is_control, " "),
            if reader.with_text { "yes" } else { "no" },
            format!("{} of {limit}", reader.connections),
            if reader.is_ours { "verbatim" } else { "an administrator" },
        );
    }
    out
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "hints are for a person, not for a pipe")]
fn print_hint(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(database: &str, addresses: &str) -> ReaderPlace {
        ReaderPlace {
            database: database.to_owned(),
            addresses: addresses.to_owned(),
            port: "5433".to_owned(),
            has_temporary_tables: false,
        }
    }

    fn url(server: Option<Server>) -> String {
        server.unwrap().url(&ReaderName::parse("bi").unwrap(), "secret")
    }

    #[test]
    fn url_of_a_reader_has_the_services_server_without_its_credentials() {
        for (ours, expected) in [
            ("postgres://me:pw@db.example:5432/v", "postgres://bi:secret@db.example:5432/v"),
            ("postgres://me@db/", "postgres://bi:secret@db/v"),
            (
                "postgres://db/v?user=me&password=pw&sslmode=require&options=-c%20a%3Db",
                "postgres://bi:secret@db/v?sslmode=require",
            ),
            (
                "postgres://me@localhost/v?host=/run/pg",
                "postgres://bi:secret@localhost/v?host=%2Frun%2Fpg",
            ),
        ] {
            assert_eq!(url(Server::of_url(ours, &place("v", "*"))), expected);
        }
        let server = Server::of_url("postgres://db/", &place("a b", ""));
        assert_eq!(url(server), "postgres://bi:secret@db/a%20b");
    }

    #[test]
    fn url_of_the_private_server_has_the_address_it_listens_on() {
        for (addresses, expected) in [
            ("127.0.0.1", "127.0.0.1:5433"),
            ("0.0.0.0", "127.0.0.1:5433"),
            ("*", "127.0.0.1:5433"),
            ("::", "[::1]:5433"),
            ("fd00::1", "[fd00::1]:5433"),
            ("10.0.0.7, 10.0.0.8", "10.0.0.7:5433"),
        ] {
            assert_eq!(Server::private(&place("v", addresses)).unwrap().host, expected);
        }
        assert_eq!(Server::private(&place("v", "")), None);
    }

    #[test]
    fn table_is_aligned() {
        let row = |name: &str, with_text, connection_limit, is_ours| ReaderRow {
            name: name.to_owned(),
            with_text,
            connections: 2,
            connection_limit,
            is_ours,
        };
        let rows = [row("grafana", false, 5, true), row("x", true, -1, false)];
        insta::assert_snapshot!(table(&rows), @r"
        NAME     TEXT  CONNECTIONS  CREATED BY
        grafana  no    2 of 5       verbatim
        x        yes   2 of any     an administrator
        ");
    }
}
