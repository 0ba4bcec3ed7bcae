//! What identifies a data file: its SHA-256, as `sha256sum` prints it.

use std::io::Read;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::DataError;
use crate::source::{open_file, split_key};

/// A data file's name, size and hash, kept in a model's `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Fingerprint {
    /// The path as the user named it.
    pub file: String,
    /// Size on disk.
    pub bytes: u64,
    /// Lower-case hexadecimal hash of the file as it lies on disk; what `sha256sum FILE` prints.
    pub sha256: String,
}

impl Fingerprint {
    /// Reads the file once and hashes it.
    pub fn of(path: &str) -> Result<Self, DataError> {
        let (file, _) = split_key(path);
        let mut reader = open_file(file)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let count = reader.read(&mut buffer).map_err(|e| DataError::read(file, e))?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as u64;
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { file: path.to_owned(), bytes, sha256 })
    }
}
