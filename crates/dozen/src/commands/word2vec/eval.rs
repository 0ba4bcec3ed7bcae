//! `dozen word2vec eval`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::text::word2vec::{
    AnalogyScore, Section, WordVectors, analogies, read_analogies, read_pairs, similarity,
};
use serde_json::{Value, json};

use super::model::open;
use super::query::Which;
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::texts::{as_text, read_all};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Files, or folders of .txt files, with lines of two words and a judgement
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    similarity: Vec<PathBuf>,
    /// A file of lines of four words in sections, such as questions-words.txt
    #[arg(long, value_name = "FILE")]
    analogies: Option<PathBuf>,
    /// Look only at so many of the first, most frequent words
    #[arg(long, default_value_t = 300_000, value_name = "N")]
    restrict: usize,
    /// Count unknown words against the vectors: a cosine of 0, an analogy not completed
    #[arg(long)]
    unknown_counts: bool,
    /// How candidates of analogies are scored
    #[arg(long, value_enum, default_value_t = AnalogyScore::CosAdd, value_name = "HOW")]
    score: AnalogyScore,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if arguments.similarity.is_empty() && arguments.analogies.is_none() {
        return Err(Failure::request("name files of judgements with --similarity, or one with --analogies"));
    }
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let mut json = json!({});
    let mut lines = Vec::new();
    if !arguments.similarity.is_empty() {
        let (values, said) = similarities(&vectors, arguments)?;
        json["similarity"] = values.into();
        lines.extend(said);
    }
    if let Some(file) = &arguments.analogies {
        let (values, said) = completed(&vectors, arguments, file)?;
        json["analogies"] = values;
        lines.extend(said);
    }
    json["seconds"] = started.elapsed().as_secs_f64().into();
    Results::new(json).lines(lines).print(context.json())
}

fn read(path: &Path) -> Result<(String, String), Failure> {
    let file = path.display().to_string();
    let bytes = read_all(&file)?;
    let text = as_text(&file, &bytes)?.to_owned();
    Ok((file, text))
}

fn similarities(vectors: &WordVectors, arguments: &Arguments) -> Result<(Vec<Value>, Vec<String>), Failure> {
    let mut files = Vec::new();
    for path in &arguments.similarity {
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .map_err(|error| Failure::request(format!("cannot read `{}`: {error}", path.display())))?;
            let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    let mut values = Vec::new();
    let mut lines = vec![format!("{:>9}  {:^16}  {:>11}  set", "Spearman", "95 %", "pairs found")];
    for path in files {
        let (file, text) = read(&path)?;
        let pairs = read_pairs(&file, &text)?;
        let found = similarity(vectors, &pairs, arguments.restrict, arguments.unknown_counts);
        let name = path.file_stem().map_or(file.clone(), |name| name.to_string_lossy().into_owned());
        lines.push(format!(
            "{:>9.4}  {:>7.4} {:>7.4}   {:>5}/{:<5}  {name}",
            found.spearman, found.interval[0], found.interval[1], found.found, found.pairs
        ));
        values.push(json!({
            "set": name,
            "spearman": found.spearman,
            "interval_95": found.interval,
            "pearson": found.pearson,
            "found": found.found,
            "pairs": found.pairs,
        }));
    }
    Ok((values, lines))
}

fn completed(
    vectors: &WordVectors,
    arguments: &Arguments,
    path: &Path,
) -> Result<(Value, Vec<String>), Failure> {
    let (file, text) = read(path)?;
    let questions = read_analogies(&file, &text)?;
    let mut sections = analogies(vectors, &questions, arguments.restrict, arguments.score);
    if arguments.unknown_counts {
        for section in &mut sections {
            section.known = section.questions;
        }
    }
    let sum = |name: &str, of: &dyn Fn(&Section) -> bool| {
        let of: Vec<&Section> = sections.iter().filter(|section| of(section)).collect();
        Section {
            name: name.into(),
            correct: of.iter().map(|section| section.correct).sum(),
            known: of.iter().map(|section| section.known).sum(),
            questions: of.iter().map(|section| section.questions).sum(),
        }
    };
    let syntactic = |section: &Section| section.name.starts_with("gram");
    let totals = [
        sum("semantic", &|section| !syntactic(section)),
        sum("syntactic", &syntactic),
        sum("all", &|_| true),
    ];
    let value = |section: &Section| {
        let known = section.known > 0;
        json!({
            "section": section.name,
            "accuracy": known.then(|| section.accuracy()),
            "interval_95": known.then(|| section.interval()),
            "correct": section.correct,
            "known": section.known,
            "questions": section.questions,
        })
    };
    let line = |section: &Section| {
        let [low, high] = if section.known > 0 { section.interval() } else { [f64::NAN; 2] };
        let Section { correct, known, questions, name } = section;
        let accuracy = section.accuracy();
        format!("{accuracy:>9.4}  {low:>7.4} {high:>7.4}   {correct:>5}/{known:<5}  {name}, of {questions}")
    };
    let mut lines = vec![format!("{:>9}  {:^16}  {:>11}  analogies", "right", "95 %", "of known")];
    let shown = totals.iter().filter(|total| total.questions > 0);
    lines.extend(sections.iter().chain(shown).map(line));
    let [semantic, syntactic, all] = totals.each_ref().map(value);
    let json = json!({
        "sections": sections.iter().map(value).collect::<Vec<_>>(),
        "semantic": semantic,
        "syntactic": syntactic,
        "all": all,
    });
    Ok((json, lines))
}
