//! The rows that have come, in a file beside the output, and a note of how far they are good: what
//! stands behind that was written when the machine or the program ended, and is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// Bytes after which what has come is made durable, and noted.
const NOTED_EVERY: u64 = 16 << 20;

/// Rows as JSON lines.
pub(super) struct Spool {
    file: BufWriter<File>,
    path: PathBuf,
    note_path: PathBuf,
    note: Note,
    noted_bytes: u64,
}

/// How far an export has come.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// What was asked for, without the key.
    question: String,
    /// Where to go on; nothing at the beginning.
    cursor: Option<String>,
    rows: u64,
    /// So much of the file is good.
    bytes: u64,
}

impl Spool {
    /// A spool for `output`: an empty one, or what an earlier run for the same `question` left.
    pub(super) fn open(output: &Path, question: &str, resume: bool) -> anyhow::Result<Self> {
        let (path, note_path) = (beside(output, ".part"), beside(output, ".part.json"));
        let left = read_note(&note_path)?;
        let note = match left {
            Some(note) if resume && note.question == question => note,
            Some(_) if resume => {
                bail!(
                    "{} is of an export with other filters: repeat them as they were, or remove \
                     the file",
                    path.display()
                )
            }
            Some(_) => {
                bail!(
                    "{} was left by an export that did not end: go on with it with --resume, or \
                     remove {}",
                    path.display(),
                    note_path.display()
                )
            }
            None => Note { question: question.to_owned(), ..Note::default() },
        };
        let open = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            file.set_len(note.bytes.min(file.metadata()?.len()))?;
            file.seek(SeekFrom::End(0))?;
            Ok::<_, std::io::Error>(file)
        };
        let file = open().with_context(|| format!("cannot write {}", path.display()))?;
        if file.metadata()?.len() < note.bytes {
            bail!("{} is shorter than it was: remove {}", path.display(), note_path.display());
        }
        let noted_bytes = note.bytes;
        Ok(Self { file: BufWriter::new(file), path, note_path, note, noted_bytes })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn rows(&self) -> u64 {
        self.note.rows
    }

    pub(super) fn bytes(&self) -> u64 {
        self.note.bytes
    }

    pub(super) fn cursor(&self) -> Option<&str> {
        self.note.cursor.as_deref()
    }

    /// Adds a row that came with the cursor of what follows it.
    pub(super) fn push(&mut self, row: &[u8], cursor: &str) -> anyhow::Result<()> {
        let full = || format!("cannot write {}", self.path.display());
        self.file.write_all(row).and_then(|()| self.file.write_all(b"\n")).with_context(full)?;
        self.note.rows += 1;
        self.note.bytes += row.len() as u64 + 1;
        match &mut self.note.cursor {
            Some(last) => cursor.clone_into(last),
            none => *none = Some(cursor.to_owned()),
        }
        if self.note.bytes - self.noted_bytes >= NOTED_EVERY {
            self.save()?;
        }
        Ok(())
    }

    /// Makes what has come durable, and notes it.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        let mut save = || {
            self.file.flush()?;
            self.file.get_ref().sync_data()?;
            let new = beside(&self.note_path, ".new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(&self.note)?)?;
            file.sync_data()?;
            fs::rename(new, &self.note_path)
        };
        save().with_context(|| format!("cannot write {}", self.path.display()))?;
        self.noted_bytes = self.note.bytes;
        Ok(())
    }

    /// Makes the rows the output.
    pub(super) fn become_output(self, output: &Path) -> anyhow::Result<()> {
        fs::rename(&self.path, output)
            .with_context(|| format!("cannot write {}", output.display()))?;
        self.forget_note()
    }

    /// Removes the rows, which the output has by now.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path)?;
        self.forget_note()
    }

    fn forget_note(self) -> anyhow::Result<()> {
        fs::remove_file(&self.note_path)
            .with_context(|| format!("cannot remove {}", self.note_path.display()))
    }
}

/// The file of this name with an ending added.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn read_note(path: &Path) -> anyhow::Result<Option<Note>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} cannot be read: remove it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
