//! Tasks whose answer is known, each solved by training: a grammar, the parity of bits, copying, adding; and training that goes on where it stopped.

use std::path::Path;
use std::sync::Mutex;

use dozen_data::make;
use dozen_nn::*;
use dozen_sequence::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Training draws from the device's random numbers, and interruption is one flag for the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn network(cell: CellKind, hidden: usize, embedding: usize) -> NetworkConfig {
    NetworkConfig {
        cell,
        hidden,
        layers: 1,
        bidirectional: false,
        projection: None,
        layer_norm: false,
        embedding,
        tied: false,
        learned_state: false,
        forget_bias: 1.0,
        dropout: DropoutConfig::default(),
    }
}

fn config(model: NetworkConfig, task: Task, epochs: u64, batch_size: usize, rate: f64) -> Config {
    Config {
        model,
        task,
        sequence_length: 40,
        record: TrainingRecord {
            training: TrainConfig {
                epochs,
                batch_size,
                patience: None,
                schedule: Schedule { rate, warm_up: 0, decay: Decay::Cosine },
                seed: 0,
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: Some(1.0),
            ema: None,
        },
        data: Vec::new(),
    }
}

fn trained(config: Config, units: Option<Units>, data: Data) -> Model {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::begin(&folder.path().join("model"), Existing::Keep).unwrap();
    let request = TrainRequest { config, units, data, vectors: Vec::new() };
    train_model(request, &run, &Device::flex(), Progress::new(true)).unwrap().0
}

#[test]
fn a_language_model_learns_rebers_grammar() {
    let made = make::reber(3000, 1);
    let units = Units::of_texts(&UnitKind::Characters, [made.text.as_str()]);
    let ids = units.encode(&made.text, "the text").unwrap();
    let held_out = units.encode(&make::reber(500, 2).text, "the text").unwrap();
    let config = config(network(CellKind::Gru, 32, 16), Task::LanguageModel, 8, 20, 0.01);
    let model = trained(config, Some(units), Data::Text { train: &ids, valid: &[] });
    let found = evaluate_language(&model, &held_out, held_out.len() - 1, None).unwrap();
    // The held-out text is one draw; its own mean lies within a few hundredths of the entropy.
    assert!((found.nats_per_token - made.nats_per_character).abs() < 0.03, "{}", found.nats_per_token);
    // What it writes is of the grammar.
    let units = model.units().unwrap();
    let mut generator = Generator::new(&model, 1).unwrap();
    let sampling = Sampling { temperature: 1.0, top_k: None, top_p: Some(0.98) };
    let (mut rng, mut id, mut text) = (StdRng::seed_from_u64(0), units.unit("\n").unwrap(), String::new());
    for _ in 0..2000 {
        id = sampling.draw(generator.step(&[id]), &mut rng);
        text += &units.symbol(id).unwrap();
    }
    let whole: Vec<&str> = text.rsplit_once('\n').unwrap().0.lines().collect();
    let right = whole.iter().filter(|line| make::is_reber(line)).count();
    assert!(whole.len() > 100 && right as f64 > 0.98 * whole.len() as f64, "{right} of {}", whole.len());
}

#[test]
fn a_classifier_learns_parity() {
    let mut rng = StdRng::seed_from_u64(3);
    let examples: Vec<Example> = (0..3000)
        .map(|_| {
            let bits: Vec<u32> = (0..rng.random_range(1..=10)).map(|_| rng.random_range(0..2)).collect();
            let label = bits.iter().sum::<u32>() % 2;
            Example { input: Sequence::Tokens(bits), target: Target::Label(label) }
        })
        .collect();
    let labels = vec!["even".to_owned(), "odd".to_owned()];
    let config = config(network(CellKind::Lstm, 24, 4), Task::Classify { labels }, 20, 25, 0.02);
    let units = Units::of_characters(["0", "1"].map(str::to_owned));
    let (train, valid) = examples.split_at(2500);
    let model = trained(config, Some(units), Data::Examples { train, valid });
    let terms = evaluate_examples(&model, valid);
    assert!(terms[1].1 < 0.01, "{terms:?}");
}

#[test]
fn a_tagger_copies_what_it_read_before() {
    let mut rng = StdRng::seed_from_u64(5);
    // Three symbols of four, eight blanks, and then the three again, while blanks are read.
    let (symbols, gap) = (4, 8);
    let examples: Vec<Example> = (0..2000)
        .map(|_| {
            let read: Vec<u32> = (0..3).map(|_| rng.random_range(1..=symbols)).collect();
            let input = [read.clone(), vec![0; gap], vec![symbols + 1], vec![0; 2]].concat();
            let target = [vec![0; 3 + gap], read].concat();
            Example { input: Sequence::Tokens(input), target: Target::Labels(target) }
        })
        .collect();
    let labels = (0..=symbols).map(|label| label.to_string()).collect();
    let task = Task::Tag { labels, crf: false };
    let config = config(network(CellKind::Lstm, 64, 8), task, 20, 25, 0.01);
    let units = Units::of_characters((0..symbols + 2).map(|symbol| symbol.to_string()));
    let (train, valid) = examples.split_at(1800);
    let model = trained(config, Some(units), Data::Examples { train, valid });
    let terms = evaluate_examples(&model, valid);
    assert!(terms[1].1 < 0.01, "{terms:?}");
}

/// Two numbers among `length` are marked; their sum is asked for. Saying 1 always errs by 1/6 in the mean square.
fn adding(count: usize, length: usize, seed: u64) -> Vec<Example> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let marked = [rng.random_range(0..length / 2), rng.random_range(length / 2..length)];
            let mut values: Vec<f32> = (0..length).flat_map(|_| [rng.random::<f32>(), 0.0]).collect();
            for at in marked {
                values[2 * at + 1] = 1.0;
            }
            let sum = marked.iter().map(|&at| values[2 * at]).sum();
            let input = Sequence::Numbers { values, width: 2 };
            Example { input, target: Target::Numbers(vec![sum]) }
        })
        .collect()
}

/// An LSTM's mean squared error after training on the adding problem; its forget gates begin open, or nothing would reach the first steps.
fn solve_adding(length: usize, count: usize, epochs: u64, rate: f64) -> f64 {
    // One column out, two in: a forecaster's table would have as many.
    let column = |name: &str| SeriesColumn { name: name.into(), mean: 0.0, deviation: 1.0 };
    let task = Task::Forecast { columns: vec![column("value"), column("mark")] };
    let mut examples = adding(count, length, 7);
    for example in &mut examples {
        if let Target::Numbers(numbers) = &mut example.target {
            numbers.push(0.0);
        }
    }
    let (train, valid) = examples.split_at(count - 500);
    let network = NetworkConfig { forget_bias: 3.0, ..network(CellKind::Lstm, 64, 0) };
    let config = config(network, task, epochs, 20, rate);
    let model = trained(config, None, Data::Examples { train, valid });
    // Half of the mean is the second column's, which is always zero.
    2.0 * evaluate_examples(&model, valid)[0].1
}

#[test]
fn an_lstm_adds_over_forty_steps() {
    let error = solve_adding(40, 3000, 15, 0.01);
    assert!(error < 0.01, "{error}");
}

#[test]
#[ignore = "takes minutes; run with --ignored"]
fn an_lstm_adds_over_two_hundred_steps() {
    let error = solve_adding(200, 10_500, 20, 0.003);
    assert!(error < 0.01, "{error}");
}

/// Trains a small language model in a folder; interrupted after its first step if asked.
fn run_in(folder: &Path, resume: bool, interrupt: bool) -> Result<History, Error> {
    let run = if resume {
        RunFolder::resume(folder)?.into_run()?
    } else {
        RunFolder::begin(folder, Existing::Keep)?
    };
    let text = "the quick brown fox jumps over the lazy dog. ".repeat(20);
    let units = Units::of_texts(&UnitKind::Characters, [text.as_str()]);
    let ids = units.encode(&text, "the text").unwrap();
    let mut model = network(CellKind::Lstm, 16, 8);
    model.dropout = DropoutConfig { layers: 0.1, recurrent: 0.1, ..DropoutConfig::default() };
    let mut config = config(model, Task::LanguageModel, 3, 4, 0.01);
    config.sequence_length = 10;
    let data = Data::Text { train: &ids, valid: &ids[..100] };
    let request = TrainRequest { config, units: Some(units), data, vectors: Vec::new() };
    request_interrupt(interrupt);
    let result = train_model(request, &run, &Device::flex(), Progress::new(true));
    request_interrupt(false);
    let (_, history) = result?;
    run.finish()?;
    Ok(history)
}

#[test]
fn an_interrupted_run_goes_on_with_its_state() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    run_in(&whole, false, false).unwrap();
    assert!(matches!(run_in(&cut, false, true), Err(Error::Interrupted { step: 1, .. })));
    assert!(matches!(run_in(&cut, true, true), Err(Error::Interrupted { step: 2, .. })));
    run_in(&cut, true, false).unwrap();
    let weights = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&cut), "the weights differ");
}

#[test]
fn a_text_shorter_than_a_sequence_is_refused() {
    let units = Units::of_characters(["a", "b"].map(str::to_owned));
    let config = config(network(CellKind::Tanh, 4, 4), Task::LanguageModel, 1, 2, 0.01);
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::begin(&folder.path().join("model"), Existing::Keep).unwrap();
    let data = Data::Text { train: &[0, 1, 0, 1], valid: &[] };
    let request = TrainRequest { config, units: Some(units), data, vectors: Vec::new() };
    let error = train_model(request, &run, &Device::flex(), Progress::new(true)).unwrap_err().to_string();
    assert!(error.contains("has 4 characters") && error.contains("--sequence-length below 4"), "{error}");
}
