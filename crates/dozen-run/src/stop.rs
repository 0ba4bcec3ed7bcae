//! Work that nobody waits for any more ends at the next place where it looks.
//!
//! A server answers requests on threads of pools. Each thread is told once whose work it does ([`Wanted::enter`]); long
//! loops call [`stop_point`], which is nothing but a look at a flag, and which unwinds out of them when all that waited have
//! gone away. Where nobody was told of anything, as on the command line, work goes on to its end.

use std::any::Any;
use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Set when somebody who waited has gone away.
pub type Gone = Arc<AtomicBool>;

/// Those who wait for the work under way.
#[derive(Clone, Debug, Default)]
pub struct Wanted(Arc<RwLock<Vec<Gone>>>);

thread_local! {
    static WANTED: RefCell<Option<Wanted>> = const { RefCell::new(None) };
}

/// What an unwinding stop carries.
struct Stopped;

impl Wanted {
    /// Work begins that these wait for; it never stops early where there are none.
    pub fn by(&self, waiting: Vec<Gone>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// From now on this thread does this work.
    pub fn enter(&self) {
        WANTED.set(Some(self.clone()));
    }

    fn is_over(&self) -> bool {
        let waiting = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !waiting.is_empty() && waiting.iter().all(|gone| gone.load(Ordering::Relaxed))
    }
}

/// Ends the work of this thread if nobody waits for it any more, by unwinding to whoever began it.
pub fn stop_point() {
    let over = WANTED.with_borrow(|wanted| wanted.as_ref().is_some_and(Wanted::is_over));
    if over {
        resume_unwind(Box::new(Stopped));
    }
}

/// Whether a panic is the end of work that nobody waits for.
pub fn is_stop(panic: &(dyn Any + Send)) -> bool {
    panic.is::<Stopped>()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn work_stops_when_all_have_gone() {
        stop_point();
        let (wanted, gone) = (Wanted::default(), [Gone::default(), Gone::default()]);
        wanted.enter();
        stop_point();
        wanted.by(gone.to_vec());
        stop_point();
        gone[0].store(true, Ordering::Relaxed);
        stop_point();
        gone[1].store(true, Ordering::Relaxed);
        assert!(is_stop(catch_unwind(stop_point).unwrap_err().as_ref()));
        wanted.by(Vec::new());
        stop_point();
    }
}
