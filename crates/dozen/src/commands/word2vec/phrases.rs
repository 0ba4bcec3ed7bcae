//! `dozen word2vec phrases`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::write_with;
use dozen::text::word2vec::{Phrase, PhraseConfig, PhraseScore, PhraseText};
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};
use crate::texts::Texts;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    texts: Texts,
    /// The text to write, phrases joined by underscores
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How neighbours are scored
    #[arg(long, value_enum, default_value_t = PhraseScore::Original, value_name = "HOW")]
    score: PhraseScore,
    /// A phrase scores more than this; one number for each pass [default: 200,100, and 0.5 for npmi]
    #[arg(long, value_name = "T,...", value_delimiter = ',', allow_negative_numbers = true)]
    threshold: Vec<f64>,
    /// Both words and the pair occur at least so often
    #[arg(long, default_value_t = 5, value_name = "N")]
    min_count: u64,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let score = arguments.score;
    let thresholds = match (&arguments.threshold[..], arguments.score) {
        ([], PhraseScore::Original) => &[200.0, 100.0][..],
        ([], PhraseScore::Npmi) => &[0.5],
        (given, _) => given,
    };
    let mut text = PhraseText::new();
    arguments.texts.each(|part| {
        text.read(part);
        Ok(())
    })?;
    let words = text.len();
    let mut passes = Vec::new();
    let mut lines = Vec::new();
    for (pass, threshold) in (1..).zip(thresholds) {
        let config = PhraseConfig { score, threshold: *threshold, min_count: arguments.min_count };
        let found = text.join(&config);
        let shown =
            |phrase: &Phrase| format!("{} ({} times, {:.4})", phrase.text, phrase.count, phrase.score);
        let best: Vec<String> = found.iter().take(5).map(shown).collect();
        lines.push(format!("pass {pass}: {} phrases above {threshold}; {}", found.len(), best.join(", ")));
        let values = found
            .iter()
            .take(100)
            .map(|phrase| json!({ "phrase": phrase.text, "count": phrase.count, "score": phrase.score }));
        let values: Vec<_> = values.collect();
        passes.push(json!({ "threshold": threshold, "phrases": found.len(), "best": values }));
    }
    write_with(&arguments.out, |out| {
        text.lines().try_for_each(|line| out.write_all(&line).and_then(|()| out.write_all(b"\n")))
    })?;
    let json = json!({
        "words_read": words,
        "words": text.len(),
        "passes": passes,
        "out": arguments.out.display().to_string(),
        "seconds": started.elapsed().as_secs_f64(),
    });
    lines.push(format!("{words} words became {} in {}", text.len(), arguments.out.display()));
    Results::new(json).lines(lines).print(context.json())
}
