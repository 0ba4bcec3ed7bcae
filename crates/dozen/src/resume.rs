//! `dozen NOUN train --resume DIR`: finds the run that was cut off, and the command line that began it.

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};
use dozen::nn::{Resumed, RunFolder};
use serde_json::json;

use crate::args::{Cli, Invocation};
use crate::begun::Begun;
use crate::context::Context;
use crate::output::{Failure, Results};

/// What is to be done: the command, or that of the run that it resumes; nothing where that run's model was whole already, and
/// is in its place now.
pub(crate) fn resume(invocation: Invocation) -> Result<Option<Invocation>, Failure> {
    let Some(folder) = resumed_folder(&invocation.matches) else { return Ok(Some(invocation)) };
    let context = &invocation.context;
    match RunFolder::resume(&folder)? {
        Resumed::Finished(out) => {
            let out = out.display().to_string();
            Results::new(json!({ "out": out, "resumed": false }))
                .line(format!("the run was finished; its model is in {out} now"))
                .print(context.json())?;
            Ok(None)
        }
        Resumed::Run(run) => {
            let begun = Begun::read(&run)?;
            let original = Invocation::parse(begun.arguments)?;
            agree(&invocation.matches, &original.matches, &begun.directory)?;
            enter(&begun.directory, context);
            context.progress().say(&if run.has_checkpoint() {
                format!("going on from the checkpoint in {}", run.last().display())
            } else {
                "no checkpoint had been written; beginning again".to_owned()
            });
            let context = context.resuming(&original.context, run);
            Ok(Some(Invocation { context, ..original }))
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
const FREE: [&str; 8] =
    ["resume", "json", "quiet", "threads", "max_pixels", "config", "overwrite", "checkpoint_every"];

/// A run goes on with its own flags: what is given beside `--resume` must be what it was begun with.
fn agree(given: &ArgMatches, original: &ArgMatches, directory: &Path) -> Result<(), Failure> {
    let ((words, given), (original_words, original)) = (leaf(given), leaf(original));
    if words != original_words {
        let begun = original_words.join(" ");
        return Err(Failure::request(format!(
            "that run was begun by `dozen {begun}`; resume it with that command"
        )));
    }
    let differs = |argument: &clap::Arg| {
        let id = argument.get_id().as_str();
        let typed = given.value_source(id) == Some(ValueSource::CommandLine);
        let (now, then) = (values(given, id), values(original, id));
        let same_files = || {
            let place = |path: &PathBuf, from: &Path| from.join(path).canonicalize().ok();
            let here = std::env::current_dir().unwrap_or_default();
            now.len() == then.len()
                && now.iter().zip(&then).all(|(now, then)| {
                    now == then || place(now, &here).is_some_and(|now| Some(now) == place(then, directory))
                })
        };
        typed && !FREE.contains(&id) && now != then && !same_files()
    };
    let of_command = arguments(&words);
    let differing: Vec<String> = of_command.iter().filter(|argument| differs(argument)).map(named).collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Failure::request(format!(
        "--resume goes on with the data and flags that the run was begun with, and here these differ: {}; leave them out, or \
         train anew with another --out",
        differing.join(", ")
    )))
}

/// How to go on with a training that failed, if it has a checkpoint.
pub(crate) fn advice(matches: &ArgMatches) -> Option<String> {
    let (words, leaf) = leaf(matches);
    let out = values(leaf, "checkpoint_every").first().and_then(|_| values(leaf, "out").pop())?;
    let out = std::path::absolute(out).ok().filter(|out| RunFolder::is_unfinished(out))?;
    Some(format!(
        "its last checkpoint is whole; `dozen {} --resume {}` goes on from it",
        words.join(" "),
        out.display()
    ))
}

/// An output that is also an input would be gone with it.
pub(crate) fn keep_inputs(matches: &ArgMatches) -> Result<(), Failure> {
    let (words, leaf) = leaf(matches);
    let file = |path: &PathBuf| path.is_file().then(|| path.canonicalize().ok()).flatten();
    let outputs: Vec<PathBuf> = values(leaf, "out").iter().filter_map(file).collect();
    if outputs.is_empty() {
        return Ok(());
    }
    for argument in arguments(&words).iter().filter(|argument| argument.get_id() != "out") {
        let input = values(leaf, argument.get_id().as_str())
            .into_iter()
            .find(|path| file(path).is_some_and(|path| outputs.contains(&path)));
        if let Some(input) = input {
            return Err(Failure::request(format!(
                "`{}` is an input and the --out as well; write to another file",
                input.display()
            )));
        }
    }
    Ok(())
}

/// The arguments of a command by its words. Those of `ArgMatches::ids` have groups among them, whose values are names.
fn arguments(words: &[&str]) -> Vec<clap::Arg> {
    let mut command = Cli::command();
    command.build();
    let command = words.iter().try_fold(&command, |command, word| command.find_subcommand(word));
    command.into_iter().flat_map(clap::Command::get_arguments).cloned().collect()
}

/// The values of an argument; a folder's without slashes at its end.
fn values(matches: &ArgMatches, id: &str) -> Vec<PathBuf> {
    let raw = matches.try_get_raw(id).ok().flatten();
    raw.into_iter().flatten().map(|value| Path::new(value).components().collect()).collect()
}

/// As it is typed: `--epochs`, or DATA.
fn named(argument: &clap::Arg) -> String {
    let place = || argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    argument.get_long().map(|long| format!("--{long}")).or_else(place).unwrap_or_default()
}
