//! `dozen word2vec project`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Column, Table, Values, write_table};
use dozen::report::{Report, ScatterPlot};
use dozen::text::word2vec::{Dictionary, Matrix, Neighbour, WordVectors, principal_components};
use serde_json::json;

use super::model::open;
use super::query::Which;
use crate::context::Context;
use crate::output::{Failure, Results, write_report};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How vectors become points
    #[arg(long, value_enum, default_value_t = Method::Tsne, value_name = "HOW")]
    method: Method,
    /// How many of the first, most frequent words
    #[arg(short = 'n', long, default_value_t = 500, value_name = "N")]
    count: usize,
    /// These words instead
    #[arg(long, value_name = "WORD,...", value_delimiter = ',')]
    words: Vec<String>,
    /// About how many neighbours t-SNE keeps near each word
    #[arg(long, default_value_t = 30.0, value_name = "P")]
    perplexity: f32,
    /// The folder for report.html and projection.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Method {
    /// The two directions of the most variance
    Pca,
    /// t-SNE, begun at the principal components
    Tsne,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let rows: Vec<u32> = if arguments.words.is_empty() {
        (0..vectors.dictionary().len().min(arguments.count) as u32).collect()
    } else {
        arguments.words.iter().map(|word| vectors.row(word)).collect::<Result<_, _>>()?
    };
    if rows.len() < 4 {
        return Err(Failure::request("a picture needs at least four words"));
    }
    let (points, shares) = match arguments.method {
        Method::Pca => pca(&vectors, &rows),
        Method::Tsne => (tsne(&vectors, &rows, arguments.perplexity)?, [0.0; 2]),
    };
    let words: Vec<String> = rows.iter().map(|row| vectors.dictionary().word(*row).to_owned()).collect();
    let axes = match arguments.method {
        Method::Pca => {
            [1, 2].map(|axis| format!("component {axis}, {:.1} % of the variance", 100.0 * shares[axis - 1]))
        }
        Method::Tsne => [String::new(), String::new()],
    };
    let lead = format!(
        "{} words of {}, the unit vectors of {} values in the plane.",
        rows.len(),
        arguments.which.vectors.display(),
        vectors.dim()
    );
    let mut report = Report::new("Word vectors in the plane", lead, context.command_line());
    let [x, y] = axes;
    let plot = ScatterPlot::new("", x, y)
        .group("words", points.clone())
        .labels(points.iter().copied().zip(words.iter().cloned()).collect());
    let caption = match arguments.method {
        Method::Pca => "Directions of the most variance: distances between far points mean most.",
        Method::Tsne => "t-SNE keeps near words near; distances between groups and their sizes mean nothing.",
    };
    report.section("Words").plot(plot.svg(), caption);
    let page = write_report(&arguments.out, &report)?;
    let file = arguments.out.join("projection.csv");
    let column = |at: usize| Values::Number(points.iter().map(|point| [point.0, point.1][at]).collect());
    let table = Table::new(vec![
        Column::new("word", Values::Text(words)),
        Column::new("x", column(0)),
        Column::new("y", column(1)),
    ])?;
    write_table(&file, [Ok(table)])?;
    let json = json!({
        "words": rows.len(),
        "variance_shares": (arguments.method == Method::Pca).then_some(shares),
        "report": page,
        "table": file.display().to_string(),
        "seconds": started.elapsed().as_secs_f64(),
    });
    let lines = [format!("the picture is {page}"), format!("the places are in {}", file.display())];
    Results::new(json).lines(lines).print(context.json())
}

fn unit_rows(vectors: &WordVectors, rows: &[u32]) -> Matrix {
    let mut unit = Matrix::zeros(rows.len(), vectors.dim());
    for (place, row) in rows.iter().enumerate() {
        unit.row_mut(place as u32).copy_from_slice(vectors.unit().row(*row));
    }
    unit
}

/// Places along the first two principal components, and the shares of the variance along them.
pub(super) fn pca(vectors: &WordVectors, rows: &[u32]) -> (Vec<(f64, f64)>, [f64; 2]) {
    let unit = unit_rows(vectors, rows);
    let found = principal_components(&unit, 2, true);
    let along = |row: u32, axis: usize| -> f64 {
        let Some(direction) = found.directions.get(axis) else { return 0.0 };
        unit.row(row).iter().zip(direction).map(|(x, y)| f64::from(x * y)).sum()
    };
    let places = (0..unit.rows() as u32).map(|row| (along(row, 0), along(row, 1))).collect();
    (places, [0, 1].map(|axis| found.shares.get(axis).copied().unwrap_or(0.0)))
}

/// Van der Maaten (2014), begun at the principal components (Kobak and Berens 2019), so that no chance is in it.
fn tsne(vectors: &WordVectors, rows: &[u32], perplexity: f32) -> Result<Vec<(f64, f64)>, Failure> {
    // The search for neighbours takes three times the perplexity of them.
    let most = (rows.len() - 1) as f32 / 3.0;
    if !(1.0..=f32::MAX).contains(&perplexity) {
        return Err(Failure::request(format!("--perplexity must be at least 1, not {perplexity}")));
    }
    let perplexity = perplexity.min(most.max(1.0));
    let (begin, _) = pca(vectors, rows);
    let spread = begin.iter().map(|place| place.0.abs()).fold(1e-12, f64::max);
    let begin: Vec<f32> =
        begin.iter().flat_map(|place| [place.0, place.1]).map(|x| (x / spread * 1e-2) as f32).collect();
    let unit = unit_rows(vectors, rows);
    let neighbours = neighbours(vectors, rows, (3.0 * perplexity) as usize)?;
    let samples: Vec<&[f32]> = (0..unit.rows() as u32).map(|row| unit.row(row)).collect();
    // The library adds up forces in the order in which threads come; on one thread the picture is always the same.
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|error| Failure::Run(format!("no thread for t-SNE: {error}")))?;
    let places = alone.install(|| {
        let mut tsne = bhtsne::tSNE::<f32, &[f32], 2>::new(&samples);
        tsne.perplexity(perplexity).epochs(1000).initial_embedding(begin);
        tsne.barnes_hut_with_neighbors(0.5, &neighbours).embedding()
    });
    Ok(places.chunks_exact(2).map(|place| (f64::from(place[0]), f64::from(place[1]))).collect())
}

/// The nearest of some words among themselves, and their distances on the unit sphere.
fn neighbours(
    vectors: &WordVectors,
    rows: &[u32],
    count: usize,
) -> Result<Vec<Vec<bhtsne::Neighbor<f32>>>, Failure> {
    let unit = unit_rows(vectors, rows);
    let words = rows.iter().map(|row| (vectors.dictionary().word(*row), 0));
    let some = WordVectors::new(Dictionary::new(words)?, unit.clone())?;
    let count = count.clamp(1, rows.len() - 1);
    let found = some.nearest_to(&unit, count, usize::MAX, |query| vec![query as u32]);
    let neighbour = |near: &Neighbour| bhtsne::Neighbor {
        index: near.word as usize,
        distance: (2.0 - 2.0 * near.score).max(0.0).sqrt(),
    };
    Ok(found.iter().map(|near| near.iter().map(neighbour).collect()).collect())
}
