//! The suite of faults: the real binary under load, while everything around it fails; and an
//! oracle that holds the database against what was answered.
//!
//! ```text
//! make faults                                     every scenario
//! make faults SCENARIOS="kill postgres-stop"      some
//! make faults SHORT=1                             the quick ones, in short
//! make faults MIX=20 SECONDS=60 SEED=1            random mixes
//! ```

mod delivery;
mod faults;
mod http;
mod ledger;
mod load;
mod mix;
mod oracle;
mod postgres;
mod process;
mod proxy;
mod report;
mod scenarios;
mod service;
mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sha2::{Digest as _, Sha256};

use postgres::Template;
use report::Line;
use scenarios::{ALL, Outcome, Scenario};
use world::{Options, Skip, Trial};

/// Runs the real service under faults, and checks that nothing that it answered is lost.
#[derive(Debug, clap::Parser)]
#[command(name = "faults")]
struct Args {
    /// Scenarios to run [default: all; with --mix, none]
    scenarios: Vec<String>,
    /// Repeats the faults of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// The quick scenarios only, unless some are named; and everything in short
    #[arg(long)]
    short: bool,
    /// Lists the scenarios
    #[arg(long)]
    list_scenarios: bool,
    /// So many random mixes of faults
    #[arg(long)]
    mix: Option<u32>,
    /// How long a mix lasts
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How often the service is killed
    #[arg(long)]
    kills: Option<u32>,
    /// How long each fault lasts, in seconds
    #[arg(long)]
    hold: Option<u64>,
    /// Where folders are made; the path of a socket must be short
    #[arg(long, default_value = "/tmp")]
    folder: PathBuf,
    /// Leaves the folders there
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    // Cargo and nextest run every test binary. This one is no test unless it is meant:
    // `make faults` says so, and nobody else sees anything in it.
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    if arguments.next().as_deref() != Some("run") {
        return ExitCode::SUCCESS;
    }
    let args = Args::parse_from(std::iter::once(program).chain(arguments));
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; whether all of it passed.
fn run(args: &Args) -> anyhow::Result<bool> {
    if args.list_scenarios {
        for scenario in ALL {
            say(&format!("{:22} {}", scenario.name, scenario.about));
        }
        return Ok(true);
    }
    let chosen = choose(args)?;
    raise_open_files()?;
    let folder = tempfile::Builder::new().prefix("verbatim-faults.").tempdir_in(&args.folder)?;
    // The account that PostgreSQL runs as must get to its own folder below.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let options = Options {
        seed: args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        short: args.short,
        kills: args.kills,
        hold: args.hold,
    };
    say(&format!("seed {} (SEED={0} repeats the faults)", options.seed));
    let template = Arc::new(Template::make(folder.path())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut lines = Vec::new();
    let mut run =
        |name: &str, about: &str, seed, job: &dyn for<'a> Fn(&'a Trial) -> Outcome<'a>| {
            say(&format!("\n{name}: {about}"));
            let trial =
                Trial::new(options.clone(), seed, folder.path().join(name), template.clone());
            lines.push(runtime.block_on(try_out(name, trial, job, args.keep)));
        };
    for scenario in chosen {
        let seed = seed_of(scenario.name, options.seed);
        run(scenario.name, scenario.about, seed, &scenario.run);
    }
    for number in 0..args.mix.unwrap_or(0) {
        let seed = options.seed + u64::from(number);
        let (name, lasts) = (format!("mix-{seed}"), Duration::from_secs(args.seconds));
        let about = format!("random faults for {} s (MIX=1 SEED={seed})", args.seconds);
        run(&name, &about, seed_of("mix", seed), &|trial| Box::pin(mix::mix(trial, lasts)));
    }
    say(&report::table(&lines, options.seed));
    if args.keep {
        say(&format!("the folders are in {}", folder.keep().display()));
    }
    Ok(lines.iter().all(|line| !line.has_failed()))
}

fn choose(args: &Args) -> anyhow::Result<Vec<Scenario>> {
    if args.scenarios.is_empty() && args.mix.is_some() {
        return Ok(Vec::new());
    }
    if args.scenarios.is_empty() {
        return Ok(ALL.iter().filter(|one| one.quick || !args.short).copied().collect());
    }
    let mut chosen = Vec::new();
    for name in &args.scenarios {
        match ALL.iter().find(|scenario| scenario.name == name) {
            Some(scenario) => chosen.push(*scenario),
            None => bail!("there is no scenario {name}; --list-scenarios lists them"),
        }
    }
    Ok(chosen)
}

async fn try_out(
    name: &str,
    trial: Trial,
    job: &dyn for<'a> Fn(&'a Trial) -> Outcome<'a>,
    keep: bool,
) -> Line {
    let begin = Instant::now();
    let outcome = match std::fs::create_dir(&trial.folder).context("a folder for the scenario") {
        Ok(()) => job(&trial).await,
        Err(error) => Err(error),
    };
    let outcome = outcome.map_err(|error| match error.downcast::<Skip>() {
        Ok(Skip(why)) => report::Shortfall::Skipped(why),
        Err(error) => report::Shortfall::Failed(format!("{error:#}")),
    });
    let line = Line::new(name, outcome, trial.report(), begin.elapsed());
    say(&line.in_words());
    if !keep {
        let _ = std::fs::remove_dir_all(&trial.folder);
    }
    line
}

/// A scenario's own seed: the same whether it runs alone or among others.
fn seed_of(name: &str, seed: u64) -> u64 {
    let digest = Sha256::digest(format!("{seed} {name}"));
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// Thousands of connections want as many open files, here and in the service.
fn raise_open_files() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "the suite prints what it does and finds")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
