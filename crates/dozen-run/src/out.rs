//! The folder that a command is to write, by one name.

use std::path::{Component, Path, PathBuf};

use crate::Error;

/// What was typed, and where that is.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    /// As it was typed, less slashes at its end: for messages.
    pub(crate) shown: PathBuf,
    /// Absolute, without links, `.` and `..`.
    pub(crate) path: PathBuf,
}

impl Out {
    /// # Errors
    /// When it has no name of its own (`/`), is the folder that the program runs in or one above it, leads through a
    /// file, or is a link to nothing.
    pub(crate) fn new(typed: &Path) -> Result<Self, Error> {
        let shown: PathBuf = typed.components().collect();
        let path = resolved(&shown)?;
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        if path.file_name().is_none() || here.is_ok_and(|here| here.starts_with(&path)) {
            return Err(Error::folder(
                &shown,
                "is the folder that this program runs in, or one above it; name a folder in it",
            ));
        }
        Ok(Self { shown, path })
    }

    /// The neighbour of this name and an ending.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    }
}

/// The part that exists without links, and what follows it by its names.
fn resolved(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(|source| Error::io("find", path, source))?;
    let mut found = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                found.pop();
            }
            Component::CurDir => {}
            other => {
                found.push(other);
                if found.is_symlink() {
                    found = found.canonicalize().map_err(|_| {
                        Error::folder(path, format!("leads through `{}`, a link to nothing", found.display()))
                    })?;
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_has_one_name() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let of = |path: &Path| Out::new(path).unwrap().path;
        let wanted = root.join("a/m");
        for typed in ["a/m", "a/m/", "a//m//", "a/./m", "a/b/../m", "a/new/../m/."] {
            assert_eq!(of(&root.join(typed)), wanted, "{typed}");
        }
        assert_eq!(Out::new(&root.join("a/m//")).unwrap().shown, wanted);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
            assert_eq!(of(&root.join("link/../m")), wanted);
            assert_eq!(of(&root.join("link")), root.join("a/b"));
            std::os::unix::fs::symlink(root.join("gone"), root.join("lost")).unwrap();
            assert!(Out::new(&root.join("lost")).unwrap_err().to_string().contains("a link to nothing"));
        }
        for typed in [".", "..", "/", "../.."] {
            assert!(Out::new(Path::new(typed)).is_err(), "{typed}");
        }
    }
}
