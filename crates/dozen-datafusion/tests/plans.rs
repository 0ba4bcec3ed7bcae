//! Plans give what one process gives.

mod made;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use dozen_data::{Column, Table, Values, write_table};
use dozen_datafusion::plans::{EdgeColumns, drift, inventory, spanning_forest, vocabulary};
use dozen_datafusion::{Models, local};
use dozen_graph::{Algorithm, Graph, minimum_spanning_forest};
use dozen_text::word2vec::CorpusReader;
use dozen_text::{Inventory, Pattern, TrainConfig, train};
use dozen_transport::wasserstein_1d;

async fn context(folder: &Path, tables: &[(&str, Table)]) -> SessionContext {
    let context = local(Arc::new(Models::default()), None).unwrap();
    for (name, table) in tables {
        let path = folder.join(format!("{name}.parquet"));
        write_table(&path, [Ok(table.clone())]).unwrap();
        let path = path.display().to_string();
        context.register_parquet(*name, &path, ParquetReadOptions::default()).await.unwrap();
    }
    context
}

fn numbers(name: &str, values: Vec<f64>) -> Column {
    Column::new(name, Values::Number(values))
}

#[tokio::test]
async fn an_inventory_trains_the_same_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let lines = made::lines(2000);
    let table = Table::new(vec![Column::new("text", Values::Text(lines.clone()))]).unwrap();
    let context = context(folder.path(), &[("t", table)]).await;
    let found = inventory(&context, "t", "text", "cl100k").await.unwrap();
    let pattern = Pattern::new("cl100k").unwrap();
    let mut truth = Inventory::new();
    for line in &lines {
        truth.count(&pattern, line.as_bytes()).unwrap();
    }
    let counts = |inventory: &Inventory| -> HashMap<Vec<u8>, u64> {
        inventory.pieces().map(|(piece, count)| (piece.to_vec(), count)).collect()
    };
    assert_eq!(counts(&found), counts(&truth));
    let config = TrainConfig { vocabulary: 300, ..TrainConfig::default() };
    let merges = |inventory: &Inventory| {
        train(inventory, Pattern::new("cl100k").unwrap(), &config, |_| true).unwrap().tokenizer.merges()
    };
    assert_eq!(merges(&found), merges(&truth));
}

#[tokio::test]
async fn a_vocabulary_is_that_of_word2vec() {
    let folder = tempfile::tempdir().unwrap();
    let lines = made::lines(500);
    let table = Table::new(vec![Column::new("text", Values::Text(lines.clone()))]).unwrap();
    let context = context(folder.path(), &[("t", table)]).await;
    let found = vocabulary(&context, "t", "text", 3).await.unwrap();
    let mut reader = CorpusReader::new();
    reader.read(lines.join("\n").as_bytes());
    let corpus = reader.finish(3, None).unwrap();
    let pairs = |dictionary: &dozen_text::word2vec::Dictionary| {
        let words = dictionary.words().map(str::to_owned);
        words.zip(dictionary.counts().iter().copied()).collect::<HashMap<_, _>>()
    };
    assert_eq!(pairs(&found), pairs(corpus.dictionary()));
    assert!(found.counts().is_sorted_by(|a, b| a >= b));
}

#[tokio::test]
async fn drift_is_the_exact_distance_by_column() {
    let folder = tempfile::tempdir().unwrap();
    let wave = |count: usize, phase: f64| (0..count).map(|at| (at as f64 * phase).sin()).collect::<Vec<_>>();
    let whole =
        |count: usize, modulus: usize| (0..count).map(|at| (at * at % modulus) as f64).collect::<Vec<_>>();
    let (x, y, u, v) = (wave(700, 0.7), wave(500, 1.3), whole(700, 7), whole(500, 11));
    let constant = |count: usize| vec![2.0; count];
    let first = vec![
        numbers("x", x.clone()),
        numbers("u", u.clone()),
        numbers("c", constant(700)),
        numbers("only", x.clone()),
    ];
    let second = vec![numbers("u", v.clone()), numbers("x", y.clone()), numbers("c", constant(500))];
    let context =
        context(folder.path(), &[("a", Table::new(first).unwrap()), ("b", Table::new(second).unwrap())])
            .await;
    let (c, d) = (constant(700), constant(500));
    let found = drift(&context, "a", "b").await.unwrap();
    assert_eq!(found.len(), 3);
    for column in &found {
        let (a, b) = match column.column.as_str() {
            "x" => (&x, &y),
            "u" => (&u, &v),
            _ => (&c, &d),
        };
        let truth = wasserstein_1d(a, &vec![1.0; a.len()], b, &vec![1.0; b.len()], 1.0).unwrap();
        assert!((column.wasserstein1 - truth).abs() < 1e-12, "{column:?} against {truth}");
        assert_eq!(column.rows, [700, 500]);
        let mean = a.iter().sum::<f64>() / 700.0;
        let variance = a.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 700.0;
        assert!(
            (column.means[0] - mean).abs() < 1e-12 && (column.deviations[0] - variance.sqrt()).abs() < 1e-9
        );
    }
    assert_eq!(found[2].column, "c");
    assert_eq!(found[2].drift(), None);
    let nothing = drift(&context, "a", "a").await.unwrap();
    assert!(nothing.iter().all(|column| column.wasserstein1 < 1e-12), "{nothing:?}");
}

/// Edges by a simple generator: few weights, so that many tie; loops, parallel edges and parts that hang apart.
fn edges(nodes: u64, count: u64, seed: u64) -> (Vec<u32>, Vec<u32>, Vec<f64>) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut all = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        all.0.push(next(nodes) as u32);
        all.1.push(next(nodes) as u32);
        all.2.push(next(9) as f64 - 3.0);
    }
    all
}

#[tokio::test]
async fn forests_weigh_what_kruskals_weighs() {
    let folder = tempfile::tempdir().unwrap();
    for (case, (nodes, count)) in [(1, 3), (2, 1), (40, 25), (60, 300), (500, 700)].into_iter().enumerate() {
        let (u, v, w) = edges(nodes, count, case as u64);
        let whole = |ends: &[u32]| ends.iter().map(|end| f64::from(*end)).collect::<Vec<_>>();
        let table =
            Table::new(vec![numbers("u", whole(&u)), numbers("v", whole(&v)), numbers("w", w.clone())])
                .unwrap();
        let context = context(folder.path(), &[("raw", table)]).await;
        // Parquet's numbers here are floats; ends are whole.
        let ends = "CREATE TABLE e AS SELECT CAST(u AS BIGINT) AS u, CAST(v AS BIGINT) AS v, w FROM raw";
        context.sql(ends).await.unwrap().collect().await.unwrap();
        let columns = EdgeColumns { u: "u".into(), v: "v".into(), weight: "w".into() };
        let work = folder.path().join(format!("work{case}"));
        let found = spanning_forest(&context, "e", &columns, &work).await.unwrap();
        let graph = Graph::new(nodes as usize, &u, &v, &w).unwrap();
        let truth = minimum_spanning_forest(graph, Algorithm::Kruskal);
        assert_eq!(found.count as usize, truth.edges.len(), "case {case}");
        assert!((found.total_weight - truth.total_weight).abs() < 1e-9, "case {case}");
        assert!(found.rounds <= 10);
        // Nothing is left beside it, and it is a forest: as many edges as Kruskal takes of it.
        assert_eq!(std::fs::read_dir(&work).unwrap().count(), 1);
        let path = found.edges.display().to_string();
        let read = context
            .read_parquet(&path, ParquetReadOptions::default())
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let ends = |column: usize| -> Vec<u32> {
            let of = |batch: &datafusion::arrow::record_batch::RecordBatch| {
                batch
                    .column(column)
                    .as_primitive::<Int64Type>()
                    .values()
                    .iter()
                    .map(|end| *end as u32)
                    .collect::<Vec<_>>()
            };
            read.iter().flat_map(of).collect()
        };
        let (a, b) = (ends(0), ends(1));
        let again = minimum_spanning_forest(
            Graph::new(nodes as usize, &a, &b, &vec![1.0; a.len()]).unwrap(),
            Algorithm::Kruskal,
        );
        assert_eq!(again.edges.len(), a.len(), "case {case}");
    }
}

#[tokio::test]
async fn wrong_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(vec![numbers("u", vec![0.5]), numbers("w", vec![1.0])]).unwrap();
    let context = context(folder.path(), &[("t", table)]).await;
    let columns = |u: &str, v: &str| EdgeColumns { u: u.into(), v: v.into(), weight: "w".into() };
    let work = folder.path().join("work");
    let told = spanning_forest(&context, "t", &columns("u", "w"), &work).await.unwrap_err().to_string();
    assert_eq!(told, "the ends of edges are whole numbers, and `u` holds Float64");
    context.sql("CREATE TABLE n AS VALUES (1, 2, 3.0), (1, NULL, 3.0), (2, 3, 'NaN'::double)").await.unwrap();
    let columns = EdgeColumns { u: "column1".into(), v: "column2".into(), weight: "column3".into() };
    let told = spanning_forest(&context, "n", &columns, &work).await.unwrap_err().to_string();
    assert_eq!(told, "2 edges of `n` have no end, or a weight that is no number");
    let told = drift(&context, "t", "n").await.unwrap_err().to_string();
    assert_eq!(told, "`t` and `n` share no column of numbers");
    assert!(inventory(&context, "t", "nothing", "cl100k").await.is_err());
    assert!(vocabulary(&context, "gone", "text", 1).await.is_err());
}

#[tokio::test]
async fn queries_of_more_than_their_memory_go_through_files() {
    let context = local(Arc::new(Models::default()), Some(24 << 20)).unwrap();
    // A million different values to sort: twice the memory.
    let query = "SELECT sum(d) FROM (SELECT x - lag(x) OVER (ORDER BY x) AS d FROM \
                 (SELECT (value * 7919) % 1000003 AS x FROM generate_series(1, 1000002)))";
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 1_000_001);
}
