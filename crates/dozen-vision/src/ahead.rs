//! What the next step needs, made while this one runs.

use std::thread::{JoinHandle, spawn};

/// Things on their way, by the seeds of the steps that need them.
pub(crate) struct Ahead<T>(Vec<(u64, JoinHandle<T>)>);

impl<T> Default for Ahead<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins to make what the step with this seed needs.
    pub(crate) fn begin(&mut self, seed: u64, make: impl FnOnce() -> T + Send + 'static) {
        self.0.push((seed, spawn(make)));
    }

    /// What was begun for a step, or else what is made now.
    pub(crate) fn take(&mut self, seed: u64, make: impl FnOnce() -> T) -> T {
        let begun = self.0.iter().position(|(other, _)| *other == seed);
        let made = begun.and_then(|at| self.0.swap_remove(at).1.join().ok());
        made.unwrap_or_else(make)
    }
}
