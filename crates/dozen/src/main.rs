//! The `dozen` program.

mod args;
mod commands;
mod data;
mod output;
mod training;

use std::process::ExitCode;

use crate::args::{Command, Invocation};
use crate::output::Failure;

/// Tensors come and go many times a second; the system's allocator would give their pages back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Invocation::from_environment().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(invocation: Invocation) -> Result<(), Failure> {
    let Invocation { command, context } = invocation;
    context.set_threads()?;
    match command {
        Command::Autoregressive(command) => commands::autoregressive::run(command, &context),
        Command::Tour(arguments) => commands::tour::run(&arguments, &context),
        Command::Make(arguments) => commands::make::run(&arguments, &context),
        Command::Info(arguments) => commands::info::run(&arguments, &context),
        Command::Completions(arguments) => {
            commands::completions::run(&arguments);
            Ok(())
        }
    }
}
