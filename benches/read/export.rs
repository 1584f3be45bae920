//! Exports everything, and prints the time and the memory of the service.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::KEY;

/// Resources and formats to export.
const EXPORTS: [&str; 4] = [
    "messages?format=jsonl",
    "messages?format=csv&compression=zstd",
    "messages?format=parquet",
    "sessions?format=parquet",
];

/// Runs each export once. With `rows_are_read`, pyarrow reads the Parquet files.
pub(crate) fn export(address: SocketAddr, service: u32, rows_are_read: bool) -> anyhow::Result<()> {
    println!("| export | s | MB | largest RSS of the service, MB (before) |");
    println!("| --- | ---: | ---: | ---: |");
    let folder = tempfile::tempdir()?;
    for what in EXPORTS {
        // Resets the peak memory of the process.
        std::fs::write(format!("/proc/{service}/clear_refs"), "5")?;
        let before = memory_kib(service, "VmRSS:")?;
        let path = folder.path().join("export");
        let start = Instant::now();
        let bytes = download(address, &format!("/v1/export/{what}"), &path)?;
        println!(
            "| {what} | {:.1} | {} | {} ({}) |",
            start.elapsed().as_secs_f64(),
            bytes / 1_000_000,
            memory_kib(service, "VmHWM:")? / 1024,
            before / 1024
        );
        if rows_are_read && what.ends_with("parquet") {
            let read = Command::new("scripts/read-parquet").arg(&path).status()?;
            ensure!(read.success(), "pyarrow cannot read {what}");
        }
    }
    println!();
    Ok(())
}

/// Writes the body into a file, chunk by chunk, and returns its length.
fn download(address: SocketAddr, target: &str, path: &Path) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\n\r\n")?;
    let mut answer = BufReader::new(stream);
    let status = line(&mut answer)?;
    ensure!(status.contains(" 200 "), "{target} was answered {status}");
    while !line(&mut answer)?.is_empty() {}
    let (mut file, mut bytes) = (File::create(path)?, 0);
    loop {
        let chunk =
            u64::from_str_radix(&line(&mut answer)?, 16).context("the answer is incomplete")?;
        bytes += std::io::copy(&mut (&mut answer).take(chunk), &mut file)?;
        line(&mut answer)?;
        if chunk == 0 {
            return Ok(bytes);
        }
    }
}

fn line(answer: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn memory_kib(process: u32, name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}
