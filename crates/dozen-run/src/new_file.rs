//! A file that appears under its name when it is whole.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempPath;

use crate::disk;

/// A file under way: bytes go to a hidden file beside the one that it becomes, so that a failure, a refusal or a kill
/// leaves what was there. Dropped before [`NewFile::commit`], it leaves nothing.
///
/// What is no regular file (`/dev/stdout`, a pipe), and a file in a folder where no other can be made, is written in
/// place. A link stays one: the file that it leads to is replaced.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    way: Way,
}

#[derive(Debug)]
enum Way {
    InPlace,
    Beside { temporary: TempPath, target: PathBuf, replaces: Option<Permissions>, listed: Listed },
}

impl NewFile {
    /// Begins a file. Nothing changes under its name yet.
    ///
    /// # Errors
    /// When the folder is not there or cannot be written to, the name is a folder's, or the file is read-only.
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(file) = standard(path)? {
            return Ok(Self { file, way: Way::InPlace });
        }
        let target = if path.is_symlink() {
            path.canonicalize().unwrap_or_else(|_| path.to_owned())
        } else {
            path.to_owned()
        };
        let before = match std::fs::metadata(&target) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match &before {
            Some(metadata) if metadata.is_dir() => {
                return Err(Error::new(ErrorKind::IsADirectory, "this is a folder"));
            }
            Some(metadata) if !metadata.is_file() => return Self::in_place(&target),
            // A file that may not be written to may not be replaced either.
            Some(_) => drop(OpenOptions::new().write(true).open(&target)?),
            None => {}
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        match beside(folder, &name) {
            Ok((file, temporary)) => {
                let replaces = before.map(|metadata| metadata.permissions());
                let listed = Listed::new(&temporary);
                Ok(Self { file, way: Way::Beside { temporary, target, replaces, listed } })
            }
            Err(error) if before.is_some() && error.kind() == ErrorKind::PermissionDenied => {
                Self::in_place(&target)
            }
            Err(_) if !folder.exists() => {
                Err(Error::new(ErrorKind::NotFound, format!("there is no folder `{}`", folder.display())))
            }
            // Without the hidden file's name, which nobody knows.
            Err(error) => Err(Error::from(error.kind())),
        }
    }

    fn in_place(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).truncate(true).open(path)?;
        Ok(Self { file, way: Way::InPlace })
    }

    /// Gives the file its name. Where it takes the place of another, its bytes are on the disk before.
    pub fn commit(self) -> Result<()> {
        let Self { file, way } = self;
        let Way::Beside { temporary, target, replaces, listed: _listed } = way else { return Ok(()) };
        if let Some(permissions) = replaces {
            file.set_permissions(permissions)?;
            disk::sync(&file)?;
        }
        drop(file);
        match disk::rename(&temporary, &target) {
            // A file that a container has mounted can be written to, but its name cannot be given to another.
            Err(error) if matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::CrossesDevices) => {
                std::fs::copy(&temporary, &target).map(|_| ())
            }
            Err(error) => Err(error),
            Ok(()) => {
                crate::contents::note(&target);
                // The name is gone already: there is nothing to remove.
                let _ = temporary.keep();
                Ok(())
            }
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        disk::write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

/// The hidden files that this process has under way.
static LISTED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A hidden file's place in the list, for as long as it is there.
#[derive(Debug)]
struct Listed(PathBuf);

impl Listed {
    fn new(path: &Path) -> Self {
        LISTED.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        LISTED.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Removes the hidden files that this process has under way, for it ends.
#[cfg(feature = "interrupts")]
pub(crate) fn discard_all() {
    for path in LISTED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // One that has its name by now is not there any more; one that stays is in nobody's way.
        let _ = std::fs::remove_file(path);
    }
}

/// Standard output or standard error, where a path or the link that it is leads there: what stands in it already stays.
#[cfg(unix)]
fn standard(path: &Path) -> Result<Option<File>> {
    use std::os::fd::AsFd;
    let mut path = path.to_owned();
    // As many links as the system follows.
    for _ in 0..40 {
        let of = |number: u8| {
            ["/dev/fd/", "/proc/self/fd/"].iter().any(|place| path == Path::new(&format!("{place}{number}")))
        };
        let file = if path == Path::new("/dev/stdout") || of(1) {
            std::io::stdout().as_fd().try_clone_to_owned()?
        } else if path == Path::new("/dev/stderr") || of(2) {
            std::io::stderr().as_fd().try_clone_to_owned()?
        } else if let Ok(next) = path.read_link() {
            path = path.parent().unwrap_or(Path::new("")).join(next);
            continue;
        } else {
            return Ok(None);
        };
        return Ok(Some(file.into()));
    }
    Ok(None)
}

#[cfg(not(unix))]
fn standard(_path: &Path) -> Result<Option<File>> {
    Ok(None)
}

/// Files that a kill may have left: hidden, and named after the file that they were to become.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.strip_suffix(".tmp").is_some()
}

fn beside(folder: &Path, name: &str) -> Result<(File, TempPath)> {
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Less what the process's mask takes away, as for any new file.
        builder.permissions(Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder)?;
    Ok(file.into_parts())
}

/// Writes a whole file at once.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_until_all_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        write_file(&path, "old").unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        write_file(&path, "new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_permissions_and_devices_stay_what_they_are() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_file(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let new = folder.path().join("new");
        write_file(&new, "x").unwrap();
        assert_eq!(new.metadata().unwrap().permissions().mode() & 0o600, 0o600);
        write_file(Path::new("/dev/null"), "x").unwrap();
        assert!(write_file(folder.path(), "x").is_err());
        assert!(write_file(&folder.path().join("no/where"), "x").is_err());
    }
}
