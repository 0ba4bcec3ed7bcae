//! Ctrl-C and SIGTERM: while work is finished up the first asks it to save and stop, the second ends the program.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);
/// Pieces of work that look at [`interrupt_requested`].
static FINISHING: AtomicUsize = AtomicUsize::new(0);

/// The exit code of a program that was interrupted.
#[cfg(feature = "interrupts")]
const INTERRUPTED: i32 = 130;

/// While it lives, an interrupt is a request that the work looks at; else it ends the program, whose files are whole
/// whenever that is.
#[derive(Debug)]
pub struct Finishing(());

impl Finishing {
    /// Work begins that looks at [`interrupt_requested`] again and again.
    pub fn begin() -> Self {
        FINISHING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        FINISHING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes Ctrl-C, SIGTERM and a terminal that is closed ask for a stop after the current step. What the process was
/// started to ignore (`nohup`, a script's `&`) it goes on ignoring. Where no work is to be saved the process ends with the code
/// 130, after `ends`, which may say so. Later calls do nothing.
#[cfg(feature = "interrupts")]
pub fn install_interrupt_handler(ends: fn()) {
    let ignored = ignored::signals();
    // A second handler in one process is refused; the first serves.
    let installed = ctrlc::set_handler(move || {
        let again = REQUESTED.swap(true, Ordering::SeqCst);
        if again || FINISHING.load(Ordering::SeqCst) == 0 {
            crate::new_file::discard_all();
            ends();
            std::process::exit(INTERRUPTED);
        }
        crate::say("stopping after this step; once more ends the program at once");
    });
    if installed.is_ok() {
        ignored::restore(&ignored);
    }
}

/// Whether a stop was asked for.
pub fn interrupt_requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Asks for a stop, as Ctrl-C does; `false` takes it back.
pub fn request_interrupt(requested: bool) {
    REQUESTED.store(requested, Ordering::SeqCst);
}

#[cfg(all(unix, feature = "interrupts"))]
mod ignored {
    use libc::{SIG_IGN, SIGHUP, SIGINT, c_int};

    /// Those of the signals that are handled which the process was started to ignore.
    pub(super) fn signals() -> Vec<c_int> {
        [SIGHUP, SIGINT].into_iter().filter(|&signal| is_ignored(signal)).collect()
    }

    #[expect(unsafe_code, reason = "the standard library does not say what is done about a signal")]
    fn is_ignored(signal: c_int) -> bool {
        // SAFETY: all zeros is a value of this plain C struct.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: no new action is given, so that the call only writes the present one into `action`, which lives.
        let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        asked == 0 && action.sa_sigaction == SIG_IGN
    }

    /// Ignores them again.
    #[expect(unsafe_code, reason = "the standard library does not set what is done about a signal")]
    pub(super) fn restore(signals: &[c_int]) {
        for &signal in signals {
            // SAFETY: ignoring a signal runs no code of ours.
            unsafe { libc::signal(signal, SIG_IGN) };
        }
    }
}

#[cfg(all(not(unix), feature = "interrupts"))]
mod ignored {
    pub(super) fn signals() -> Vec<i32> {
        Vec::new()
    }

    pub(super) fn restore(_signals: &[i32]) {}
}
