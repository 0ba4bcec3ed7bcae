//! Ctrl-C during training: the first asks the loop to save and stop, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C ask for a stop after the current step. Later calls do nothing.
pub fn install_interrupt_handler() {
    // A second handler in one process is refused; the first serves.
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether a stop was asked for.
pub fn interrupt_requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Asks for a stop, as Ctrl-C does; `false` takes it back.
pub fn request_interrupt(requested: bool) {
    REQUESTED.store(requested, Ordering::SeqCst);
}
