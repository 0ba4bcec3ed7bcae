//! What a request may cost.

use std::time::Duration;

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Rows that are asked for or given.
    pub rows: usize,
    /// Pixels of a picture.
    pub pixels: usize,
    /// From the last byte of a request to its answer, and for its body to arrive.
    pub time: Duration,
    /// Requests that wait for one model.
    pub queue: usize,
    /// Values in a body of JSON: numbers, texts, arrays and objects.
    pub cells: usize,
    /// Bytes of all bodies that have arrived and are not answered, and again of large answers that are not taken.
    pub memory: usize,
    /// Connections that are open at once; the one that does nothing for the longest time gives way to a new one.
    pub connections: usize,
    /// For what was begun to end after the server is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 16 << 20,
            rows: 10_000,
            pixels: 100_000_000,
            time: Duration::from_secs(30),
            queue: 64,
            cells: 1_000_000,
            memory: 256 << 20,
            connections: 512,
            drain: Duration::from_secs(10),
        }
    }
}
