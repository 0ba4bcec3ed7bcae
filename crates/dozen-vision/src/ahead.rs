//! What the next step needs, made while this one runs.

use std::sync::mpsc::{Receiver, channel};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Things on their way, by the seeds of the steps that need them. They are made on threads of their own: a step waits for them on a thread of the common pool, which may be its only one.
pub(crate) struct Ahead<T> {
    pool: Option<ThreadPool>,
    coming: Vec<(u64, Receiver<T>)>,
}

impl<T: Send + 'static> Ahead<T> {
    /// With as many threads as the common pool has.
    pub(crate) fn new() -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build();
        // Without threads everything is made when it is needed.
        Self { pool: pool.ok(), coming: Vec::new() }
    }

    /// Begins to make what the step with this seed needs.
    pub(crate) fn begin(&mut self, seed: u64, make: impl FnOnce() -> T + Send + 'static) {
        let Some(pool) = &self.pool else { return };
        let (sender, receiver) = channel();
        pool.spawn(move || {
            // Nobody waits any more when training has ended.
            let _ = sender.send(make());
        });
        self.coming.push((seed, receiver));
    }

    /// What was begun for a step, or else what is made now.
    pub(crate) fn take(&mut self, seed: u64, make: impl FnOnce() -> T) -> T {
        let begun = self.coming.iter().position(|(other, _)| *other == seed);
        let made = begun.and_then(|at| self.coming.swap_remove(at).1.recv().ok());
        made.unwrap_or_else(make)
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn a_pool_of_one_thread_is_not_waited_for_in_vain() {
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let sum = pool.install(|| {
            let mut ahead = Ahead::new();
            ahead.begin(7, || (0..1000_u64).into_par_iter().sum::<u64>());
            ahead.take(7, || 0) + ahead.take(8, || 1)
        });
        assert_eq!(sum, 499_501);
    }
}
