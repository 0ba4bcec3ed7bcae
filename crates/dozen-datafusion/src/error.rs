//! What can go wrong.

use std::path::{Path, PathBuf};

use datafusion::error::DataFusionError;

/// Why a query, a plan or a cluster ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query is wrong, or the engine failed.
    #[error("{}", sentence(.0))]
    Query(#[from] DataFusionError),
    /// A cluster could not be reached or run.
    #[error("{0}")]
    Cluster(String),
    /// The request does not fit its data.
    #[error("{0}")]
    Request(String),
    /// A text, a vocabulary or a tokenizer.
    #[error(transparent)]
    Text(#[from] dozen_text::Error),
    /// A file.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::File { action: "write", path: path.into(), source }
    }
}

impl From<datafusion::parquet::errors::ParquetError> for Error {
    fn from(error: datafusion::parquet::errors::ParquetError) -> Self {
        Self::Query(error.into())
    }
}

/// The engine's message without the places in its own code.
fn sentence(error: &DataFusionError) -> String {
    error.strip_backtrace()
}
