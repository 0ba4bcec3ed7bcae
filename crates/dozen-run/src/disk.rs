//! Every change to the disk: files made, written and synced, names given and taken away.
//!
//! In builds with debug assertions the environment variable `DOZEN_FAULT` makes one of them the last, so that tests can
//! look at what is left: `end:N` ends the process at the N-th change (a write is cut in the middle), `full:N` lets the
//! N-th and all later ones that need room fail, as on a full disk, `fail:N` lets the N-th alone fail, and `interrupt:N` asks for
//! a stop at the N-th, as Ctrl-C does.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;

/// A change that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Needs room on the disk.
    Grows,
    /// Needs none.
    Moves,
}

/// Makes a folder and those above it.
pub fn make_folders(path: &Path) -> Result<()> {
    fault::before(Change::Grows)?;
    std::fs::create_dir_all(path)
}

/// Makes one folder.
pub fn make_folder(path: &Path) -> Result<()> {
    fault::before(Change::Grows)?;
    std::fs::create_dir(path)
}

/// Writes some of the bytes, and says how many.
pub fn write(file: &mut File, bytes: &[u8]) -> Result<usize> {
    if fault::ends_now() {
        let _ = file.write_all(&bytes[..bytes.len() / 2]);
        fault::end();
    }
    fault::before(Change::Grows)?;
    file.write(bytes)
}

/// Waits until a file's bytes are on the disk.
pub fn sync(file: &File) -> Result<()> {
    fault::before(Change::Grows)?;
    file.sync_all()
}

/// Waits until a folder's names are on the disk, where the system can be asked for that.
pub fn sync_folder(path: &Path) -> Result<()> {
    fault::before(Change::Moves)?;
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Renames a file or folder; a file or an empty folder of the new name goes.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fault::before(Change::Moves)?;
    std::fs::rename(from, to)
}

/// Removes a file.
pub fn remove_file(path: &Path) -> Result<()> {
    fault::before(Change::Moves)?;
    std::fs::remove_file(path)
}

/// Removes an empty folder.
pub fn remove_folder(path: &Path) -> Result<()> {
    fault::before(Change::Moves)?;
    std::fs::remove_dir(path)
}

/// Removes a folder with all that is in it, entry by entry; links are removed, not followed.
pub fn remove_all(path: &Path) -> Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove_all(&entry.path())? } else { remove_file(&entry.path())? }
    }
    remove_folder(path)
}

/// Syncs all files below a folder, and then the folders.
pub fn sync_all(path: &Path) -> Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_all(&entry.path())?;
        } else if kind.is_file() {
            sync(&File::open(entry.path())?)?;
        }
    }
    sync_folder(path)
}

#[cfg(debug_assertions)]
mod fault {
    use std::io::{Error, ErrorKind, Result};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Change;

    enum Fault {
        End(u64),
        Full(u64),
        Fail(u64),
        Interrupt(u64),
    }

    static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let text = std::env::var("DOZEN_FAULT").ok()?;
        let (kind, number) = text.split_once(':')?;
        let number = number.parse().ok()?;
        match kind {
            "end" => Some(Fault::End(number)),
            "full" => Some(Fault::Full(number)),
            "fail" => Some(Fault::Fail(number)),
            "interrupt" => Some(Fault::Interrupt(number)),
            _ => None,
        }
    });
    static DONE: AtomicU64 = AtomicU64::new(0);

    /// Whether the change that comes is to be the last.
    pub(super) fn ends_now() -> bool {
        matches!(*FAULT, Some(Fault::End(number)) if DONE.load(Ordering::SeqCst) + 1 == number)
    }

    /// As `kill -9` ends a process: nothing of it runs any more.
    pub(super) fn end() -> ! {
        // SAFETY: the call has no preconditions; it ends the process without running destructors or exit handlers.
        #[expect(unsafe_code, reason = "a C function")]
        unsafe {
            libc::_exit(99)
        }
    }

    pub(super) fn before(change: Change) -> Result<()> {
        let Some(fault) = &*FAULT else { return Ok(()) };
        let number = DONE.fetch_add(1, Ordering::SeqCst) + 1;
        match fault {
            Fault::End(end) if number == *end => end_here(),
            Fault::Full(from) if number >= *from && change == Change::Grows => Err(Error::new(
                ErrorKind::StorageFull,
                "no room is left (a fault that DOZEN_FAULT asked for)",
            )),
            Fault::Fail(at) if number == *at => {
                Err(Error::other("the disk does not answer (a fault that DOZEN_FAULT asked for)"))
            }
            Fault::Interrupt(at) if number == *at => {
                crate::request_interrupt(true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end_here() -> Result<()> {
        end()
    }
}

#[cfg(not(debug_assertions))]
mod fault {
    use super::Change;

    pub(super) fn ends_now() -> bool {
        false
    }

    pub(super) fn end() -> ! {
        unreachable!("faults are for builds with debug assertions")
    }

    #[expect(clippy::unnecessary_wraps, reason = "what tests make fail")]
    pub(super) fn before(_change: Change) -> std::io::Result<()> {
        Ok(())
    }
}
