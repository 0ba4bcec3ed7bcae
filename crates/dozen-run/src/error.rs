//! What can go wrong around files and folders, in sentences.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A fault of the disk, or of what a folder holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or changed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder does not hold what is wanted, or holds what may not be touched.
    #[error("`{}` {problem}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the request or its input is at fault, rather than the machine.
    pub fn is_request(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_of_request(source),
            Self::Folder { .. } => true,
        }
    }

    pub(crate) fn folder(folder: &Path, problem: impl Into<String>) -> Self {
        Self::Folder { folder: folder.to_owned(), problem: problem.into() }
    }
}

/// Whether a fault of the system means that the request is wrong (it names a file that is not there, may not be read or
/// is broken) rather than that the machine failed (a full disk, a broken one).
pub fn is_of_request(fault: &std::io::Error) -> bool {
    matches!(
        fault.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::AlreadyExists
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidData
            | ErrorKind::UnexpectedEof
    )
}
