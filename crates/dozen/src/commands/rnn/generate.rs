//! `dozen rnn generate`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::sequence::{Generator, Model, Sampling, Units};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results, print_text};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A model folder
    model: PathBuf,
    /// What the text begins with; the model reads it first
    #[arg(long, default_value = "", value_name = "TEXT")]
    prompt: String,
    /// Units to write
    #[arg(short = 'n', long, default_value_t = 500, value_name = "N")]
    length: usize,
    /// Below 1 the likely becomes likelier; 0 takes the likeliest
    #[arg(long, default_value_t = 1.0, value_name = "T")]
    temperature: f64,
    /// Choose among so many likeliest units
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Choose among the likeliest units that together have this probability
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Stop where this text comes; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Samples to write, side by side
    #[arg(long, default_value_t = 1, value_name = "N")]
    samples: usize,
}

impl Arguments {
    fn sampling(&self) -> Result<Sampling, Failure> {
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return Err(Failure::request(format!(
                "--temperature must be 0 or more, not {}",
                self.temperature
            )));
        }
        if self.top_k == Some(0) || self.samples == 0 {
            return Err(Failure::request("--top-k and --samples must be at least 1"));
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(Failure::request(format!("--top-p must lie in (0, 1], not {p}")));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Failure::request("--stop must not be empty"));
        }
        Ok(Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p })
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let sampling = arguments.sampling()?;
    let model = Model::open(&arguments.model, &context.device()?)?;
    let live = arguments.samples == 1 && !context.json();
    if live {
        print_text(&arguments.prompt)?;
    }
    let mut writer = Writer::new(&model, &arguments.prompt, arguments.samples, &arguments.stop)?;
    let loaded = started.elapsed().as_secs_f64();
    let mut rng = StdRng::seed_from_u64(context.seed());
    for _ in 0..arguments.length {
        let new = writer.step(&sampling, &mut rng);
        if live {
            print_text(&new)?;
        }
        if writer.is_done() {
            break;
        }
    }
    let steps = writer.steps;
    let texts = writer.finish();
    let seconds = started.elapsed().as_secs_f64();
    let rate = (steps * arguments.samples) as f64 / (seconds - loaded);
    let json = json!({
        "samples": texts,
        "tokens": steps * arguments.samples,
        "tokens_per_second": rate,
        "seconds": seconds,
    });
    let mut results = Results::new(json);
    if live {
        results = results.line("");
    } else {
        results = results.lines(
            texts
                .iter()
                .enumerate()
                .map(|(at, text)| format!("--- sample {} ---\n{}{text}", at + 1, arguments.prompt)),
        );
    }
    results.print(context.json())
}

/// A page's worth of text for a report.
pub(super) fn specimen(model: &Model, seed: u64) -> Result<String, Failure> {
    let mut writer = Writer::new(model, "", 1, &[])?;
    let sampling = Sampling { temperature: 0.8, top_k: None, top_p: None };
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..500 {
        writer.step(&sampling, &mut rng);
    }
    Ok(writer.finish().remove(0))
}

/// Samples being written.
pub(crate) struct Writer<'m> {
    generator: Generator,
    streams: Vec<dozen::sequence::TextStream<'m>>,
    texts: Vec<String>,
    ended: Vec<bool>,
    stop: &'m [String],
    last: Vec<u32>,
    steps: usize,
}

impl<'m> Writer<'m> {
    pub(crate) fn new(
        model: &'m Model,
        prompt: &str,
        samples: usize,
        stop: &'m [String],
    ) -> Result<Self, Failure> {
        let mut generator = Generator::new(model, samples)?;
        let units = model.units().expect("a language model has a vocabulary");
        let mut ids = units.encode(prompt, "the prompt")?;
        let mut stream = units.stream();
        // So that words go on after the prompt's.
        for &id in &ids {
            stream.push(id);
        }
        if ids.is_empty() {
            ids.push(beginning(units));
        }
        let last = ids.pop().expect("there is one");
        for id in ids {
            dozen::run::stop_point();
            generator.step(&vec![id; samples]);
        }
        Ok(Self {
            generator,
            streams: vec![stream; samples],
            texts: vec![String::new(); samples],
            ended: vec![false; samples],
            stop,
            last: vec![last; samples],
            steps: 0,
        })
    }

    /// Draws a unit for each sample; the first sample's new text.
    pub(crate) fn step(&mut self, sampling: &Sampling, rng: &mut StdRng) -> String {
        let logits = self.generator.step(&self.last);
        let width = logits.len() / self.last.len();
        let drawn: Vec<u32> = logits.chunks_exact(width).map(|logits| sampling.draw(logits, rng)).collect();
        self.last = drawn;
        self.steps += 1;
        let mut first = String::new();
        for (at, &id) in self.last.iter().enumerate() {
            if self.ended[at] {
                continue;
            }
            let mut new = self.streams[at].push(id);
            self.texts[at].push_str(&new);
            if let Some(place) = self.stop.iter().filter_map(|stop| self.texts[at].find(stop.as_str())).min()
            {
                let shown = self.texts[at].len() - new.len();
                self.texts[at].truncate(place);
                new.truncate(place.saturating_sub(shown));
                self.ended[at] = true;
            }
            if at == 0 {
                first = new;
            }
        }
        first
    }

    fn is_done(&self) -> bool {
        self.ended.iter().all(|ended| *ended)
    }

    pub(crate) fn finish(self) -> Vec<String> {
        let parts = self.texts.into_iter().zip(self.streams).zip(self.ended);
        parts.map(|((text, stream), ended)| if ended { text } else { text + &stream.finish() }).collect()
    }
}

/// What a text without a prompt comes after: the end of a line where there is one.
fn beginning(units: &Units) -> u32 {
    let line_end = (0..units.len() as u32).find(|&id| {
        units.symbol(id).is_some_and(|symbol| symbol == "\n" || symbol == dozen::sequence::END_OF_LINE)
    });
    line_end.unwrap_or(0)
}
