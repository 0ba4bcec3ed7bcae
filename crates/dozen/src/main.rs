//! The `dozen` program.

mod args;
mod columns;
mod commands;
mod data;
mod examples;
mod output;
mod pictures;
mod texts;
mod training;

use std::process::ExitCode;

use crate::args::{Command, Context, Invocation};
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
    match Invocation::from_environment().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(invocation: Invocation) -> Result<(), Failure> {
    let Invocation { command, context } = invocation;
    context.set_threads()?;
    // On a thread of the pool: a kernel then starts without waking another thread and waiting for it.
    rayon::scope(|_| dispatch(command, &context))
}

fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Autoregressive(command) => commands::autoregressive::run(command, context),
        Command::Transport(command) => commands::transport::run(command, context),
        Command::Tokenizer(command) => commands::tokenizer::run(command, context),
        Command::Word2vec(command) => commands::word2vec::run(command, context),
        Command::Flow(command) => commands::flow::run(command, context),
        Command::Vae(command) => commands::vae::run(command, context),
        Command::Detector(command) => commands::detector::run(command, context),
        Command::Efficientnet(command) => commands::efficientnet::run(command, context),
        Command::Gan(command) => commands::gan::run(command, context),
        Command::Rnn(command) => commands::rnn::run(command, context),
        Command::Graph(command) => commands::graph::run(command, context),
        Command::Compare(arguments) => commands::compare::run(&arguments, context),
        Command::Tour(arguments) => commands::tour::run(&arguments, context),
        Command::Serve(arguments) => commands::serve::run(&arguments, context),
        Command::Sql(_) => commands::sql::run(context),
        Command::Make(arguments) => commands::make::run(&arguments, context),
        Command::Info(arguments) => commands::info::run(&arguments, context),
        Command::Man(arguments) => commands::man::run(&arguments, context),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments);
            Ok(())
        }
    }
}
