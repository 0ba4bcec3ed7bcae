//! The folder of a run under way, and how it becomes a model folder.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// `OUT.partial` while training runs, renamed to `OUT` when the model is whole. A crash leaves an older `OUT` alone.
#[derive(Clone, Debug)]
pub struct RunFolder {
    out: PathBuf,
    partial: PathBuf,
}

impl RunFolder {
    fn of(out: &Path) -> Self {
        let mut partial = out.as_os_str().to_owned();
        partial.push(".partial");
        Self { out: out.to_owned(), partial: partial.into() }
    }

    /// Begins a new run that will become `out`.
    ///
    /// # Errors
    /// When `out` holds something other than a model, or an unfinished run that could be resumed.
    pub fn begin(out: &Path) -> Result<Self, Error> {
        let run = Self::of(out);
        if run.state_file().exists() {
            return Err(Error::folder(
                &run.partial,
                format!(
                    "holds an unfinished run; go on with --resume {}, or remove that folder",
                    out.display()
                ),
            ));
        }
        let occupied = out.exists()
            && !out.join("config.json").exists()
            && out.read_dir().is_ok_and(|mut d| d.next().is_some());
        if occupied || out.is_file() {
            return Err(Error::folder(out, "exists and is not a model folder; choose another --out"));
        }
        if run.partial.exists() {
            std::fs::remove_dir_all(&run.partial).map_err(|e| Error::io("remove", &run.partial, e))?;
        }
        for folder in [run.best(), run.last()] {
            std::fs::create_dir_all(&folder).map_err(|e| Error::io("make", &folder, e))?;
        }
        Ok(run)
    }

    /// Finds the unfinished run that was to become `out`.
    pub fn resume(out: &Path) -> Result<Self, Error> {
        let run = Self::of(out);
        if run.state_file().exists() {
            return Ok(run);
        }
        let problem = if out.join("config.json").exists() {
            "holds a finished model; there is nothing to resume"
        } else {
            "has no unfinished run beside it (no .partial folder with a checkpoint); nothing to resume"
        };
        Err(Error::folder(out, problem))
    }

    /// The folder that files of the run go to.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The folder that the run will become.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The folder of the best checkpoint.
    pub fn best(&self) -> PathBuf {
        self.partial.join("checkpoints/best")
    }

    /// The folder of the last checkpoint.
    pub fn last(&self) -> PathBuf {
        self.partial.join("checkpoints/last")
    }

    /// The file in the last checkpoint that says how far the run has come; a run without it cannot be resumed.
    pub fn state_file(&self) -> PathBuf {
        self.last().join("state.json")
    }

    /// Writes a value as JSON, under a temporary name first.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        write_json(&self.partial.join(name), value)
    }

    /// Reads back what [`RunFolder::write_json`] wrote.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        read_json(&self.partial.join(name))
    }

    /// Writes text, under a temporary name first.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), Error> {
        write_text(&self.partial.join(name), text)
    }

    /// Writes bytes, such as a picture.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_bytes(&self.partial.join(name), bytes)
    }

    /// Makes the run the model folder `out`, replacing an older model there.
    pub fn finish(self) -> Result<PathBuf, Error> {
        let last = self.last();
        std::fs::remove_dir_all(&last).map_err(|e| Error::io("remove", &last, e))?;
        // These go only where they are empty.
        let _ = std::fs::remove_dir(self.best());
        let _ = std::fs::remove_dir(self.partial.join("checkpoints"));
        if self.out.exists() {
            std::fs::remove_dir_all(&self.out).map_err(|e| Error::io("replace", &self.out, e))?;
        }
        std::fs::rename(&self.partial, &self.out).map_err(|e| Error::io("write", &self.out, e))?;
        Ok(self.out)
    }
}

pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|e| Error::io("write", path, e))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::io("write", path, e.into()))?;
    write_text(path, &(text + "\n"))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::folder(path, format!("cannot be understood: {e}")))
}
