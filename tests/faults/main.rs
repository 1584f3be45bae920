//! The fault suite: runs the real binary under load while its surroundings fail. An oracle compares
//! the database with what was answered.
//!
//! ```text
//! make faults                                     every scenario
//! make faults SCENARIOS="kill postgres-stop"      some
//! make faults SHORT=1                             the quick ones, in short
//! make faults MIX=20 SECONDS=60 SEED=1            random mixes
//! ```

mod balancer;
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
mod server_files;
mod service;
mod surroundings;
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
use report::{Line, Shortfall};
use scenarios::{ALL, Outcome, Scenario};
use world::{Options, Skip, Trial};

/// Runs the real service under faults, and checks that nothing that it answered is lost
#[derive(Debug, clap::Parser)]
#[command(name = "faults")]
struct Args {
    /// Scenarios to run [default: all; with --mix, none]
    scenarios: Vec<String>,
    /// Repeats the faults of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// The quick scenarios only, unless some are named; everything in the short form
    #[arg(long)]
    short: bool,
    /// Lists the scenarios
    #[arg(long)]
    list_scenarios: bool,
    /// Number of random mixes of faults
    #[arg(long)]
    mix: Option<u32>,
    /// Length of a mix
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Number of times that the service is killed
    #[arg(long)]
    kills: Option<u32>,
    /// Length of each fault, in seconds
    #[arg(long)]
    hold: Option<u64>,
    /// Folder for data and logs; must be short, since it is part of a socket's path
    #[arg(long, default_value = "/tmp")]
    folder: PathBuf,
    /// Keeps the folders
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    // Cargo and nextest run every test binary. This one does nothing unless `make faults` runs it.
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
            print_line(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen scenarios and mixes. Returns true if all have passed.
fn run(args: &Args) -> anyhow::Result<bool> {
    if args.list_scenarios {
        for scenario in ALL {
            print_line(&format!("{:22} {}", scenario.name, scenario.about));
        }
        return Ok(true);
    }
    let chosen = choose(args)?;
    raise_open_files()?;
    let folder = tempfile::Builder::new().prefix("verbatim-faults.").tempdir_in(&args.folder)?;
    // The account of PostgreSQL must be able to enter its folder below this one.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let options = Options {
        seed: args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        short: args.short,
        kills: args.kills,
        hold: args.hold,
    };
    print_line(&format!("seed {} (SEED={0} repeats the faults)", options.seed));
    let template = Arc::new(Template::make(folder.path())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut lines = Vec::new();
    for job in jobs(args, chosen, options.seed) {
        print_line(&format!("\n{}: {}", job.name, job.about));
        let place = folder.path().join(&job.name);
        let trial = Trial::new(options.clone(), job.seed, place, template.clone());
        let line = runtime.block_on(run_job(&job, &trial));
        if !args.keep {
            let _ = std::fs::remove_dir_all(&trial.folder);
        }
        let interrupted = line.is_interrupted();
        lines.push(line);
        if interrupted {
            break;
        }
    }
    print_line(&report::table(&lines));
    if args.keep {
        print_line(&format!("the folders are in {}", folder.keep().display()));
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

/// One scenario, or one mix.
struct Job {
    name: String,
    about: String,
    /// Seed that repeats it.
    repeats: u64,
    seed: u64,
    run: Box<dyn for<'a> Fn(&'a Trial) -> Outcome<'a>>,
}

/// Returns the scenarios and mixes to run, in order.
fn jobs(args: &Args, scenarios: Vec<Scenario>, seed: u64) -> Vec<Job> {
    let scenarios = scenarios.into_iter().map(|scenario| Job {
        name: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        repeats: seed,
        seed: seed_of(scenario.name, seed),
        run: Box::new(scenario.run),
    });
    let lasts = Duration::from_secs(args.seconds);
    let mixes = (0..args.mix.unwrap_or(0)).map(|number| {
        let seed = seed + u64::from(number);
        Job {
            name: format!("mix-{seed}"),
            about: format!("random faults for {} s (MIX=1 SEED={seed})", lasts.as_secs()),
            repeats: seed,
            seed: seed_of("mix", seed),
            run: Box::new(move |trial| Box::pin(mix::mix(trial, lasts))),
        }
    });
    scenarios.chain(mixes).collect()
}

async fn run_job(job: &Job, trial: &Trial) -> Line {
    let begin = Instant::now();
    let outcome = match std::fs::create_dir(&trial.folder).context("a folder for the scenario") {
        Ok(()) => tokio::select! {
            outcome = (job.run)(trial) => outcome,
            // Dropped here, it ends its processes.
            () = interrupted() => Err(Interrupted.into()),
        },
        Err(error) => Err(error),
    };
    let outcome = outcome.map_err(|error| match error.downcast::<Skip>() {
        Ok(Skip(why)) => Shortfall::Skipped(why),
        Err(error) if error.is::<Interrupted>() => Shortfall::Interrupted,
        Err(error) => Shortfall::Failed(format!("{error:#}")),
    });
    let line = Line::new(&job.name, job.repeats, outcome, trial.report(), begin.elapsed());
    print_line(&line.summary());
    line
}

/// Ctrl-C or SIGTERM.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

/// Returns a scenario's seed: the same whether it runs alone or among others.
fn seed_of(name: &str, seed: u64) -> u64 {
    let digest = Sha256::digest(format!("{seed} {name}"));
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// Raises the limit on open files, here and in the service: thousands of connections need it.
fn raise_open_files() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "the suite prints what it does and finds")]
pub(crate) fn print_line(line: &str) {
    println!("{line}");
}
