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

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::new_file::is_temporary;
use crate::out::Out;
use crate::{Checkpoints, Error, Lock, disk, write_file};

const CONFIG: &str = "config.json";
const RUN: &str = "run.json";
const REPLACED: &str = "replaced";
const CHECKPOINTS: &str = "checkpoints";
/// The key of `config.json` under which all files of the folder are listed.
const FILES: &str = "files";

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
            && !self.partial.join(CHECKPOINTS).join("last/state.json").exists()
            && !is_whole(&self.partial);
        if worthless {
            // What cannot be removed is in nobody's way: the next run does it.
            let _ = remove(&self.partial);
        }
    }
}

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
        run.check_out(true)?;
        run.clear_partial()?;
        disk::make_folder(&run.partial).map_err(|e| Error::io("make", &run.partial, e))?;
        run.write_json(RUN, &Made { overwrite: existing == Existing::Overwrite })?;
        Ok(run)
    }

    /// Finds the unfinished run that was to become `out`, whatever ended it.
    ///
    /// # Errors
    /// When there is none, or another process goes on with it.
    pub fn resume(out: &Path) -> Result<Resumed, Error> {
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
        let lock = Lock::take(out.beside(".lock"), &out.shown)?;
        let partial = out.beside(".partial");
        let held = Held { partial: partial.clone(), _lock: lock };
        Ok(Self {
            out,
            partial,
            existing: Existing::Keep,
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

    /// Whether there is a checkpoint to go on from.
    pub fn has_checkpoint(&self) -> bool {
        self.state_file().exists()
    }

    /// The file in the last checkpoint that says how far the run has come; it is there if there is a checkpoint.
    pub fn state_file(&self) -> PathBuf {
        self.last().join("state.json")
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
        self.fill(&next, |folder| -> Result<(), E> {
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
        self.fill(&new, write)?;
        remove(&best)?;
        rename(&new, &best)?;
        if self.state_file().exists() { Ok(()) } else { Ok(self.forget_best_but(epoch)?) }
    }

    fn of_checkpoint(&self, name: &str) -> PathBuf {
        self.partial.join(CHECKPOINTS).join(name)
    }

    /// Fills a folder anew, and sees it onto the disk.
    fn fill<E: From<Error>>(
        &self,
        folder: &Path,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        remove(folder)?;
        disk::make_folders(folder).map_err(|e| Error::io("make", folder, e))?;
        write(folder)?;
        Ok(disk::sync_all(folder).map_err(|e| Error::io("write", folder, e))?)
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
        let mut files = files_below(partial)?;
        files.retain(|file| file != RUN && !file.starts_with(&format!("{CHECKPOINTS}/")));
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
                    problem: format!("{problem} (the new model is whole in `{}`)", partial.display()),
                },
                other => other,
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
            .map_err(|problem| Error::folder(shown, format!("{problem}; choose another --out")))?;
        if self.existing == Existing::Keep {
            let told = if beginning { "" } else { " meanwhile" };
            return Err(Error::folder(
                shown,
                format!(
                    "holds a model of the family {}{told}; --overwrite replaces it, or choose another --out",
                    family
                ),
            ));
        }
        Ok(())
    }

    /// Makes room for the run's own folder.
    fn clear_partial(&self) -> Result<(), Error> {
        let (partial, out) = (&self.partial, self.out.shown.display());
        if !partial.exists() {
            return Ok(());
        }
        let only_leftovers = entries(partial)?.iter().all(|path| is_temporary(&name_of(path)));
        if !only_leftovers && !partial.join(RUN).exists() {
            return Err(Error::folder(
                partial,
                "is in the way: it is no unfinished run of dozen; move it away, or choose another --out",
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
        remove(partial)
    }
}

/// The family of a model folder that dozen wrote, with all that is in it.
///
/// # Errors
/// With what is wrong, when it is no model folder, or something else is in it, too.
fn family_of(folder: &Path) -> Result<String, String> {
    let config: Value = read_json(&folder.join(CONFIG))
        .map_err(|_| "is not empty and not a model folder of dozen".to_owned())?;
    let (Some(family), Some(_)) = (config["family"].as_str(), config["format"].as_u64()) else {
        return Err("is not empty and not a model folder of dozen".to_owned());
    };
    let files: Option<BTreeSet<String>> = config[FILES]
        .as_array()
        .map(|files| files.iter().filter_map(|file| Some(file.as_str()?.to_owned())).collect());
    let files = files.ok_or(
        "holds a model, but its config.json does not list its files, so that dozen does not replace it",
    )?;
    let there = files_below(folder).map_err(|error| format!("cannot be looked through: {error}"))?;
    match there.iter().find(|file| !files.contains(*file)) {
        None => Ok(family.to_owned()),
        Some(foreign) => Err(format!("also holds `{foreign}`, which dozen did not write; move that away")),
    }
}

/// Removes what putting a model in its place may leave when the process is killed at its end.
fn tidy(out: &Path) -> Result<(), Error> {
    let run = out.join(RUN);
    if !run.exists() || !is_whole(out) {
        return Ok(());
    }
    let replaced = out.join(REPLACED);
    if replaced.exists() {
        // Some of its files may be gone already; what is not in its list stays.
        let files: Value = read_json(&replaced.join(CONFIG)).unwrap_or_default();
        let mut files: Vec<&str> =
            files[FILES].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        files.retain(|file| *file != CONFIG);
        for file in files.into_iter().map(|file| replaced.join(file)).filter(|file| file.exists()) {
            disk::remove_file(&file).map_err(|e| Error::io("remove", &file, e))?;
        }
        for folder in entries(&replaced)?.into_iter().filter(|path| path.is_dir()) {
            // Those with anything left in them stay.
            let _ = disk::remove_folder(&folder);
        }
        let config = replaced.join(CONFIG);
        if entries(&replaced)?.iter().all(|path| *path == config) {
            if config.exists() {
                disk::remove_file(&config).map_err(|e| Error::io("remove", &config, e))?;
            }
            disk::remove_folder(&replaced).map_err(|e| Error::io("remove", &replaced, e))?;
        }
    }
    disk::remove_file(&run).map_err(|e| Error::io("remove", &run, e))
}

/// Whether a model's configuration lists all its files, which is written last.
fn is_whole(folder: &Path) -> bool {
    read_json::<Value>(&folder.join(CONFIG)).is_ok_and(|config| config[FILES].is_array())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is in a folder, in the order of names; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |e| Error::io("read", folder, e);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    found.sort();
    Ok(found)
}

/// All files below a folder, by their names from it.
fn files_below(folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        let name = name_of(&path);
        if path.is_dir() && !path.is_symlink() {
            let inner = files_below(&path)?;
            // An empty folder counts as well: it is somebody's.
            if inner.is_empty() {
                found.push(format!("{name}/"));
            }
            found.extend(inner.into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(name);
        }
    }
    Ok(found)
}

fn discard_temporaries(folder: &Path) -> Result<(), Error> {
    for path in entries(folder)?.into_iter().filter(|path| is_temporary(&name_of(path))) {
        disk::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    disk::rename(from, to).map_err(|e| Error::io("write", to, e))
}

fn remove(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    disk::remove_all(path).map_err(|e| Error::io("remove", path, e))
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_file(path, bytes).map_err(|e| Error::io("write", path, e))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::io("write", path, e.into()))?;
    write_bytes(path, (text + "\n").as_bytes())
}

/// Reads a JSON file of a folder.
///
/// # Errors
/// When it cannot be read, or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::folder(path, format!("cannot be understood: {e}")))
}
