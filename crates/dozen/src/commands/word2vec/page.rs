//! The report of a training.

use dozen::report::{LinePlot, Report, ScatterPlot, Table as Cells};
use dozen::text::word2vec::{Config, Summary, WordVectors};

use super::project::pca;

/// Words in the picture.
const SHOWN: usize = 150;

pub(super) fn report(
    vectors: &WordVectors,
    config: &Config,
    summary: &Summary,
    probes: &[String],
    command: String,
) -> Report {
    let lead = format!(
        "{} vectors of {} values, learnt in {:.1} s from {} words in {} passes.",
        vectors.dictionary().len(),
        vectors.dim(),
        summary.seconds,
        summary.words,
        config.epochs
    );
    let mut report = Report::new("Word vectors", lead, command);
    let points = (1..).zip(&summary.losses).map(|(pass, loss)| (f64::from(pass), *loss)).collect();
    let plot = LinePlot::new("", "pass", "loss, nats a pair").line("loss", points);
    report
        .section("Training")
        .text("The mean loss of a pair in each pass, from one pair in 32.")
        .plot(plot.svg(), "A loss that no longer falls says that more passes will change little.");
    let mut cells = Cells::new(["word", "nearest, with cosines"]);
    for word in shown_words(vectors, probes) {
        cells = cells.row([word.clone(), near(vectors, &word, 8)]);
    }
    let text = "Whether the neighbours of a few words make sense is the quickest check of all.";
    report.section("Neighbours").text(text).table(cells);
    let rows: Vec<u32> = (0..vectors.dictionary().len().min(SHOWN) as u32).collect();
    if rows.len() >= 4 {
        let (places, shares) = pca(vectors, &rows);
        let axis =
            |axis: usize| format!("component {}, {:.1} % of the variance", axis + 1, 100.0 * shares[axis]);
        let words = rows.iter().map(|row| vectors.dictionary().word(*row).to_owned());
        let plot = ScatterPlot::new("", axis(0), axis(1))
            .group("words", places.clone())
            .labels(places.into_iter().zip(words).collect());
        report.section("Picture").plot(
            plot.svg(),
            "The most frequent words along the two directions of the most variance; `dozen word2vec project` draws others.",
        );
    }
    report
}

/// The probes, or some words by their frequency, neither the most frequent, which are near everything, nor the rare.
fn shown_words(vectors: &WordVectors, probes: &[String]) -> Vec<String> {
    if !probes.is_empty() {
        return probes.to_vec();
    }
    let words = vectors.dictionary().len();
    let places = (0..12).map(|step| (100.0 * 1.5_f64.powi(step)) as usize % words.max(1));
    let mut places: Vec<usize> = places.filter(|place| *place < words).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| vectors.dictionary().word(place as u32).to_owned()).collect()
}

/// The nearest words of a word, as a person reads them.
pub(super) fn near(vectors: &WordVectors, word: &str, count: usize) -> String {
    let found = vectors.nearest(&[word], count).unwrap_or_default();
    let one = |near: &dozen::text::word2vec::Neighbour| {
        format!("{} {:.2}", vectors.dictionary().word(near.word), near.score)
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}
