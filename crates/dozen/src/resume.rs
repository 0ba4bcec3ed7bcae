//! `dozen NOUN train --resume DIR`: finds the run that was cut off, and the command line that began it.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use dozen::data::Fingerprint;
use dozen::nn::{Resumed, RunFolder};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::{Context, Invocation};
use crate::output::{Failure, Results};

/// The file in an unfinished run that says how it was begun.
const ARGUMENTS: &str = "arguments.json";

/// How a run was begun.
#[derive(Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The command line, `--config` resolved.
    arguments: Vec<String>,
    /// The folder that paths on it are relative to.
    directory: PathBuf,
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

/// What becomes of a command line that may resume a run.
pub(crate) enum Resumption {
    /// Nothing is resumed, or the run and its own command line.
    Run(Invocation),
    /// The model was whole already, and is in its place now.
    Finished,
}

/// Finds the run, if this is a command that resumes one.
pub(crate) fn resume(invocation: Invocation) -> Result<Resumption, Failure> {
    let Some(folder) = resumed_folder(&invocation.matches) else { return Ok(Resumption::Run(invocation)) };
    let context = &invocation.context;
    match RunFolder::resume(&folder)? {
        Resumed::Finished(out) => {
            let out = out.display().to_string();
            Results::new(json!({ "out": out, "resumed": false }))
                .line(format!("the run was finished; its model is in {out} now"))
                .print(context.json())?;
            Ok(Resumption::Finished)
        }
        Resumed::Run(run) => {
            let begun = Begun::read(&run)?;
            let original = Invocation::parse(begun.arguments)?;
            agree(&invocation.matches, &original.matches)?;
            enter(&begun.directory, context);
            context.progress().say(&if run.has_checkpoint() {
                format!("going on from the checkpoint in {}", run.last().display())
            } else {
                "no checkpoint had been written; beginning again".to_owned()
            });
            let context = context.resuming(&original.context, run);
            Ok(Resumption::Run(Invocation { context, ..original }))
        }
    }
}

/// DIR of `--resume DIR`.
fn resumed_folder(matches: &ArgMatches) -> Option<PathBuf> {
    let (_, leaf) = leaf(matches);
    leaf.try_get_one::<PathBuf>("resume").ok().flatten().cloned()
}

/// The words of the command, and the arguments of the last of them.
fn leaf(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let (mut words, mut matches) = (Vec::new(), matches);
    while let Some((word, inner)) = matches.subcommand() {
        words.push(word);
        matches = inner;
    }
    (words, matches)
}

/// Paths on the command line are relative to where it was given.
fn enter(directory: &Path, context: &Context) {
    if std::env::current_dir().is_ok_and(|here| here != *directory)
        && std::env::set_current_dir(directory).is_ok()
    {
        context.progress().say(&format!("in {}, where the run was begun", directory.display()));
    }
}

/// What may differ when a run is resumed.
const FREE: [&str; 6] = ["resume", "json", "quiet", "threads", "config", "overwrite"];

/// A run goes on with its own flags: what is given beside `--resume` must be what it was begun with.
fn agree(given: &ArgMatches, original: &ArgMatches) -> Result<(), Failure> {
    let ((words, given), (original_words, original)) = (leaf(given), leaf(original));
    if words != original_words {
        return Err(Failure::request(format!(
            "that run was begun by `dozen {}`; resume it so",
            original_words.join(" ")
        )));
    }
    let mut differing = Vec::new();
    for id in given.ids().map(clap::Id::as_str).filter(|id| !FREE.contains(id)) {
        if given.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let raw = |matches: &ArgMatches| -> Option<Vec<String>> {
            let values = matches.try_get_raw(id).ok()??;
            Some(values.map(|value| value.to_string_lossy().into_owned()).collect())
        };
        let (now, then) = (raw(given), raw(original));
        // A group of flags has no values of its own.
        if now.is_some() && now != then && !same_path(id, &now, &then) {
            differing.push(named(id));
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    let these = if differing.len() == 1 { "is" } else { "are" };
    Err(Failure::request(format!(
        "--resume goes on with the flags that the run was begun with, and {} {these} not among them so; leave out what differs, or train \
         anew into another --out",
        differing.join(", ")
    )))
}

/// `m/` is `m`.
fn same_path(id: &str, now: &Option<Vec<String>>, then: &Option<Vec<String>>) -> bool {
    let path = |value: &Option<Vec<String>>| -> Option<PathBuf> {
        Some(Path::new(value.as_ref()?.first()?).components().collect())
    };
    id == "out" && path(now) == path(then)
}

/// As it is typed: flags by their long names, DATA in capitals.
fn named(id: &str) -> String {
    if ["data", "texts", "files"].contains(&id) {
        id.to_uppercase()
    } else {
        format!("--{}", id.replace('_', "-"))
    }
}
