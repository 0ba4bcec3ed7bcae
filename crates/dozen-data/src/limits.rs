//! What is believed of a file before its bytes have proved it, so that a small file cannot take the memory of a large one.

use std::io::{BufRead, Error, ErrorKind, Read, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::DataError;
use crate::source::Stream;

/// The most columns of a table: those of a color image of 1182 x 1182 pixels.
pub(crate) const MOST_COLUMNS: usize = 1 << 22;

/// The most bytes of a line, or of a record of quoted cells.
pub(crate) const LONGEST_LINE: usize = 1 << 26;

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
