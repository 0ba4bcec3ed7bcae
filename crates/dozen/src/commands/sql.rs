//! `dozen sql`: a program of its own, so that this one is built without a query engine.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::context::Context;
use crate::output::Failure;

/// The program's name, beside this one or on the path.
const PROGRAM: &str = "dozen-sql";

/// What is handed on.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// A query or a command of `dozen-sql`, and its flags
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    _arguments: Vec<OsString>,
}

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    // As they were typed: flags of both programs would be taken for this one's.
    let handed_on = context.arguments.iter().skip_while(|argument| *argument != "sql").skip(1);
    let status = Command::new(beside()).args(handed_on).status().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::request(format!(
            "`{PROGRAM}` is not installed: queries have a program of their own; \
             `cargo install --path crates/dozen-datafusion` installs it"
        )),
        _ => Failure::Run(format!("cannot start `{PROGRAM}`: {error}")),
    })?;
    if status.success() { Ok(()) } else { Err(Failure::Ended(status.code().unwrap_or(1))) }
}

/// The program beside this one, or else its name alone, which is looked for on the path.
fn beside() -> PathBuf {
    let own = std::env::current_exe().ok();
    let there = own.map(|own| own.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)));
    there.filter(|path| path.is_file()).unwrap_or_else(|| PROGRAM.into())
}
