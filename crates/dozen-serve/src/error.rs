//! Why a server cannot run.

use std::net::SocketAddr;

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two models of one name, or a name that is no part of an address.
    #[error("{0}")]
    Name(String),
    /// The address is taken or not allowed.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The server's own threads cannot be started.
    #[error("cannot serve: {0}")]
    Run(#[from] std::io::Error),
}
