//! How much may come of packed bytes, so that a small file cannot unpack to the memory of a large one.

use std::io::{BufRead, Error, ErrorKind, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is packed may become so many bytes in any case ...
const UNPACKED: u64 = 1 << 29;
/// ... and beyond that as many times its own size, which no data comes near that says anything.
const RATIO: u64 = 100;

/// How many bytes may come of so many packed ones.
pub(crate) fn most_unpacked(packed: u64) -> u64 {
    UNPACKED.max(packed.saturating_mul(RATIO))
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("it unpacks to more than {RATIO} times its size; if that is meant, unpack it first"),
    )
}

/// Counts the bytes that are taken from a packed file.
pub(crate) struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: BufRead> Counted<R> {
    /// With the counter, for what unpacks it.
    pub(crate) fn new(inner: R) -> (Self, Arc<AtomicU64>) {
        let taken = Arc::new(AtomicU64::new(0));
        (Self { inner, taken: Arc::clone(&taken) }, taken)
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(to)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        self.inner.consume(count);
    }
}

/// Ends with an error where far more comes out than went in.
pub(crate) struct Unpacked<R> {
    pub(crate) inner: R,
    pub(crate) taken: Arc<AtomicU64>,
    pub(crate) given: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(to)?;
        self.given += count as u64;
        if self.given > most_unpacked(self.taken.load(Ordering::Relaxed)) {
            return Err(too_large());
        }
        Ok(count)
    }
}

/// Reads a packed entry whole, whose packed size is known.
pub(crate) fn read_entry(entry: impl Read, packed: u64, says: u64) -> Result<Vec<u8>> {
    let most = most_unpacked(packed);
    if says > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}
