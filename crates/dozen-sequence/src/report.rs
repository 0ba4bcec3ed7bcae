//! The report of a training run.

use dozen_nn::History;
use dozen_report::{LinePlot, Report, Table};

use crate::{Confusion, Model, Task};

/// What a model does, to look at.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Text that the model wrote after a prompt.
    Text {
        /// What it was given.
        prompt: String,
        /// What it wrote.
        text: String,
    },
    /// How held-out labels were taken.
    Labels(Confusion),
    /// A column of held-out rows and their predictions one row ahead.
    Series {
        /// The column.
        column: String,
        /// What was there.
        truth: Vec<f64>,
        /// What was predicted.
        predicted: Vec<f64>,
    },
}

/// Labels in a report's table at most.
const MOST_LABELS: usize = 30;

/// The results, the curves, and what the model does.
pub fn training_report(
    model: &Model,
    history: &History,
    results: &[(String, String)],
    shown: &[Shown],
    command: &str,
) -> Report {
    let config = model.config();
    let cell = format!("{:?}", config.model.cell).to_uppercase();
    let purpose = match &config.task {
        Task::LanguageModel => "a language model",
        Task::Classify { .. } => "a classifier of sequences",
        Task::Tag { .. } => "a tagger",
        Task::Forecast { .. } => "a forecaster of series",
    };
    let lead = format!(
        "A recurrent network ({} x {} {cell}) as {purpose} with {} parameters, trained for {} epochs in {:.1} seconds (seed {}). Every \
         number below can be computed again with the command.",
        config.model.layers,
        config.model.hidden,
        model.parameters(),
        history.epochs.len(),
        history.seconds,
        config.record.training.seed
    );
    let mut report = Report::new("Recurrent network", lead, command);
    let rows = results.iter().fold(Table::new(["on held-out data", ""]), |table, (name, value)| {
        table.row([name.as_str(), value.as_str()])
    });
    report.section("How good it is").table(rows);
    curves(&mut report, history);
    for shown in shown {
        show(&mut report, model, shown);
    }
    report
}

fn curves(report: &mut Report, history: &History) {
    let Some(name) = history.epochs.first().and_then(|epoch| epoch.train.first()).map(|(name, _)| name)
    else {
        return;
    };
    let [training, validation] = history.curves();
    let name = name.replace('_', " ");
    let plot = LinePlot::new("Loss", "epoch", name).line("training", training).line("validation", validation);
    let caption = format!(
        "Lower is better. The model has the weights of epoch {}. A training value is the mean over its epoch, while the network was \
         still getting better, and includes what was dropped.",
        history.best_epoch
    );
    report.section("How it learnt").plot(plot.svg(), &caption);
}

fn show(report: &mut Report, model: &Model, shown: &Shown) {
    match shown {
        Shown::Text { prompt, text } => {
            let lead = if prompt.is_empty() {
                "Drawn unit by unit from the model's probabilities at temperature 0.8:".into()
            } else {
                format!(
                    "After the prompt {prompt:?}, drawn unit by unit from the model's probabilities at temperature 0.8:"
                )
            };
            report.section("What it writes").text(&lead).command(text);
        }
        Shown::Labels(confusion) => {
            let labels = model.labels();
            let mut table =
                Table::new(["label", "there", "precision", "recall", "F1", "most often taken for"]);
            for (truth, label) in labels.iter().enumerate().take(MOST_LABELS) {
                let [precision, recall, f1] = confusion.scores(truth).map(|score| format!("{score:.3}"));
                let there: u64 = (0..labels.len()).map(|said| confusion.count(truth, said)).sum();
                let others = (0..labels.len()).filter(|said| *said != truth);
                let wrong = others.max_by_key(|said| confusion.count(truth, *said));
                let wrong = wrong.filter(|said| confusion.count(truth, *said) > 0);
                let wrong = wrong.map_or(String::new(), |said| {
                    format!("{} ({})", labels[said], confusion.count(truth, said))
                });
                table = table.row([label.clone(), there.to_string(), precision, recall, f1, wrong]);
            }
            report.section("Label by label").table(table);
        }
        Shown::Series { column, truth, predicted } => {
            let line =
                |values: &[f64]| values.iter().enumerate().map(|(row, value)| (row as f64, *value)).collect();
            let plot = LinePlot::new(column.clone(), "held-out row", column.clone())
                .line("there", line(truth))
                .line("predicted one row ahead", line(predicted));
            report
                .section(format!("Column {column}"))
                .plot(plot.svg(), "Each prediction knows all rows before its own.");
        }
    }
}
