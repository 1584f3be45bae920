//! The inbox's disk: full, read-only, failing, damaged, and without power.
//!
//! Each scenario has the inbox's folder on a separate file system, which needs root. Without root
//! it is skipped.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::load::{Load, Running};
use crate::oracle;
use crate::process;
use crate::surroundings::SmallDisk;
use crate::world::{Expect, Setup, Trial, World, skip};

/// Size of the inbox's disk in MiB: more than the 32 MiB that its log reaches before a checkpoint.
pub(crate) const DISK_MIB: u64 = 96;
/// Longest time until the service notices that its disk has failed, or works again.
const NOTICE_MAX: Duration = Duration::from_secs(20);
/// Longest time until a damaged file is recovered.
const RECOVERY_MAX: Duration = Duration::from_mins(1);
/// Deliveries of which the service may be unsure whether they are lost. In a closed file: those
/// outside of the table, where drained deliveries leave copies. In a log: those in the few pages
/// that the suite overwrites.
const UNSURE_MAX: usize = 100;
/// SQLite's page.
const PAGE: u64 = 4096;

pub(crate) fn inbox(trial: &Trial) -> PathBuf {
    trial.folder.join("data/inbox")
}

/// The disk is full. Deliveries are written to Postgres until it has space.
pub(crate) async fn full(trial: &Trial) -> anyhow::Result<()> {
    let disk = SmallDisk::mount(&inbox(trial), DISK_MIB)?;
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    world.calm().await;
    for _ in 0..2 {
        world.fault("the disk of the inbox is full");
        disk.fill()?;
        writable(&world, false).await?;
        tokio::time::sleep(trial.options.hold(3, 20)).await;
        disk.empty()?;
        writable(&world, true).await?;
        world.log("the disk has space, and the inbox is in use");
        world.calm().await;
    }
    finish(world, load, disk).await
}

/// The disk is read-only: first from the start, later because of an I/O error.
pub(crate) async fn read_only(trial: &Trial) -> anyhow::Result<()> {
    let disk = Disk::mount(&trial.folder.join("disk"), &inbox(trial))?;
    let world = trial.world(Setup::default()).await?;
    ensure!(world.service.stop().await?.success(), "the service did not stop cleanly");
    world.fault("the service starts on a read-only disk");
    disk.remount("ro")?;
    world.service.start().await?;
    let load = world.load(Load::default());
    writable(&world, false).await?;
    world.calm().await;
    disk.remount("rw")?;
    writable(&world, true).await?;
    world.log("the disk is writable, and the inbox is in use");
    world.calm().await;
    if disk.fail()? {
        world.fault("the file system is read-only after an error");
        writable(&world, false).await?;
        tokio::time::sleep(trial.options.hold(3, 20)).await;
        disk.repair().await?;
        writable(&world, true).await?;
        world.log("the disk was repaired while the service ran, and the inbox is in use");
        world.calm().await;
        return finish(world, load, disk).await;
    }
    finish(world, load, disk).await?;
    // The first half has passed, but the scenario has not.
    Err(skip("the second half: this kernel cannot inject an ext4 error"))
}

/// Each sync of the disk fails.
pub(crate) async fn sync_fails(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let load = world.load(Load::default());
    world.calm().await;
    // Every sync, then one at times, so that the check meets it as well as the commit.
    for which in ["", ":when=3+7"] {
        let mut tracer = Tracer::attach(world.service.pid()?, which)?;
        world.fault(&format!("syncs fail with EIO {}", which.trim_start_matches(':')));
        let noticed = writable(&world, false).await;
        tokio::time::sleep(trial.options.hold(4, 20)).await;
        tracer.detach()?;
        noticed?;
        writable(&world, true).await?;
        world.log("syncs work, and the inbox is in use");
        world.calm().await;
    }
    world.finish(load, Expect::AllAnswered).await
}

/// The file loses its end while the service is down. Postgres is away, so only the inbox has what
/// was answered.
pub(crate) async fn truncated(trial: &Trial) -> anyhow::Result<()> {
    damaged(trial, true, |file, rng| {
        let length = file.metadata()?.len();
        let cut = rng.random_range(length / 3..length - PAGE);
        OpenOptions::new().write(true).open(file)?.set_len(cut)?;
        Ok(format!("the inbox's file of {length} bytes is cut at {cut}"))
    })
    .await
}

/// Pages of the file are overwritten.
pub(crate) async fn noise(trial: &Trial) -> anyhow::Result<()> {
    damaged(trial, true, |file, rng| {
        let pages = file.metadata()?.len() / PAGE;
        let hit: Vec<u64> = (0..3).map(|_| rng.random_range(4..pages - 4)).collect();
        for page in &hit {
            overwrite(file, page * PAGE, PAGE, rng)?;
        }
        Ok(format!("noise in the pages {hit:?} of {pages} of the inbox's file"))
    })
    .await
}

/// The log is overwritten after a `kill -9`: only the log has the last commits.
pub(crate) async fn noise_in_log(trial: &Trial) -> anyhow::Result<()> {
    damaged(trial, false, |file, rng| {
        let log = PathBuf::from(format!("{}-wal", file.display()));
        let length = live_bytes(&log)?;
        let at = rng.random_range(32..length * 3 / 4);
        overwrite(&log, at, 3 * PAGE, rng)?;
        Ok(format!("noise in the inbox's log of {length} bytes, from {at}"))
    })
    .await
}

/// Returns the number of valid bytes of a log. After a checkpoint it is overwritten from its start:
/// the bytes beyond are of the round before, and damage to them has no effect.
fn live_bytes(log: &Path) -> anyhow::Result<u64> {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let bytes = std::fs::read(log)?;
    let salts = bytes.get(16..24).context("the log has no header")?.to_vec();
    let frames = bytes[HEADER..].chunks(FRAME_HEADER + usize::try_from(PAGE)?);
    let live = frames.take_while(|frame| frame.get(8..16) == Some(&salts[..]));
    Ok((HEADER + live.map(<[u8]>::len).sum::<usize>()) as u64)
}

fn overwrite(path: &Path, at: u64, length: u64, rng: &mut StdRng) -> anyhow::Result<()> {
    let noise: Vec<u8> = (0..length).map(|_| rng.random()).collect();
    Ok(OpenOptions::new().write(true).open(path)?.write_all_at(&noise, at)?)
}

/// Fills the inbox, damages its files while the service is down, and compares the losses with those
/// that the service reports.
async fn damaged(
    trial: &Trial,
    tidily: bool,
    damage: impl Fn(&Path, &mut StdRng) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let mut rng = trial.rng(10);
    world.postgres()?.stop().await?;
    world.log("Postgres is away");
    let load = world.load(Load { rate: 400, ..Load::default() });
    tokio::time::sleep(trial.options.hold(4, 20)).await;
    load.stop().await;
    if tidily {
        ensure!(world.service.stop().await?.success(), "the service did not stop cleanly");
    } else {
        world.service.kill()?;
    }
    let deep = world.ledger.figures().answered;
    let before = world.ledger.entries();
    world.fault(&damage(&world.service.data.join("inbox/inbox.sqlite"), &mut rng)?);
    world.service.start().await?;
    // It accepts deliveries whatever it found.
    let load = world.load(Load::default());
    world.calm().await;
    world.postgres()?.start().await?;
    let report = recovery_report(&world).await?;
    load.stop().await;

    world.report().figures = world.ledger.figures();
    let drain = world.drained().await?;
    let mut database = world.database().await?;
    let verdict = oracle::check(&mut database, &world.ledger).await?;
    let bounds = LossBounds::of(&report)?;
    {
        let mut report = world.report();
        report.drain = Some(drain);
        // Losses to our damage are not the service's fault if it reports them.
        report.lost = verdict.lost.saturating_sub(bounds.at_most.unwrap_or(bounds.at_least));
        report.doubled = verdict.doubled;
        report.peak_memory = world.service.peak_memory();
    }
    world.add_note(format!(
        "of {deep} deliveries in the inbox, {} were lost; the service reports {bounds}",
        verdict.lost
    ));
    verdict.ensure_clean_except_losses()?;
    ensure!(
        bounds.covers(verdict.lost),
        "{} are missing, and the service reports {bounds}: {report}",
        verdict.lost
    );
    let later = verdict.missing.iter().filter(|sha| !before.contains_key(*sha)).count();
    ensure!(later == 0, "{later} that arrived after the damage are missing");
    // If the service has no upper bound, the suite knows how much it damaged.
    ensure!(
        bounds.at_most.is_some() || verdict.lost <= bounds.at_least + UNSURE_MAX,
        "{} are missing, and the service reports {bounds}: {report}",
        verdict.lost
    );
    // A closed file contains a record of its deliveries.
    ensure!(
        !tidily || bounds.at_most.is_some_and(|most| most - bounds.at_least <= UNSURE_MAX),
        "{} are missing, and the service knows no more of a closed file than {bounds}: \
         {report}",
        verdict.lost
    );
    world.fresh_delivery().await
}

/// Number of lost deliveries, as reported by the service.
struct LossBounds {
    at_least: usize,
    /// `None` if unknown.
    at_most: Option<usize>,
}

impl LossBounds {
    fn of(report: &Value) -> anyhow::Result<Self> {
        let count = |name: &str| report[name].as_u64().and_then(|it| usize::try_from(it).ok());
        Ok(Self { at_least: count("lost").context("the report")?, at_most: count("lost_at_most") })
    }

    fn covers(&self, lost: usize) -> bool {
        self.at_least <= lost && self.at_most.is_none_or(|most| lost <= most)
    }
}

impl std::fmt::Display for LossBounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at_most {
            Some(most) if most == self.at_least => write!(f, "{most}"),
            Some(most) => write!(f, "between {} and {most}", self.at_least),
            None => write!(f, "{}, or more", self.at_least),
        }
    }
}

/// Returns the service's report on the damaged file, once it has read all of it.
async fn recovery_report(world: &World) -> anyhow::Result<Value> {
    let folder = world.service.data.join("inbox");
    let deadline = Instant::now() + RECOVERY_MAX;
    loop {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".salvage.json") {
                return Ok(serde_json::from_slice(&std::fs::read(path)?)?);
            }
        }
        ensure!(
            Instant::now() < deadline,
            "no damaged file has been recovered:\n{}",
            world.service.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A file of the first layout is drained. A file of a newer layout is rejected and not changed.
pub(crate) async fn older_version(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let file = world.service.data.join("inbox/inbox.sqlite");
    ensure!(world.service.stop().await?.success(), "the service did not stop cleanly");
    world.fault("the inbox's file is of the first layout");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads/inbox-layout-1.sqlite");
    std::fs::copy(fixture, &file)?;
    world.service.start().await?;
    world.drained().await?;
    let count = world.postgres()?.number(COUNT_FIXTURE).await?;
    ensure!(count == 5, "of 5 deliveries in it, {count} are stored");
    // They are not in the ledger.
    world.postgres()?.sql(FORGET_FIXTURE).await?;

    world.fault("the inbox's file is of a newer layout");
    ensure!(world.service.stop().await?.success(), "the service did not stop cleanly");
    set_layout(&file, 99).await?;
    let newer = std::fs::read(&file)?;
    world.service.spawn()?;
    let deadline = Instant::now() + NOTICE_MAX;
    while world.service.is_running() {
        ensure!(Instant::now() < deadline, "the service runs on a newer version's inbox");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = world.service.log_tail();
    ensure!(
        log.contains("start the newer version again"),
        "the log does not give the reason: {log}"
    );
    ensure!(std::fs::read(&file)? == newer, "the newer version's inbox has been written to");
    set_layout(&file, 1).await?;
    world.service.start().await?;
    let load = world.load(Load::default());
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// The fixture has one conversation, of the agent "a", which no delivery of the suite has.
const COUNT_FIXTURE: &str = "SELECT count(*) FROM messages m
    JOIN sessions s ON s.id = m.session_id WHERE s.agent_id = 'a'";
const FORGET_FIXTURE: &str = "BEGIN;
    DELETE FROM deliveries WHERE id IN (SELECT m.delivery_id FROM messages m
        JOIN sessions s ON s.id = m.session_id WHERE s.agent_id = 'a');
    DELETE FROM messages WHERE session_id IN (SELECT id FROM sessions WHERE agent_id = 'a');
    DELETE FROM sessions WHERE agent_id = 'a';
    DELETE FROM agents WHERE agent_id = 'a';
    COMMIT";

async fn set_layout(file: &Path, layout: u32) -> anyhow::Result<()> {
    let options =
        SqliteConnectOptions::new().filename(file).pragma("user_version", layout.to_string());
    Ok(options.connect().await?.close().await?)
}

/// Power failures: everything that was not synced is lost. The service is paused, so that it
/// answers nothing more. The disk's content is copied without the kernel's unwritten pages, and the
/// service continues on the copy.
pub(crate) async fn power_cut(trial: &Trial) -> anyhow::Result<()> {
    let mut disk = Disk::mount(&trial.folder.join("disk"), &inbox(trial))?;
    let world = trial.world(Setup::default()).await?;
    let mut rng = trial.rng(10);
    // Only the inbox has what is answered.
    world.postgres()?.stop().await?;
    world.log("Postgres is away");
    for cut in 1..=trial.options.choose(3, 12) {
        let load = world.load(Load { rate: 400, ..Load::default() });
        tokio::time::sleep(Duration::from_millis(rng.random_range(500..2_500))).await;
        world.fault(&format!("power cut {cut}"));
        process::signal(world.service.pid()?, Signal::SIGSTOP)?;
        let image = trial.folder.join(format!("disk-{cut}"));
        disk.copy_to(&image)?;
        world.service.kill()?;
        load.stop().await;
        // The old disk is discarded with the kernel's unwritten pages.
        let folder = disk.folder.clone();
        drop(disk);
        disk = Disk::mount_image(&image, &folder)?;
        world.service.start().await?;
        let ready = world.service.json("/readyz").await?;
        world.log(&format!("{} deliveries in the inbox", ready["inbox"]["deliveries"]));
    }
    let set_aside = std::fs::read_dir(inbox(trial))?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".salvage.json"))
        .count();
    world.add_note(format!("{set_aside} times the file was set aside and recovered"));
    world.postgres()?.start().await?;
    let load = world.load(Load::default());
    world.calm().await;
    let finished = world.finish(load, Expect::Refusals).await;
    drop(world);
    drop(disk);
    finished
}

/// Drops the service before its disk.
async fn finish<D>(world: World, load: Running, disk: D) -> anyhow::Result<()> {
    let finished = world.finish(load, Expect::AllAnswered).await;
    drop(world);
    drop(disk);
    finished
}

/// Waits until the service reports that its inbox is writable, or that it is not.
pub(crate) async fn writable(world: &World, wanted: bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + NOTICE_MAX;
    loop {
        let ready = world.service.json("/readyz").await.unwrap_or_default();
        if ready["inbox"]["writable"] == wanted {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the inbox should be {}writable: {ready}\n{}",
            if wanted { "" } else { "not " },
            world.service.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An ext4 file system in a file.
struct Disk {
    image: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// Creates and mounts one. Skips the scenario if that is not allowed.
    fn mount(image: &Path, folder: &Path) -> anyhow::Result<Self> {
        if !Uid::effective().is_root() {
            return Err(skip("only root can mount a disk"));
        }
        let file = std::fs::File::create(image)?;
        file.set_len(DISK_MIB << 20)?;
        std::fs::create_dir_all(folder)?;
        run("mkfs.ext4", &["-q", "-F"], &[image]).map_err(|error| skip(format!("{error:#}")))?;
        Self::mount_image(image, folder).map_err(|error| skip(format!("{error:#}")))
    }

    fn mount_image(image: &Path, folder: &Path) -> anyhow::Result<Self> {
        run("mount", &["-o", "loop,errors=remount-ro"], &[image, folder])?;
        Ok(Self { image: image.to_owned(), folder: folder.to_owned() })
    }

    fn remount(&self, mode: &str) -> anyhow::Result<()> {
        run("mount", &["-o", &format!("remount,{mode}")], &[&self.folder])
    }

    /// Copies the content of the disk, without the kernel's unwritten pages.
    fn copy_to(&self, image: &Path) -> anyhow::Result<()> {
        run("cp", &["--sparse=always"], &[&self.image, image])
    }

    /// Makes the file system find an error, which makes it read-only. Returns false if the kernel
    /// cannot do that.
    fn fail(&self) -> anyhow::Result<bool> {
        let device = output("findmnt", &["-n", "-o", "SOURCE"], &[&self.folder])?;
        let device = device.trim().trim_start_matches("/dev/").to_owned();
        let trigger = Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
        Ok(std::fs::write(trigger, "error injected by the suite").is_ok())
    }

    /// Repairs the disk as an operator does: unmount, check, mount. The service may access it
    /// meanwhile.
    async fn repair(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + NOTICE_MAX;
        while let Err(error) = run("umount", &[], &[&self.folder]) {
            ensure!(Instant::now() < deadline, "{error:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Its exit status is 1 if it has corrected something.
        let _ = run("e2fsck", &["-f", "-y"], &[&self.image]);
        run("mount", &["-o", "loop,errors=remount-ro"], &[&self.image, &self.folder])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l"], &[&self.folder]);
    }
}

fn run(program: &str, arguments: &[&str], paths: &[&Path]) -> anyhow::Result<()> {
    output(program, arguments, paths).map(drop)
}

fn output(program: &str, arguments: &[&str], paths: &[&Path]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .args(paths)
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.to_owned())?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A strace that makes syncs of a process fail.
pub(crate) struct Tracer(Child);

impl Tracer {
    /// Attaches to a process. Skips the scenario if strace is not available.
    pub(crate) fn attach(pid: u32, which: &str) -> anyhow::Result<Self> {
        let inject = format!("inject=fsync,fdatasync:error=EIO{which}");
        let tracer = Command::new("strace")
            .args(["-f", "-q", "-e", "trace=fsync,fdatasync", "-e", &inject, "-o", "/dev/null"])
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut tracer) = tracer else {
            return Err(skip("strace is not installed (on Debian: apt-get install strace)"));
        };
        let deadline = Instant::now() + NOTICE_MAX;
        let status = PathBuf::from(format!("/proc/{pid}/status"));
        loop {
            if let Some(ended) = tracer.try_wait()? {
                return Err(skip(format!("strace cannot attach here: {ended}")));
            }
            let status = std::fs::read_to_string(&status)?;
            if !status.contains("TracerPid:\t0\n") {
                return Ok(Self(tracer));
            }
            ensure!(Instant::now() < deadline, "strace does not attach");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn detach(&mut self) -> anyhow::Result<()> {
        process::signal(self.0.id(), Signal::SIGINT)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.detach();
        }
    }
}
