//! When a checkpoint is due.

use std::time::{Duration, Instant};

/// Says when the next checkpoint is due: some time after the last, and so rarely that writing them takes at most a
/// twentieth of the time.
#[derive(Debug)]
pub struct Checkpoints {
    every: Duration,
    saved: Instant,
    took: Duration,
}

/// A checkpoint that took a second is followed by so many seconds without one.
const REST: u32 = 20;

impl Checkpoints {
    /// The first is due after `every`; with none, after each step.
    pub fn every(every: Duration) -> Self {
        Self { every, saved: Instant::now(), took: Duration::ZERO }
    }

    /// Whether one is due.
    pub fn due(&self) -> bool {
        self.every.is_zero() || self.saved.elapsed() >= self.every.max(self.took * REST)
    }

    /// Writes one, and notes how long that took.
    pub fn write<T>(&mut self, write: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let written = write();
        (self.saved, self.took) = (Instant::now(), begun.elapsed());
        written
    }
}
