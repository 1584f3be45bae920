//! Reading of files line by line, with a limit on the length of a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::utf16::{Encoding, Transcoded};

/// Limit on the lines that are read ahead.
const AHEAD: usize = 4;
/// Size of a read, in bytes.
const BUFFER_BYTES: usize = 64 << 10;
/// Name of standard input.
const STANDARD_INPUT: &str = "-";
/// First bytes of some UTF-8 files.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// First bytes of gzip files.
const GZIP: &[u8] = b"\x1f\x8b";
/// First bytes of zstd files.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Line that is not blank.
#[derive(Debug)]
pub(super) struct Line {
    /// Name of the file, for messages.
    pub(super) file: Arc<str>,
    /// Number from 1; blank lines are counted.
    pub(super) number: u64,
    /// Bytes without the line break; `None` if the line is longer than the limit.
    pub(super) bytes: Option<Bytes>,
}

/// Reads the files in a separate thread, a few lines ahead. A read error is the last item.
pub(super) fn read(
    files: Vec<PathBuf>,
    max_bytes: usize,
    progress: ProgressBar,
) -> mpsc::Receiver<anyhow::Result<Line>> {
    let (lines, receiver) = mpsc::channel(AHEAD);
    // Not a task: the runtime would wait for its end, and standard input may never end.
    std::thread::spawn(move || {
        for file in files {
            let name: Arc<str> = name(&file).into();
            let mut number = 0;
            let read = || read_file(&file, &name, &mut number, max_bytes, &progress, &lines);
            match { read }() {
                Ok(true) => {}
                // The receiver is closed.
                Ok(false) => return,
                Err(error) => {
                    let context = format!("{name} cannot be read after line {number}");
                    let _ = lines.blocking_send(Err(error).context(context));
                    return;
                }
            }
        }
    });
    receiver
}

/// Returns the size of all files together, in bytes; `None` if one is not a regular file.
pub(super) fn size(files: &[PathBuf]) -> anyhow::Result<Option<u64>> {
    let mut size = Some(0);
    for file in files {
        if is_standard_input(file) {
            size = None;
            continue;
        }
        let metadata = file.metadata();
        let metadata = metadata.with_context(|| format!("cannot read {}", file.display()))?;
        anyhow::ensure!(!metadata.is_dir(), "{} is a folder: name its files", file.display());
        size = size.filter(|_| metadata.is_file()).map(|size| size + metadata.len());
    }
    Ok(size)
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == STANDARD_INPUT
}

fn name(file: &Path) -> String {
    if is_standard_input(file) {
        return "(standard input)".into();
    }
    file.display().to_string()
}

/// Reads a file. Returns false if the receiver is closed.
fn read_file(
    file: &Path,
    name: &Arc<str>,
    number: &mut u64,
    max_bytes: usize,
    progress: &ProgressBar,
    lines: &mpsc::Sender<anyhow::Result<Line>>,
) -> io::Result<bool> {
    let raw: Box<dyn Read> = if is_standard_input(file) {
        Box::new(progress.wrap_read(io::stdin().lock()))
    } else {
        Box::new(progress.wrap_read(File::open(file)?))
    };
    let mut text = unpack(BufReader::with_capacity(BUFFER_BYTES, raw))?;
    loop {
        let bytes = match next(&mut text, *number == 0, max_bytes)? {
            Next::End => return Ok(true),
            Next::Line(bytes) => Some(Bytes::from(bytes)),
            Next::TooLong => None,
        };
        *number += 1;
        if bytes.as_ref().is_some_and(|bytes| bytes.trim_ascii().is_empty()) {
            continue;
        }
        let line = Line { file: Arc::clone(name), number: *number, bytes };
        if lines.blocking_send(Ok(line)).is_err() {
            return Ok(false);
        }
    }
}

/// Returns the text of a file as UTF-8. Detects compression and UTF-16 by the first bytes.
fn unpack<'a>(mut raw: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut head = Vec::with_capacity(ZSTD.len());
    raw.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let (is_gzip, is_zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
    let raw = Cursor::new(head).chain(raw);
    let mut text: Box<dyn Read + 'a> = if is_gzip {
        Box::new(MultiGzDecoder::new(raw))
    } else if is_zstd {
        Box::new(zstd::Decoder::new(raw)?)
    } else {
        Box::new(raw)
    };
    let mut head = Vec::with_capacity(Encoding::BYTES);
    text.by_ref().take(Encoding::BYTES as u64).read_to_end(&mut head)?;
    let encoding = Encoding::of(&head);
    let text = Cursor::new(head).chain(text);
    let text: Box<dyn Read + 'a> = match encoding {
        Encoding::Utf8 => Box::new(text),
        Encoding::Utf16Le => Box::new(Transcoded::new(text, false)),
        Encoding::Utf16Be => Box::new(Transcoded::new(text, true)),
        Encoding::Utf32 => {
            let error = "the file is UTF-32: convert it with `iconv -f UTF-32 -t UTF-8`";
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, text)))
}

/// Next part of a file.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Line(Vec<u8>),
    TooLong,
    End,
}

/// Reads the next line, without its line break, and without a byte order mark in the first line. A
/// line beyond the limit is skipped without being stored.
fn next(text: &mut dyn BufRead, is_first: bool, max_bytes: usize) -> io::Result<Next> {
    let mut line = Vec::new();
    // Adds the bytes that are removed below.
    let room = max_bytes.saturating_add(BYTE_ORDER_MARK.len() + b"\r\n".len());
    text.take(room as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(Next::End);
    }
    if line.ends_with(b"\n") {
        line.pop();
    } else if line.len() == room {
        text.skip_until(b'\n')?;
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    if is_first && line.starts_with(BYTE_ORDER_MARK) {
        line.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(if line.len() <= max_bytes { Next::Line(line) } else { Next::TooLong })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines(packed: &[u8], max_bytes: usize) -> io::Result<Vec<Option<String>>> {
        let mut text = unpack(packed)?;
        let mut lines = Vec::new();
        loop {
            lines.push(match next(&mut text, lines.is_empty(), max_bytes)? {
                Next::Line(line) => Some(String::from_utf8(line).unwrap()),
                Next::TooLong => None,
                Next::End => return Ok(lines),
            });
        }
    }

    fn some(lines: &[&str]) -> Vec<Option<String>> {
        lines.iter().map(|line| Some((*line).to_owned())).collect()
    }

    #[test]
    fn lines_are_split_at_line_breaks_and_not_changed() {
        let text = b"\xef\xbb\xbf{ \"a\": 1 }\r\n\n \t\n\xef\xbb\xbfb\n{\"last\":2}";
        let expected = some(&["{ \"a\": 1 }", "", " \t", "\u{feff}b", "{\"last\":2}"]);
        assert_eq!(lines(text, 100).unwrap(), expected);
        assert_eq!(lines(b"", 100).unwrap(), some(&[]));
        assert_eq!(lines(b"a", 100).unwrap(), some(&["a"]));
    }

    #[test]
    fn compressed_text_is_detected_and_may_have_several_members() {
        let gzip = |text: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(text).unwrap();
            out.finish().unwrap()
        };
        let zstd = |text: &[u8]| zstd::encode_all(text, 0).unwrap();
        let (one, other) = (b"\xef\xbb\xbfone\r\n", b"two\nthree");
        for packed in [[gzip(one), gzip(other)].concat(), [zstd(one), zstd(other)].concat()] {
            assert_eq!(lines(&packed, 100).unwrap(), some(&["one", "two", "three"]));
            assert!(lines(&packed[..packed.len() - 3], 100).is_err(), "truncated");
        }
    }

    #[test]
    fn utf_16_is_detected_and_converted() {
        let text = "{ \"a\": \"\u{9000}\u{1f600}\" }\r\n\r\nlast";
        let expected = some(&["{ \"a\": \"\u{9000}\u{1f600}\" }", "", "last"]);
        for mark in ["", "\u{feff}"] {
            let marked = format!("{mark}{text}");
            let le: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let be: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
            for bytes in [le, be] {
                assert_eq!(lines(&bytes, 100).unwrap(), expected);
                let packed = zstd::encode_all(&bytes[..], 0).unwrap();
                assert_eq!(lines(&packed, 100).unwrap(), expected);
                assert_eq!(lines(&bytes, 10).unwrap()[0], None, "limits are of UTF-8");
            }
        }
        let error = lines(b"\xff\xfe\0\0{\0\0\0", 100).unwrap_err().to_string();
        assert!(error.contains("UTF-32"), "{error}");
    }

    #[test]
    fn only_lines_beyond_the_limit_are_skipped() {
        for end in ["\n", "\r\n"] {
            for mark in ["", "\u{feff}"] {
                for length in 1..20 {
                    let text = format!("{mark}{}{end}next{end}", "x".repeat(length));
                    let read = lines(text.as_bytes(), 8).unwrap();
                    let first = (length <= 8).then(|| "x".repeat(length));
                    assert_eq!(read, [first, Some("next".into())], "{length} {end:?}");
                    let last = lines(text.split(end).next().unwrap().as_bytes(), 8).unwrap();
                    assert_eq!(last, read[..1], "without an end, {length}");
                }
            }
        }
    }
}
