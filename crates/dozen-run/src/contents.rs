//! What is in the folders of runs and models, and what of it dozen wrote.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::new_file::is_temporary;
use crate::{Error, disk, write_file};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const RUN: &str = "run.json";
pub(crate) const REPLACED: &str = "replaced";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The key of `config.json` under which all files of the folder are listed.
pub(crate) const FILES: &str = "files";

/// In a run's folder: the names of the files that dozen has written into it.
pub(crate) const WRITTEN: &str = "written.txt";

/// Notes a file that was written into a run's folder, so that what else is there is known to be somebody's.
pub(crate) fn note(file: &Path) {
    static NOTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let Some(folder) = file.parent().filter(|folder| folder.extension().is_some_and(|end| end == "partial"))
    else {
        return;
    };
    if !folder.join(RUN).exists()
        || !NOTED.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned())
    {
        return;
    }
    // Where the note cannot be written, the file counts as somebody's, and stays.
    let noted = OpenOptions::new().create(true).append(true).open(folder.join(WRITTEN));
    let _ = noted.and_then(|mut list| list.write_all(format!("{}\n", name_of(file)).as_bytes()));
}

/// The files of a run's folder that dozen wrote and that stay in the model's, and those that it did not write.
pub(crate) fn sorted_files(partial: &Path) -> Result<(Vec<String>, Vec<String>), Error> {
    let noted = std::fs::read_to_string(partial.join(WRITTEN)).unwrap_or_default();
    let noted: BTreeSet<&str> = noted.lines().collect();
    let mut files = files_below(partial)?;
    let inside =
        |file: &str, folder: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    files.retain(|file| {
        !(file == RUN
            || file == WRITTEN
            || inside(file, CHECKPOINTS)
            || inside(file, REPLACED)
            || is_temporary(file))
    });
    Ok(files.into_iter().partition(|file| noted.contains(file.as_str()) || is_of_every_run(file)))
}

/// Files that a run writes once, or that are written beside [`crate::NewFile`].
fn is_of_every_run(file: &str) -> bool {
    file == "arguments.json" || file.starts_with("events.out.tfevents.")
}

/// The family of a model folder that dozen wrote, with all that is in it.
///
/// # Errors
/// With what is wrong, when it is no model folder, or something else is in it, too.
pub(crate) fn family_of(folder: &Path) -> Result<String, String> {
    let config: Value = read_json(&folder.join(CONFIG))
        .map_err(|_| "is not empty and not a model folder of dozen; move it away".to_owned())?;
    let (Some(family), Some(_)) = (config["family"].as_str(), config["format"].as_u64()) else {
        return Err("is not empty and not a model folder of dozen; move it away".to_owned());
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
pub(crate) fn tidy(out: &Path) -> Result<(), Error> {
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
    let written = out.join(WRITTEN);
    if written.exists() {
        disk::remove_file(&written).map_err(|e| Error::io("remove", &written, e))?;
    }
    disk::remove_file(&run).map_err(|e| Error::io("remove", &run, e))
}

/// Whether a model's configuration lists all its files, which is written last.
pub(crate) fn is_whole(folder: &Path) -> bool {
    read_json::<Value>(&folder.join(CONFIG)).is_ok_and(|config| config[FILES].is_array())
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is in a folder, in the order of names; nothing where there is none.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
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
pub(crate) fn files_below(folder: &Path) -> Result<Vec<String>, Error> {
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

pub(crate) fn discard_temporaries(folder: &Path) -> Result<(), Error> {
    for path in entries(folder)?.into_iter().filter(|path| is_temporary(&name_of(path))) {
        disk::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
    }
    Ok(())
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    disk::rename(from, to).map_err(|e| Error::io("write", to, e))
}

pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    disk::remove_all(path).map_err(|e| Error::io("remove", path, e))
}

pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_file(path, bytes).map_err(|e| Error::io("write", path, e))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
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
