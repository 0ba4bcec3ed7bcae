//! How a training run was begun, which resuming it needs.

use std::path::PathBuf;

use dozen::data::Fingerprint;
use dozen::nn::RunFolder;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::output::Failure;

/// The file in an unfinished run that says how it was begun.
const ARGUMENTS: &str = "arguments.json";

/// How a run was begun.
#[derive(Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The command line, `--config` resolved.
    pub(crate) arguments: Vec<String>,
    /// The folder that paths on it are relative to.
    pub(crate) directory: PathBuf,
    /// The files that it learns from.
    data: Vec<Fingerprint>,
}

impl Begun {
    /// A run that begins now.
    pub(crate) fn now(context: &Context) -> Self {
        let directory = std::env::current_dir().unwrap_or_default();
        Self { arguments: context.arguments.clone(), directory, data: Vec::new() }
    }

    pub(crate) fn read(run: &RunFolder) -> Result<Self, Failure> {
        run.read_json(ARGUMENTS).map_err(|_| {
            Failure::request(format!(
                "the run that was to become `{}` was ended before it began; give its command again",
                run.out().display()
            ))
        })
    }

    pub(crate) fn write(&self, run: &RunFolder) -> Result<(), Failure> {
        Ok(run.write_json(ARGUMENTS, self)?)
    }

    /// Notes the files that the run learns from; a run that is resumed must find them as they were.
    pub(crate) fn learns_from(run: &RunFolder, data: &[Fingerprint]) -> Result<(), Failure> {
        let mut begun = Self::read(run)?;
        if run.has_checkpoint() {
            let changed = begun.data.iter().zip(data).find(|(then, now)| then != now);
            return match changed {
                Some((then, _)) => Err(Failure::request(format!(
                    "`{}` is not what it was when the run began; give it back its content, or begin anew with --overwrite",
                    then.file
                ))),
                None => Ok(()),
            };
        }
        begun.data = data.to_vec();
        begun.write(run)
    }
}
