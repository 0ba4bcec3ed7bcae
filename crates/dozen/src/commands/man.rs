//! `dozen man DIR`.

use std::path::PathBuf;

use clap::Args;
use dozen::data::DataError;
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};

/// Where to.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder for the pages, as /usr/local/share/man/man1
    folder: PathBuf,
}

/// Writes a page for the program and for each of its commands.
pub(crate) fn run(arguments: &Arguments, program: clap::Command, context: &Context) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let failed = |error| DataError::write(folder, error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(program, folder).map_err(failed)?;
    let pages = std::fs::read_dir(folder).map_err(failed)?.count();
    let out = folder.display().to_string();
    let line = format!("{pages} pages in {out}; read one with: man {out}/dozen.1");
    Results::new(json!({ "pages": pages, "out": out })).line(line).print(context.json())
}
