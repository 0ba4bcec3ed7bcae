//! `dozen completions SHELL`.

use clap::Args;

use crate::output::{Failure, print_text};

/// For which shell.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// bash, zsh, fish, elvish or powershell
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &Arguments, mut program: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "dozen", &mut script);
    print_text(&String::from_utf8_lossy(&script))
}
