//! What can go wrong around a model, in sentences.

use std::path::{Path, PathBuf};

/// A fault in training, in a model folder, or in what was asked of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data is at fault.
    #[error(transparent)]
    Data(#[from] dozen_data::DataError),
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder does not hold the model that is wanted.
    #[error("`{}` {problem}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The loss is no longer a finite number.
    #[error(
        "training stopped at step {step}: the {term} became {value}. A lower `rate` or a `clip_norm` of 1 usually helps; {}",
        match checkpoint {
            Some(folder) => format!("the last good checkpoint is in `{}`", folder.display()),
            None => "no checkpoint had been written".to_owned(),
        }
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// The name of the term of the loss.
        term: String,
        /// What it became.
        value: f64,
        /// Where a state before is kept, if one was.
        checkpoint: Option<PathBuf>,
    },
    /// Someone pressed Ctrl-C, or the system asked the program to end.
    #[error("stopped at step {step}; go on with --resume {}", folder.display())]
    Interrupted {
        /// The last step done.
        step: u64,
        /// The folder to resume.
        folder: PathBuf,
    },
    /// The request does not make sense.
    #[error("{0}")]
    Request(String),
    /// A setting has no sense, or does not go with another. Settings stand in backticks, by the names of the program's
    /// flags with underscores, and nothing else does.
    #[error("{0}")]
    Setting(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn folder(folder: &Path, problem: impl Into<String>) -> Self {
        Self::Folder { folder: folder.to_owned(), problem: problem.into() }
    }

    /// Whether the request or its input is at fault, rather than the run.
    pub fn is_request(&self) -> bool {
        match self {
            Self::Data(fault) => fault.is_request(),
            Self::Io { source, .. } => dozen_run::is_of_request(source),
            Self::Folder { .. } | Self::Request(_) | Self::Setting(_) => true,
            Self::NotFinite { .. } | Self::Interrupted { .. } => false,
        }
    }
}

impl From<dozen_run::Error> for Error {
    fn from(fault: dozen_run::Error) -> Self {
        match fault {
            dozen_run::Error::Io { action, path, source } => Self::Io { action, path, source },
            dozen_run::Error::Folder { folder, problem } => Self::Folder { folder, problem },
        }
    }
}
