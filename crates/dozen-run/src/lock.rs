//! One writer at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Error;

/// A lock file that this process holds, until it is dropped or the process ends. A file that a kill left behind binds
/// nobody.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

/// Times that a lock is tried for while others take theirs away.
const TRIES: usize = 100;

impl Lock {
    /// Locks what `shown` names by the file at `path`.
    ///
    /// # Errors
    /// When another process has it: its number is named.
    pub fn take(path: PathBuf, shown: &Path) -> Result<Self, Error> {
        for _ in 0..TRIES {
            let failed = |source| Error::io("write", shown, source);
            if path.is_symlink() || (path.exists() && !path.is_file()) {
                return Err(in_the_way(&path));
            }
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    return Err(Error::folder(
                        shown,
                        format!(
                            "is being written by {}; wait until it is done, or choose another --out",
                            holder_of(&holder)
                        ),
                    ));
                }
                // A file system without locks: all else that keeps a folder whole still holds.
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // A file of this name that dozen did not write is somebody's.
            let mut found = Vec::new();
            let _ = (&file).take(NOTE_BYTES).read_to_end(&mut found);
            if !found.is_empty() && !found.starts_with(b"process ") {
                return Err(in_the_way(&path));
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let note = format!("process {}\n{now}\n", std::process::id());
            file.set_len(0)
                .and_then(|()| file.seek(SeekFrom::Start(0)))
                .and_then(|_| file.write_all(note.as_bytes()))
                .map_err(failed)?;
            // The one before may have removed the name between opening and locking: then this file is nobody's.
            if std::fs::read_to_string(&path).is_ok_and(|found| found == note) {
                return Ok(Self { path, file });
            }
        }
        Err(Error::folder(shown, "is locked and unlocked by other processes all the time; try again"))
    }
}

/// Bytes that a note has, at most.
const NOTE_BYTES: u64 = 100;

fn in_the_way(path: &Path) -> Error {
    Error::folder(
        path,
        "is in the way: dozen locks a run by a file of this name, and did not write this one; move it away, or choose another --out",
    )
}

fn holder_of(note: &str) -> String {
    match note.lines().next() {
        Some(line) if line.starts_with("process ") => line.to_owned(),
        _ => "another process".to_owned(),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held still, so that nobody's name is taken away.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
