//! The `dozen` program.

mod args;
mod begun;
mod codes;
mod columns;
mod commands;
mod context;
mod data;
mod made_rows;
mod output;
mod pictures;
mod resume;
mod texts;
mod tour_stop;
mod training;

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;

use dozen::run::install_interrupt_handler;

use crate::args::{Command, Invocation};
use crate::output::Failure;

/// Tensors come and go many times a second; the system's allocator would give their pages back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the allocator keeps freed pages before it gives them back, in milliseconds: longer than a training step takes,
/// or each step would fetch zeroed pages anew.
const KEEP_PAGES: std::ffi::c_long = 10_000;

fn main() -> ExitCode {
    /// `mi_option_purge_delay` of mimalloc.h, version 3.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: the call stores a number among the allocator's options, and no other thread runs yet.
    #[expect(unsafe_code, reason = "a C function")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_PAGES);
    }
    std::panic::set_hook(Box::new(say_fault));
    // A failure before the flags are known is told by them as they stand.
    let mut as_json = std::env::args_os().any(|argument| argument == "--json");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let invocation = Invocation::from_environment()?;
        as_json = invocation.context.json();
        output::expect_json(as_json);
        run(invocation)
    }));
    match outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(as_json),
    }
}

/// What a fault of the program is told as.
fn panicked(panic: &(dyn Any + Send)) -> Failure {
    Failure::Fault(format!(
        "a fault of dozen {}, not of your request: {}. Please report this with the command that you gave",
        env!("CARGO_PKG_VERSION"),
        dozen::run::message(panic)
    ))
}

/// Says where a panic was, unless what panicked was given broken input and is caught.
fn say_fault(panic: &PanicHookInfo) {
    if dozen::run::is_guarded() {
        return;
    }
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    dozen::run::say(&format!("panicked at {place}: {}", dozen::run::message(panic.payload())));
}

fn run(invocation: Invocation) -> Result<(), Failure> {
    let Some(Invocation { command, context, matches }) = resume::resume(invocation)? else {
        return Ok(());
    };
    context.set_limits()?;
    resume::keep_inputs(&matches)?;
    if let Command::Serve(arguments) = command {
        // Models have pools of their own; a thread of this one would wait in vain where it is the only one.
        return commands::serve::run(&arguments, &context);
    }
    if !matches!(command, Command::Sql(_)) {
        install_interrupt_handler(output::say_interrupted);
    }
    // On a thread of the pool: a kernel then starts without waking another thread and waiting for it.
    let outcome = catch_unwind(AssertUnwindSafe(|| rayon::scope(|_| command.run(&context))));
    outcome
        .unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
        .map_err(|failure| failure.advise(resume::advice(&matches)))
}
