//! Every architecture and loss against finite differences of its formula in double precision.

use super::huffman::Huffman;
use super::noise::Noise;
use super::random::Random;
use super::{Architecture, Config, Corpus, CorpusReader, Done, Loss, Matrix, Parameters, Subsampling, train};

const RATE: f32 = 0.01;
const WINDOW: usize = 2;

fn corpus() -> Corpus {
    let mut reader = CorpusReader::new();
    reader.read(b"a b c a d e b a c f g a b\nb a g h c a\nh\nd c b a a b e f g h a c b d a e c");
    reader.finish(1, None).unwrap()
}

fn config(architecture: Architecture, loss: Loss, shared_negatives: bool) -> Config {
    Config {
        architecture,
        loss,
        shared_negatives,
        dim: 5,
        window: WINDOW,
        dynamic_window: false,
        subsampling: Subsampling::None,
        epochs: 1,
        rate: RATE,
        min_rate: 0.0,
        deterministic: true,
        ..Config::default()
    }
}

fn random_parameters(config: &Config, corpus: &Corpus) -> Parameters {
    let mut parameters = Parameters::new(config, corpus.dictionary());
    let mut random = Random::at(5, [0, 0]);
    for matrix in [&mut parameters.input, &mut parameters.output] {
        for row in 0..matrix.rows() as u32 {
            matrix.row_mut(row).iter_mut().for_each(|value| *value = 2.0 * random.unit() - 1.0);
        }
    }
    parameters
}

type Rows = Vec<Vec<f64>>;

fn rows(matrix: &Matrix) -> Rows {
    (0..matrix.rows() as u32).map(|row| matrix.row(row).iter().map(|x| f64::from(*x)).collect()).collect()
}

/// Hidden vectors as lists of words, what they are to predict, and the words drawn against that.
struct Prediction {
    inputs: Vec<u32>,
    word: u32,
    negatives: Vec<u32>,
}

/// What one round predicts: the same draws in the same order.
fn predictions(config: &Config, corpus: &Corpus) -> Vec<Prediction> {
    let words: Vec<u32> = corpus.sentences().flatten().copied().collect();
    let mut spans = Vec::new();
    for sentence in corpus.sentences() {
        let start = spans.len();
        spans.extend(std::iter::repeat_n((start, start + sentence.len()), sentence.len()));
    }
    let noise = Noise::new(corpus.dictionary().counts(), 0.75, config.seed);
    let count = match config.loss {
        Loss::Negative { count, .. } => count,
        _ => 0,
    };
    let mut predictions = Vec::new();
    for (task, centres) in (0..words.len()).collect::<Vec<_>>().chunks(32).enumerate() {
        let mut random = Random::at(config.seed ^ 1, [1 << 32, task as u64]);
        let mut place = noise.start(&mut random);
        if config.loss == Loss::Softmax || config.loss == Loss::Hierarchical {
            place = 0;
        }
        let mut draw = |not: u32| {
            let mut drawn = Vec::new();
            noise.draw(&mut place, count, not, &mut drawn);
            drawn
        };
        let context = |centre: usize| -> Vec<u32> {
            let (start, end) = spans[centre];
            (centre.saturating_sub(WINDOW).max(start)..(centre + WINDOW + 1).min(end))
                .filter(|at| *at != centre)
                .map(|at| words[at])
                .collect()
        };
        let skip_gram = config.architecture == Architecture::SkipGram;
        let group = if config.shared_negatives && !skip_gram { 4 } else { 1 };
        for group in centres.chunks(group) {
            let together = config.shared_negatives && count > 0;
            let mut shared = Vec::new();
            if together && group.iter().any(|centre| !context(*centre).is_empty()) {
                shared = draw(if skip_gram { words[group[0]] } else { u32::MAX });
            }
            for centre in group {
                let word = words[*centre];
                let context = context(*centre);
                let inputs: Vec<Vec<u32>> = if skip_gram {
                    context.into_iter().map(|word| vec![word]).collect()
                } else {
                    Some(context).filter(|context| !context.is_empty()).into_iter().collect()
                };
                for inputs in inputs {
                    let negatives = if together {
                        shared.iter().copied().filter(|drawn| *drawn != word).collect()
                    } else {
                        draw(word)
                    };
                    predictions.push(Prediction { inputs, word, negatives });
                }
            }
        }
    }
    predictions
}

fn log_sigmoid(x: f64) -> f64 {
    -(-x).exp().ln_1p()
}

fn loss(config: &Config, tree: &Huffman, predictions: &[Prediction], input: &Rows, output: &Rows) -> f64 {
    let mut loss = 0.0;
    for Prediction { inputs, word, negatives } in predictions {
        let share =
            if config.architecture == Architecture::CbowMean { 1.0 / inputs.len() as f64 } else { 1.0 };
        let hidden: Vec<f64> = (0..config.dim)
            .map(|at| inputs.iter().map(|word| share * input[*word as usize][at]).sum())
            .collect();
        let score = |row: u32| hidden.iter().zip(&output[row as usize]).map(|(x, y)| x * y).sum::<f64>();
        loss -= match config.loss {
            Loss::Negative { .. } => {
                log_sigmoid(score(*word)) + negatives.iter().map(|row| log_sigmoid(-score(*row))).sum::<f64>()
            }
            Loss::Hierarchical => {
                let (nodes, labels) = tree.way(*word);
                let turn = |(node, label): (&u32, &f32)| {
                    log_sigmoid(if *label > 0.5 { score(*node) } else { -score(*node) })
                };
                nodes.iter().zip(labels).map(turn).sum()
            }
            Loss::Softmax => {
                let all: f64 = (0..output.len() as u32).map(|row| score(row).exp()).sum();
                score(*word) - all.ln()
            }
        };
    }
    loss
}

/// `-d loss / d row` by central differences.
fn descent(rows: &mut Rows, at: (usize, usize), loss: impl Fn(&Rows) -> f64) -> f64 {
    const STEP: f64 = 1e-5;
    let value = rows[at.0][at.1];
    rows[at.0][at.1] = value + STEP;
    let above = loss(rows);
    rows[at.0][at.1] = value - STEP;
    let below = loss(rows);
    rows[at.0][at.1] = value;
    (below - above) / (2.0 * STEP)
}

fn check(config: &Config) {
    let corpus = corpus();
    let before = random_parameters(config, &corpus);
    let mut after = before.clone();
    train(&corpus, config, &mut after, Done::default(), |_, _| true).unwrap();
    let predictions = predictions(config, &corpus);
    let tree = Huffman::new(corpus.dictionary().counts());
    let (mut input, mut output) = (rows(&before.input), rows(&before.output));
    let compare = |matrix: &Matrix, old: &Rows, at: (usize, usize), expected: f64, what: &str| {
        let moved = (f64::from(matrix.row(at.0 as u32)[at.1]) - old[at.0][at.1]) / f64::from(RATE);
        let close = (moved - expected).abs() < 2e-4 * (1.0 + expected.abs());
        assert!(close, "{config:?}: {what} {at:?} moved by {moved}, not {expected}");
    };
    for at in (0..output.len()).flat_map(|row| (0..config.dim).map(move |column| (row, column))) {
        let expected = descent(&mut output, at, |output| loss(config, &tree, &predictions, &input, output));
        compare(&after.output, &output, at, expected, "output");
    }
    for at in (0..input.len()).flat_map(|row| (0..config.dim).map(move |column| (row, column))) {
        // Of a mean each word takes the gradient of the whole, as word2vec.c has it: each prediction by itself.
        let expected = if config.architecture == Architecture::CbowMean {
            let one = |prediction: &Prediction| {
                let alone = std::slice::from_ref(prediction);
                let times = prediction.inputs.len() as f64;
                times * descent(&mut input, at, |input| loss(config, &tree, alone, input, &output))
            };
            predictions.iter().map(one).sum()
        } else {
            descent(&mut input, at, |input| loss(config, &tree, &predictions, input, &output))
        };
        compare(&after.input, &input, at, expected, "input");
    }
}

#[test]
fn one_round_descends_along_the_gradient_of_each_loss() {
    let negative = Loss::Negative { count: 3, exponent: 0.75 };
    for architecture in [Architecture::SkipGram, Architecture::CbowMean, Architecture::CbowSum] {
        for loss in [negative, Loss::Hierarchical, Loss::Softmax] {
            for shared in [false, true] {
                check(&config(architecture, loss, shared));
            }
        }
    }
}

/// For a short step, pair after pair comes to the same as all pairs at once.
#[test]
fn steps_pair_by_pair_agree_with_rounds_when_they_are_short() {
    let corpus = corpus();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for architecture in [Architecture::SkipGram, Architecture::CbowMean] {
        for loss in [Loss::Hierarchical, Loss::Softmax] {
            let rounds = Config { rate: 1e-3, ..config(architecture, loss, false) };
            let by_pair = Config { deterministic: false, ..rounds.clone() };
            let before = random_parameters(&rounds, &corpus);
            let learn = |config: &Config| {
                let mut after = before.clone();
                pool.install(|| train(&corpus, config, &mut after, Done::default(), |_, _| true)).unwrap();
                after
            };
            let (a, b) = (learn(&rounds), learn(&by_pair));
            for row in 0..before.input.rows() as u32 {
                for at in 0..rounds.dim {
                    let moved = |after: &Parameters| after.input.row(row)[at] - before.input.row(row)[at];
                    assert!((moved(&a) - moved(&b)).abs() < 0.05 * moved(&a).abs() + 2e-4);
                }
            }
        }
    }
}
