//! What can be wrong.

/// A mistake in a request, a file or a text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read `{file}`: {source}")]
    Io {
        /// Which.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{file}`: {source}")]
    Write {
        /// Which.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A model folder is not what it should be, or cannot be written.
    #[error(transparent)]
    Folder(#[from] dozen_run::Error),
    /// A file is not what it should be.
    #[error("{file}: {problem}")]
    Format {
        /// Which.
        file: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// Tokens do not make a vocabulary.
    #[error("{0}")]
    Vocabulary(String),
    /// The text is not UTF-8, and what was asked for needs text.
    #[error("byte {at} is not UTF-8; encode the text as UTF-8, or encode its bytes as they are")]
    NotText {
        /// The first byte that is wrong.
        at: usize,
    },
    /// A special token stands in ordinary text.
    #[error(
        "the text holds the special token `{token}` at byte {at}; allow it by name, or say that special tokens are ordinary text"
    )]
    Special {
        /// The token.
        token: String,
        /// Where.
        at: usize,
    },
    /// No token has this id.
    #[error("id {id} at place {at} is no token; ids are below {size}")]
    NoSuchId {
        /// The id.
        id: u32,
        /// Its place in the list.
        at: usize,
        /// One more than the greatest id.
        size: usize,
    },
    /// A request that cannot be met.
    #[error("{0}")]
    Request(String),
}

impl Error {
    /// Whether the request or its input is at fault, rather than the machine.
    pub fn is_request(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Write { source, .. } => dozen_run::is_of_request(source),
            Self::Folder(fault) => fault.is_request(),
            _ => true,
        }
    }
}
