//! What can be wrong with data, in sentences.

use std::path::PathBuf;

/// A fault in a file, in its contents, or in what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be opened, read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `open`, `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The contents are at fault.
    #[error("`{file}`{place}: {problem}")]
    Content {
        /// The file, as the user named it.
        file: String,
        /// Where in it: `, line 7, column `age``; empty for the whole file.
        place: String,
        /// What is wrong there and what to do.
        problem: String,
    },
    /// The request does not make sense for this data.
    #[error("{0}")]
    Request(String),
}

/// A cell or a word as a message quotes it: not all of it where it is long.
pub(crate) fn quoted(text: &[u8]) -> String {
    const MOST: usize = 60;
    let shown = String::from_utf8_lossy(&text[..text.len().min(4 * MOST)]);
    if shown.chars().count() <= MOST && text.len() <= 4 * MOST {
        return format!("`{shown}`");
    }
    let start: String = shown.chars().take(MOST).collect();
    format!("`{start}...` ({} bytes)", text.len())
}

impl DataError {
    pub(crate) fn content(file: &str, place: impl Into<String>, problem: impl Into<String>) -> Self {
        let place = place.into();
        Self::Content {
            file: file.to_owned(),
            place: if place.is_empty() { place } else { format!(", {place}") },
            problem: problem.into(),
        }
    }

    /// A file that cannot be read.
    pub fn read(path: &str, source: std::io::Error) -> Self {
        Self::Io { action: "read", path: path.into(), source }
    }

    /// Whether the request or its input is at fault, rather than the machine.
    pub fn is_request(&self) -> bool {
        match self {
            Self::Io { source, .. } => dozen_run::is_of_request(source),
            Self::Content { .. } | Self::Request(_) => true,
        }
    }

    /// A file that cannot be written.
    pub fn write(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { action: "write", path: path.to_owned(), source }
    }
}
