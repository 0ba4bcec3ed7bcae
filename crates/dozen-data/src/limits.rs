//! What is believed of a file before its bytes have proved it, so that a small file cannot take the memory of a large one.

use std::io::{BufRead, Error, ErrorKind, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::DataError;
use crate::source::Stream;

/// The most columns of a table: those of a color image of 1182 x 1182 pixels.
pub(crate) const MOST_COLUMNS: usize = 1 << 22;

/// The most bytes of a line, or of a record of quoted cells.
pub(crate) const LONGEST_LINE: usize = 1 << 26;

/// What is packed may become so many bytes in any case ...
const UNPACKED: u64 = 1 << 29;
/// ... and beyond that as many times its own size, which no data comes near that says anything.
const RATIO: u64 = 100;

/// Pixels of a picture, unless the program is told otherwise.
pub const MOST_PIXELS: usize = 100_000_000;

static PIXELS: AtomicUsize = AtomicUsize::new(MOST_PIXELS);

/// Sets how many pixels a picture may have in this process; larger ones are refused before they are decoded.
pub fn set_most_pixels(pixels: usize) {
    PIXELS.store(pixels, Ordering::Relaxed);
}

/// How many pixels a picture may have.
pub fn most_pixels() -> usize {
    PIXELS.load(Ordering::Relaxed)
}

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

/// Refuses a table of more columns than [`MOST_COLUMNS`].
pub(crate) fn check_columns(file: &str, columns: usize) -> std::result::Result<(), DataError> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let problem = format!("its rows have {columns} values, and at most {MOST_COLUMNS} are read as columns");
    Err(DataError::content(file, "", problem))
}

/// Refuses a graph whose header names far more nodes than its edges touch.
pub(crate) fn check_nodes(file: &str, nodes: usize, edges: usize) -> std::result::Result<(), DataError> {
    if nodes <= 64 * edges + (1 << 20) {
        return Ok(());
    }
    let problem = format!(
        "its header says {nodes} nodes for {edges} of edges, so that nearly all would be alone; is it damaged?"
    );
    Err(DataError::content(file, "", problem))
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

/// Reads exactly so many bytes, and takes memory only as they come; fewer if the stream ends before.
pub(crate) fn read_up_to(stream: &mut Stream, wanted: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(wanted.min(1 << 20));
    stream.by_ref().take(wanted as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads up to and with a byte, as `BufRead::read_until`, but no line longer than [`LONGEST_LINE`].
pub(crate) fn read_line(stream: &mut impl BufRead, line: &mut Vec<u8>) -> Result<usize> {
    let count = stream.take(LONGEST_LINE as u64 + 1).read_until(b'\n', line)?;
    if count > LONGEST_LINE {
        return Err(Error::new(ErrorKind::InvalidData, long_line()));
    }
    Ok(count)
}

pub(crate) fn long_line() -> String {
    format!("a line has more than {} MiB", LONGEST_LINE >> 20)
}

/// What a reader takes before it needs it.
const AHEAD: usize = 1 << 20;

/// A stream whose reader says when a record is done; one of more than [`LONGEST_LINE`] bytes is an error.
pub(crate) struct Records {
    inner: Stream,
    budget: usize,
}

impl Records {
    pub(crate) fn new(inner: Stream) -> Self {
        Self { inner, budget: LONGEST_LINE + AHEAD }
    }

    /// A record is done; what is buffered of the next ones counts for them.
    pub(crate) fn next(&mut self) {
        self.budget = LONGEST_LINE + AHEAD;
    }
}

impl Read for Records {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(to)?;
        self.budget =
            self.budget.checked_sub(count).ok_or_else(|| Error::new(ErrorKind::InvalidData, long_line()))?;
        Ok(count)
    }
}
