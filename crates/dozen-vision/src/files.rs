//! Files and folders, with errors that name them.

use std::path::{Component, Path, PathBuf};

use dozen_nn::Error;

/// Names that pictures end with.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "webp"];

/// Whether a file's name is that of a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// A name from a file as a path below a folder: it may not lead out of it.
///
/// # Errors
/// When it is absolute or climbs.
pub(crate) fn below(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let outside =
        Path::new(name).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    // Backslashes are how another system climbs, and the same folder may be read there.
    if outside || name.split('\\').any(|part| part == "..") {
        return Err(Error::Request(format!(
            "the name `{name}` leads out of `{}`; names of images are to be relative to their folder",
            folder.display()
        )));
    }
    Ok(folder.join(name))
}

/// What is in a folder, in the order of the names.
pub(crate) fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths =
        entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, Error>>()?;
    paths.sort();
    Ok(paths)
}

/// The pictures in a folder, by their names.
///
/// # Errors
/// When it cannot be read.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(sorted(folder)?.into_iter().filter(|path| is_picture(path)).collect())
}

/// A file's text.
pub(crate) fn text_of(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Writes a file, and the folder that it is in.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    dozen_run::write_file(path, bytes).map_err(failed)
}
