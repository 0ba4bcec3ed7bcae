//! The folder of a run under way, and how it becomes a model folder.
//!
//! All that a run writes is in `OUT.partial`:
//!
//! ```text
//! run.json             made by dozen; whether an older OUT may be replaced
//! checkpoints/last/    what resuming needs; replaced as a whole, by way of `next` and `before`
//! checkpoints/best-N/  the weights of the best epoch so far
//! config.json ...      the model, once it is trained; when config.json lists its files, it is whole
//! replaced/            the older OUT, between the two renames that put the new one in its place
//! ```
//!
//! So a kill leaves one of few states, and [`RunFolder::begin`] and [`RunFolder::resume`] lead each back to a whole one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contents::{
    CHECKPOINTS, CONFIG, FILES, REPLACED, RUN, discard_temporaries, entries, family_of, is_whole, name_of,
    read_json, remove, rename, sorted_files, tidy, write_bytes, write_json,
};
use crate::new_file::is_temporary;
use crate::out::Out;
use crate::{Checkpoints, Error, Lock, disk};

/// What becomes of a model that is in the folder already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the run is refused.
    Keep,
    /// The new model takes its place, if dozen wrote all that is there.
    Overwrite,
}

/// What `resume` found.
#[derive(Debug)]
pub enum Resumed {
    /// A run to go on with.
    Run(RunFolder),
    /// A model that was whole, and only had to be put in its place.
    Finished(PathBuf),
}

impl Resumed {
    /// The run.
    ///
    /// # Errors
    /// When its model was whole already, and is in its place now.
    pub fn into_run(self) -> Result<RunFolder, Error> {
        match self {
            Self::Run(run) => Ok(run),
            Self::Finished(out) => Err(Error::folder(&out, "was finished; its model is in its place now")),
        }
    }
}

/// `OUT.partial` while a run is under way, renamed to `OUT` when the model is whole. It is locked against other
/// processes as long as a copy of this lives.
#[derive(Clone, Debug)]
pub struct RunFolder {
    out: Out,
    partial: PathBuf,
    existing: Existing,
    dropped: bool,
    checkpoint_every: Duration,
    _held: Arc<Held>,
}

/// What all copies of a run hold together.
#[derive(Debug)]
struct Held {
    partial: PathBuf,
    /// Given back after the folder is left as it should be.
    _lock: Lock,
}

impl Drop for Held {
    /// A run that was refused or failed before its first checkpoint leaves nothing.
    fn drop(&mut self) {
        let worthless = self.partial.join(RUN).exists()
            && !self.partial.join(REPLACED).exists()
            && !self.partial.join(CHECKPOINTS).join(STATE).exists()
            && !is_whole(&self.partial)
            && sorted_files(&self.partial).is_ok_and(|(_, foreign)| foreign.is_empty());
        if worthless {
            // What cannot be removed is in nobody's way: the next run does it.
            let _ = remove(&self.partial);
        }
    }
}

/// What the last checkpoint has when it is whole.
const STATE: &str = "last/state.json";

/// Time between checkpoints, unless a run has its own.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);

/// `run.json`.
#[derive(Serialize, Deserialize)]
struct Made {
    overwrite: bool,
}

impl RunFolder {
    /// Begins a new run that will become `out`; the folders above it are made.
    ///
    /// # Errors
    /// When another process writes there; when `out` holds anything, unless that is a model, dozen wrote all of it and
    /// `existing` says to overwrite it; when there is an unfinished run that could be resumed, unless it is to be
    /// overwritten; when the disk fails.
    pub fn begin(out: &Path, existing: Existing) -> Result<Self, Error> {
        let mut run = Self::locked(out)?;
        run.existing = existing;
        run.recover()?;
        // An unfinished run comes first: it is what a person may have forgotten.
        run.check_partial()?;
        run.check_out(true)?;
        run.dropped = run.has_checkpoint();
        remove(&run.partial)?;
        disk::make_folder(&run.partial).map_err(|e| Error::io("make", &run.partial, e))?;
        run.write_json(RUN, &Made { overwrite: existing == Existing::Overwrite })?;
        Ok(run)
    }

    /// Finds the unfinished run that was to become `out`, whatever ended it.
    ///
    /// # Errors
    /// When there is none, or another process goes on with it.
    pub fn resume(out: &Path) -> Result<Resumed, Error> {
        // What a shell completes the name to where OUT is not there yet.
        let typed = out.to_string_lossy();
        let stem = typed.trim_end_matches('/').strip_suffix(".partial");
        let out = stem.filter(|_| out.join(RUN).exists()).map_or(out, Path::new);
        let mut run = Self::locked(out)?;
        if run.recover()? {
            return Ok(Resumed::Finished(run.out.shown));
        }
        if let Ok(made) = read_json::<Made>(&run.partial.join(RUN)) {
            run.existing = if made.overwrite { Existing::Overwrite } else { Existing::Keep };
            let whole = is_whole(&run.partial);
            return if whole { run.place().map(Resumed::Finished) } else { Ok(Resumed::Run(run)) };
        }
        let problem = if run.out.path.join(CONFIG).exists() {
            "holds a finished model; there is nothing to resume"
        } else {
            "has no unfinished run beside it (no .partial folder of dozen's); nothing to resume"
        };
        Err(Error::folder(&run.out.shown, problem))
    }

    fn locked(out: &Path) -> Result<Self, Error> {
        let out = Out::new(out)?;
        if let Some(above) = out.path.parent().filter(|above| !above.exists()) {
            disk::make_folders(above).map_err(|e| Error::io("make", above, e))?;
        }
        let lock = Lock::take(out.beside(".partial.lock"), &out.shown)?;
        let partial = out.beside(".partial");
        let held = Held { partial: partial.clone(), _lock: lock };
        Ok(Self {
            out,
            partial,
            existing: Existing::Keep,
            dropped: false,
            checkpoint_every: CHECKPOINT_EVERY,
            _held: Arc::new(held),
        })
    }

    /// The folder that files of the run go to.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The folder that the run will become, as it was named.
    pub fn out(&self) -> &Path {
        &self.out.shown
    }

    /// The folder of the weights that were the best at the end of an epoch.
    pub fn best(&self, epoch: u64) -> PathBuf {
        self.partial.join(CHECKPOINTS).join(format!("best-{epoch}"))
    }

    /// The folder of the last checkpoint.
    pub fn last(&self) -> PathBuf {
        self.partial.join(CHECKPOINTS).join("last")
    }

    /// Whether an unfinished run that could have been resumed made room for this one.
    pub fn has_dropped_a_run(&self) -> bool {
        self.dropped
    }

    /// Whether there is a checkpoint to go on from.
    pub fn has_checkpoint(&self) -> bool {
        self.state_file().exists()
    }

    /// Whether an unfinished run that is to become `out` has a checkpoint to go on from.
    pub fn is_unfinished(out: &Path) -> bool {
        Out::new(out).is_ok_and(|out| out.beside(".partial").join(CHECKPOINTS).join(STATE).exists())
    }

    /// The file in the last checkpoint that says how far the run has come; it is there if there is a checkpoint.
    pub fn state_file(&self) -> PathBuf {
        self.partial.join(CHECKPOINTS).join(STATE)
    }

    /// The same run with other times between checkpoints than 20 s.
    #[must_use]
    pub fn with_checkpoints_every(self, checkpoint_every: Duration) -> Self {
        Self { checkpoint_every, ..self }
    }

    /// When the run's checkpoints are due, from now on.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::every(self.checkpoint_every)
    }

    /// Writes a checkpoint: `write` fills a new folder, then `state` is written into it, and it takes the place of the
    /// one before as a whole. Best weights of other epochs than `best` are no longer needed, and go.
    pub fn checkpoint<E: From<Error>>(
        &self,
        state: &impl Serialize,
        best: u64,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let (last, next, before) = (self.last(), self.of_checkpoint("next"), self.of_checkpoint("before"));
        fill(&next, |folder| -> Result<(), E> {
            write(folder)?;
            Ok(write_json(&folder.join("state.json"), state)?)
        })?;
        if last.exists() {
            rename(&last, &before)?;
        }
        rename(&next, &last)?;
        remove(&before)?;
        Ok(self.forget_best_but(best)?)
    }

    /// Keeps the weights of an epoch, beside those that the last checkpoint knows as the best.
    pub fn keep_best<E: From<Error>>(
        &self,
        epoch: u64,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let (new, best) = (self.of_checkpoint("new-best"), self.best(epoch));
        fill(&new, write)?;
        remove(&best)?;
        rename(&new, &best)?;
        if self.state_file().exists() { Ok(()) } else { Ok(self.forget_best_but(epoch)?) }
    }

    fn of_checkpoint(&self, name: &str) -> PathBuf {
        self.partial.join(CHECKPOINTS).join(name)
    }

    fn forget_best_but(&self, epoch: u64) -> Result<(), Error> {
        let kept = self.best(epoch);
        for path in entries(&self.partial.join(CHECKPOINTS))? {
            let is_best = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("best-"));
            if is_best && path != kept {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Writes a value as JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        write_json(&self.partial.join(name), value)
    }

    /// Reads back what [`RunFolder::write_json`] wrote.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        read_json(&self.partial.join(name))
    }

    /// Writes text.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), Error> {
        self.write_bytes(name, text.as_bytes())
    }

    /// Writes bytes, such as a picture.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_bytes(&self.partial.join(name), bytes)
    }

    /// Makes the run the model folder `out`, and gives the folder's name as it was typed. The model must have its
    /// `config.json` by now.
    ///
    /// # Errors
    /// When `out` is there meanwhile and may not be replaced, or the disk fails. The model is whole in `OUT.partial` then,
    /// and resuming the run puts it in place.
    pub fn finish(self) -> Result<PathBuf, Error> {
        let partial = &self.partial;
        let synced = || disk::sync_all(partial).map_err(|e| Error::io("write", partial, e));
        discard_temporaries(partial)?;
        synced()?;
        // What somebody else put there goes with the folder, and keeps it from being overwritten.
        let (files, _) = sorted_files(partial)?;
        let mut config: Value = self.read_json(CONFIG)?;
        config[FILES] = files.into_iter().collect();
        self.write_json(CONFIG, &config)?;
        synced()?;
        self.place()
    }

    /// Gives a whole model its place.
    fn place(&self) -> Result<PathBuf, Error> {
        let (out, partial) = (&self.out.path, &self.partial);
        let replaced = partial.join(REPLACED);
        if replaced.exists() && out.exists() {
            return Err(Error::folder(
                out,
                format!(
                    "came to be while `{}` was to take its place; move it away, and --resume puts the model there",
                    partial.display()
                ),
            ));
        }
        if !replaced.exists() {
            self.check_out(false).map_err(|error| match error {
                Error::Folder { folder, problem } => Error::Folder {
                    folder,
                    problem: format!(
                        "{problem} (the new model is whole in `{}`, and --resume puts it in its place)",
                        partial.display()
                    ),
                },
                other @ Error::Io { .. } => other,
            })?;
        }
        remove(&partial.join(CHECKPOINTS))?;
        if out.exists() {
            rename(out, &replaced)?;
        }
        if let Err(error) = rename(partial, out) {
            // The older model is better than none.
            if replaced.exists() {
                rename(&replaced, out)?;
            }
            return Err(error);
        }
        if let Some(above) = out.parent() {
            disk::sync_folder(above).map_err(|e| Error::io("write", above, e))?;
        }
        tidy(out)?;
        Ok(self.out.shown.clone())
    }

    /// Leads what a kill left back to a whole state, and says whether that was a model that went into its place.
    fn recover(&self) -> Result<bool, Error> {
        let (out, partial) = (&self.out.path, &self.partial);
        tidy(out)?;
        let replaced = partial.join(REPLACED);
        if replaced.exists() && !out.exists() && partial.join(RUN).exists() {
            if is_whole(partial) {
                self.place()?;
                return Ok(true);
            }
            rename(&replaced, out)?;
        }
        let (last, next, before) = (self.last(), self.of_checkpoint("next"), self.of_checkpoint("before"));
        if !last.exists() && before.exists() {
            // The new one was whole before the old one was moved.
            rename(if next.join("state.json").exists() { &next } else { &before }, &last)?;
        }
        if last.exists() {
            remove(&before)?;
        }
        Ok(false)
    }

    /// Whether the place is free, or may be made so.
    fn check_out(&self, beginning: bool) -> Result<(), Error> {
        let (out, shown) = (&self.out.path, &self.out.shown);
        if !out.exists() {
            return Ok(());
        }
        if !out.is_dir() {
            return Err(Error::folder(shown, "is a file, where a folder is to be; choose another --out"));
        }
        if entries(out)?.is_empty() {
            // A folder that something is mounted on cannot go, which is better known now than after the training.
            return disk::remove_folder(out).map_err(|_| {
                Error::folder(
                    shown,
                    "cannot be replaced by the model's folder (is it mounted?); name a folder in it",
                )
            });
        }
        let family = family_of(out)
            .map_err(|problem| Error::folder(shown, format!("{problem}, or choose another --out")))?;
        if self.existing == Existing::Keep {
            let told = if beginning { "" } else { " meanwhile" };
            return Err(Error::folder(
                shown,
                format!(
                    "holds a model of the family {family}{told}; --overwrite replaces it, or choose another --out"
                ),
            ));
        }
        Ok(())
    }

    /// Whether the run's own folder is free, or may be made so.
    fn check_partial(&self) -> Result<(), Error> {
        let (partial, out) = (&self.partial, self.out.shown.display());
        if !partial.exists() {
            return Ok(());
        }
        // A kill between making the folder and writing into it.
        let is_start =
            |path: &PathBuf| is_temporary(&name_of(path)) && name_of(path).starts_with(".run.json.");
        let only_leftovers = entries(partial)?.iter().all(is_start);
        if !only_leftovers && !partial.join(RUN).exists() {
            return Err(Error::folder(
                partial,
                "is in the way: it is no unfinished run of dozen; move it away, or choose another --out",
            ));
        }
        if let Some(foreign) = sorted_files(partial)?.1.first() {
            return Err(Error::folder(
                partial,
                format!(
                    "also holds `{foreign}`, which dozen did not write; move that away, or choose another --out"
                ),
            ));
        }
        if self.existing == Existing::Keep {
            if is_whole(partial) {
                return Err(Error::folder(
                    partial,
                    format!("holds a finished model that was not put in its place; --resume {out} does that"),
                ));
            }
            if self.state_file().exists() {
                return Err(Error::folder(
                    partial,
                    format!(
                        "holds an unfinished run; go on with --resume {out}, or begin anew with --overwrite"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Fills a folder anew, and sees it onto the disk.
fn fill<E: From<Error>>(folder: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    remove(folder)?;
    disk::make_folders(folder).map_err(|e| Error::io("make", folder, e))?;
    write(folder)?;
    Ok(disk::sync_all(folder).map_err(|e| Error::io("write", folder, e))?)
}
