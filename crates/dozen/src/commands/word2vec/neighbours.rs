//! `dozen word2vec neighbours`: the nearest words of all words.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Table, Values, write_table};
use dozen::text::word2vec::{Matrix, Neighbour, WordVectors};
use instant_distance::{Builder, Point, Search};
use rayon::prelude::*;
use serde_json::json;

use super::model::open;
use super::query::Which;
use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How many neighbours of each word
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    /// Search a graph of near words (HNSW) instead of all words; what it misses is measured on 1000 words
    #[arg(long)]
    approximate: bool,
    /// How many words the search of the graph keeps in view: more finds more and takes longer
    #[arg(long, default_value_t = 100, value_name = "N", requires = "approximate")]
    ef: usize,
    /// The file to write, a row for each pair: .csv, .tsv or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Words on which the approximate search is measured.
const MEASURED: usize = 1000;
/// Words searched for at once.
const BATCH: usize = 1 << 12;

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let vectors = open(&arguments.which.vectors, context)?;
    let started = Instant::now();
    let words = vectors.dictionary().len();
    let all: Vec<usize> = (0..words).collect();
    let (found, recall) = if arguments.approximate {
        let found = approximately(&vectors, arguments, context.seed());
        let step = words.div_ceil(MEASURED).max(1);
        let some: Vec<usize> = all.iter().copied().step_by(step).collect();
        let truth = exactly(&vectors, &some, arguments.count);
        let met = |(row, truth): (&usize, &Vec<Neighbour>)| {
            let own: Vec<u32> = found[*row].iter().map(|one| one.word).collect();
            truth.iter().filter(|one| own.contains(&one.word)).count()
        };
        let met: usize = some.iter().zip(&truth).map(met).sum();
        let recall = met as f64 / truth.iter().map(Vec::len).sum::<usize>().max(1) as f64;
        (found, Some(recall))
    } else {
        (exactly(&vectors, &all, arguments.count), None)
    };
    write_table(&arguments.out, [Ok(table(&vectors, &found)?)])?;
    let seconds = started.elapsed().as_secs_f64();
    let json = json!({
        "words": words,
        "recall": recall,
        "out": arguments.out.display().to_string(),
        "seconds": seconds,
    });
    let mut line =
        format!("the neighbours of {words} words in {}, in {seconds:.1} s", arguments.out.display());
    if let Some(recall) = recall {
        line += &format!("; {:.2} % of the true ones", 100.0 * recall);
    }
    Results::new(json).line(line).print(context.json())
}

fn exactly(vectors: &WordVectors, rows: &[usize], count: usize) -> Vec<Vec<Neighbour>> {
    let search = |rows: &[usize]| {
        let mut queries = Matrix::zeros(rows.len(), vectors.dim());
        for (query, row) in rows.iter().enumerate() {
            queries.row_mut(query as u32).copy_from_slice(vectors.unit().row(*row as u32));
        }
        vectors.nearest_to(&queries, count, usize::MAX, |query| vec![rows[query] as u32])
    };
    rows.chunks(BATCH).flat_map(search).collect()
}

/// A unit vector.
#[derive(Clone)]
struct Unit<'a>(&'a [f32]);

impl Point for Unit<'_> {
    /// Half the square of the distance between unit vectors: 1 less the cosine.
    fn distance(&self, other: &Self) -> f32 {
        let (a, b) = (self.0.as_chunks::<16>(), other.0.as_chunks::<16>());
        let mut sums = [0.0; 16];
        for (a, b) in a.0.iter().zip(b.0) {
            for lane in 0..16 {
                sums[lane] += a[lane] * b[lane];
            }
        }
        let rest: f32 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
        1.0 - sums.iter().sum::<f32>() - rest
    }
}

fn approximately(vectors: &WordVectors, arguments: &Arguments, seed: u64) -> Vec<Vec<Neighbour>> {
    let words = vectors.dictionary().len();
    let unit = vectors.unit();
    let points: Vec<Unit> = (0..words as u32).map(|row| Unit(unit.row(row))).collect();
    let ef = arguments.ef.max(arguments.count + 1);
    let (graph, places) =
        Builder::default().ef_construction(ef).ef_search(ef).seed(seed).build_hnsw(points.clone());
    let mut rows = vec![0; words];
    for (row, place) in places.iter().enumerate() {
        rows[place.into_inner() as usize] = row as u32;
    }
    let search = |(row, point): (usize, &Unit)| {
        let mut search = Search::default();
        let found = graph.search(point, &mut search);
        let found = found
            .map(|item| Neighbour { word: rows[item.pid.into_inner() as usize], score: 1.0 - item.distance });
        found.filter(|one| one.word as usize != row).take(arguments.count).collect()
    };
    points.par_iter().enumerate().map(search).collect()
}

fn table(vectors: &WordVectors, found: &[Vec<Neighbour>]) -> Result<Table, Failure> {
    let word = |row: u32| vectors.dictionary().word(row).to_owned();
    let pairs =
        || found.iter().enumerate().flat_map(|(row, near)| near.iter().map(move |one| (row as u32, one)));
    Ok(Table::new(vec![
        Column::new("word", Values::Text(pairs().map(|(row, _)| word(row)).collect())),
        Column::new("neighbour", Values::Text(pairs().map(|(_, one)| word(one.word)).collect())),
        Column::new("cosine", Values::Number(pairs().map(|(_, one)| f64::from(one.score)).collect())),
    ])?)
}
