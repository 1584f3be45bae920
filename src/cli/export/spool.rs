//! Received rows, in a file beside the output, and a checkpoint: how many bytes of it are durable.
//! After a crash, the file is cut back to the checkpoint.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// Bytes between two checkpoints.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// Rows as JSON lines.
pub(super) struct Spool {
    file: BufWriter<File>,
    path: PathBuf,
    checkpoint_path: PathBuf,
    state: Checkpoint,
    /// `state.bytes` of the last checkpoint.
    durable_bytes: u64,
}

/// State of an export.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// URL of the export, without the key.
    #[serde(rename = "question")]
    request: String,
    /// Cursor of the next row; `None` at the beginning.
    cursor: Option<String>,
    rows: u64,
    /// Length of these rows in the file.
    bytes: u64,
}

impl Spool {
    /// Opens the spool of `output`: an empty one, or the one of an earlier run of this `request`.
    pub(super) fn open(output: &Path, request: &str, resume: bool) -> anyhow::Result<Self> {
        let (path, checkpoint_path) = (beside(output, ".part"), beside(output, ".part.json"));
        let earlier = read_checkpoint(&checkpoint_path)?;
        let state = match earlier {
            Some(state) if resume && state.request == request => state,
            Some(_) if resume => {
                bail!(
                    "{} belongs to an export with other filters: use the same filters, or remove \
                     the file",
                    path.display()
                )
            }
            Some(_) => {
                bail!(
                    "{} belongs to an interrupted export: continue it with --resume, or remove {}",
                    path.display(),
                    checkpoint_path.display()
                )
            }
            None => Checkpoint { request: request.to_owned(), ..Checkpoint::default() },
        };
        let open = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            file.set_len(state.bytes.min(file.metadata()?.len()))?;
            file.seek(SeekFrom::End(0))?;
            Ok::<_, std::io::Error>(file)
        };
        let file = open().with_context(|| format!("cannot write {}", path.display()))?;
        if file.metadata()?.len() < state.bytes {
            let (path, checkpoint) = (path.display(), checkpoint_path.display());
            bail!("{path} is shorter than at its last checkpoint: remove {checkpoint}");
        }
        let durable_bytes = state.bytes;
        Ok(Self { file: BufWriter::new(file), path, checkpoint_path, state, durable_bytes })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn rows(&self) -> u64 {
        self.state.rows
    }

    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes
    }

    pub(super) fn cursor(&self) -> Option<&str> {
        self.state.cursor.as_deref()
    }

    /// Appends a row. `cursor` is that of the next row.
    pub(super) fn push(&mut self, row: &[u8], cursor: &str) -> anyhow::Result<()> {
        let error = || format!("cannot write {}", self.path.display());
        self.file.write_all(row).and_then(|()| self.file.write_all(b"\n")).with_context(error)?;
        self.state.rows += 1;
        self.state.bytes += row.len() as u64 + 1;
        match &mut self.state.cursor {
            Some(last) => cursor.clone_into(last),
            none => *none = Some(cursor.to_owned()),
        }
        if self.state.bytes - self.durable_bytes >= CHECKPOINT_BYTES {
            self.save()?;
        }
        Ok(())
    }

    /// Makes the rows durable, and writes a checkpoint.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        let mut save = || {
            self.file.flush()?;
            self.file.get_ref().sync_data()?;
            let new = beside(&self.checkpoint_path, ".new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(&self.state)?)?;
            file.sync_data()?;
            fs::rename(new, &self.checkpoint_path)
        };
        save().with_context(|| format!("cannot write {}", self.path.display()))?;
        self.durable_bytes = self.state.bytes;
        Ok(())
    }

    /// Renames the file to `output`.
    pub(super) fn become_output(self, output: &Path) -> anyhow::Result<()> {
        fs::rename(&self.path, output)
            .with_context(|| format!("cannot write {}", output.display()))?;
        self.remove_checkpoint()
    }

    /// Removes the file, whose rows are in the output.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path)?;
        self.remove_checkpoint()
    }

    fn remove_checkpoint(self) -> anyhow::Result<()> {
        fs::remove_file(&self.checkpoint_path)
            .with_context(|| format!("cannot remove {}", self.checkpoint_path.display()))
    }
}

/// Appends an ending to the file's name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn read_checkpoint(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} is damaged: remove it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
