//! Each function gives what the library under it gives.

mod made;

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Float32Type, Float64Type, Int64Type, UInt32Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;
use dozen_datafusion::{Models, local};
use dozen_generative::flow;
use dozen_nn::Device;
use dozen_text::{Pattern, Tokenizer};
use dozen_transport::wasserstein_1d;
use dozen_vision::efficientnet::{self, ranked};

async fn rows(context: &SessionContext, query: &str) -> RecordBatch {
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

async fn refusal(context: &SessionContext, query: &str) -> String {
    let ended = async { context.sql(query).await?.collect().await };
    dozen_datafusion::Error::from(ended.await.unwrap_err()).to_string()
}

fn context(folder: &Path, models: &[(&str, &str)]) -> SessionContext {
    let paths = models.iter().map(|(name, file)| ((*name).to_owned(), folder.join(file)));
    local(Arc::new(Models::new(paths)), None).unwrap()
}

#[tokio::test]
async fn tokens_pieces_pairs_and_words() {
    let folder = tempfile::tempdir().unwrap();
    made::tokenizer(&folder.path().join("t"));
    let tokenizer = Tokenizer::open(&folder.path().join("t"), None).unwrap();
    let context = context(folder.path(), &[("t", "t")]);
    let text = "low lower  lowest";
    let found = rows(
        &context,
        &format!(
            "SELECT tokens('t', x), token_count('t', x), pieces('gpt2', x), words(x), pairs(tokens('t', x)) \
             FROM (VALUES ('{text}'), (NULL), ('')) AS v (x)"
        ),
    )
    .await;
    let ids = tokenizer.encode_ordinary(text).unwrap();
    let list = |column: usize| found.column(column).as_list::<i32>().value(0);
    assert_eq!(list(0).as_primitive::<UInt32Type>().values(), &ids[..]);
    let counts = found.column(1).as_primitive::<Int64Type>();
    assert_eq!((counts.value(0), counts.value(2)), (ids.len() as i64, 0));
    let (mut pieces, mut start) = (Vec::new(), 0);
    let each = |end| {
        pieces.push(&text.as_bytes()[start..end]);
        start = end;
    };
    Pattern::new("gpt2").unwrap().each_end(text.as_bytes(), each).unwrap();
    assert_eq!(list(2).as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), pieces);
    let words = ["low", "lower", "lowest"];
    assert_eq!(list(3).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), words);
    let pairs = list(4);
    let ends = |end: usize| pairs.as_struct().column(end).as_primitive::<UInt32Type>().values().to_vec();
    assert_eq!((ends(0), ends(1)), (ids[..ids.len() - 1].to_vec(), ids[1..].to_vec()));
    for column in 0..5 {
        assert!(found.column(column).is_null(1) && found.column(column).is_valid(2));
    }
}

#[tokio::test]
async fn embeddings_are_means_of_known_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("v.txt"), "2 2\nking 1 3\nqueen 3 1\n").unwrap();
    let context = context(folder.path(), &[("v", "v.txt")]);
    let texts = "(VALUES (1, 'king queen'), (2, 'nobody'), (3, 'queen of hearts')) AS t (i, x)";
    let found = rows(&context, &format!("SELECT embedding('v', x) FROM {texts} ORDER BY i")).await;
    let lists = found.column(0).as_list::<i32>();
    assert_eq!(lists.value(0).as_primitive::<Float32Type>().values(), &[2.0, 2.0]);
    assert!(lists.is_null(1));
    assert_eq!(lists.value(2).as_primitive::<Float32Type>().values(), &[3.0, 1.0]);
}

#[tokio::test]
async fn log_probabilities_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let table = made::flow(&folder.path().join("f"));
    let file = folder.path().join("rows.parquet");
    dozen_data::write_table(&file, [Ok(table.clone())]).unwrap();
    let context = context(folder.path(), &[("f", "f")]);
    let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    let [x, y] = [names[0], names[1]];
    let query = format!("SELECT log_prob('f', {x}, {y}) FROM '{}'", file.display());
    let found = rows(&context, &query).await;
    let model = flow::Model::open(&folder.path().join("f"), &Device::flex()).unwrap();
    let (cells, condition) = model.cells(&table).unwrap();
    let found = found.column(0).as_primitive::<Float64Type>().values().to_vec();
    assert_eq!(found.len(), table.rows());
    for (found, truth) in found.iter().zip(model.log_prob(&cells, &condition)) {
        assert!((found - truth).abs() < 1e-5, "{found} against {truth}");
    }
    let values = "(VALUES (1, 1.0, NULL), (2, 1.0, 2.0)) AS t (i, x, y)";
    let null = rows(&context, &format!("SELECT log_prob('f', x, y) FROM {values} ORDER BY i")).await;
    assert!(null.column(0).is_null(0) && null.column(0).is_valid(1));
    let refused = refusal(&context, "SELECT log_prob('f', x) FROM (VALUES (1.0)) AS t (x)").await;
    let sentence = format!("log_prob takes the 2 columns of `f`, in this order: {x}, {y}");
    assert!(refused.contains(&sentence), "{refused}");
}

#[tokio::test]
async fn classes_of_pictures_by_bytes_and_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let picture = made::picture();
    made::efficientnet(&folder.path().join("e"));
    std::fs::write(folder.path().join("p.png"), picture.png()).unwrap();
    std::fs::write(folder.path().join("no.png"), "no picture").unwrap();
    let model = efficientnet::Model::open(&folder.path().join("e"), &Device::flex()).unwrap();
    let row = model.probabilities(std::slice::from_ref(&picture)).remove(0);
    let truth = model.config().classes[ranked(&row)[0]].as_str();
    let context = context(folder.path(), &[("e", "e")]);
    let path = folder.path().display();
    let paths = format!("(VALUES (1, '{path}/p.png'), (2, '{path}/no.png'), (3, NULL)) AS t (i, p)");
    let found = rows(&context, &format!("SELECT class('e', p) FROM {paths} ORDER BY i")).await;
    let classes: Vec<Option<&str>> = found.column(0).as_string::<i32>().iter().collect();
    assert_eq!(classes, [Some(truth), None, None]);
    let hex: String = picture.png().iter().map(|byte| format!("{byte:02x}")).collect();
    let found = rows(&context, &format!("SELECT class('e', decode('{hex}', 'hex'))")).await;
    assert_eq!(found.column(0).as_string::<i32>().value(0), truth);
}

#[tokio::test]
async fn the_aggregate_is_the_distance_on_the_line_in_every_group() {
    let context = local(Arc::new(Models::default()), None).unwrap();
    // Several parts, so that states are merged.
    let made =
        "SELECT value % 3 AS g, sin(value * value) AS x, value % 7 < 3 AS s FROM generate_series(1, 20000)";
    let found =
        rows(&context, &format!("SELECT g, wasserstein1(x, s) FROM ({made}) GROUP BY g ORDER BY g")).await;
    for group in 0..3_i64 {
        let of = |second: bool| -> Vec<f64> {
            let values = (1..=20000_i64).filter(|value| value % 3 == group && (value % 7 < 3) == second);
            values.map(|value| ((value * value) as f64).sin()).collect()
        };
        let (a, b) = (of(false), of(true));
        let truth = wasserstein_1d(&a, &vec![1.0; a.len()], &b, &vec![1.0; b.len()], 1.0).unwrap();
        let found = found.column(1).as_primitive::<Float64Type>().value(group as usize);
        assert!((found - truth).abs() < 1e-12, "{found} against {truth}");
    }
    let one = rows(&context, "SELECT wasserstein1(x, false) FROM (VALUES (1.0), (2.0)) AS t (x)").await;
    assert!(one.column(0).is_null(0));
}

#[tokio::test]
async fn wrong_uses_are_said() {
    let folder = tempfile::tempdir().unwrap();
    made::tokenizer(&folder.path().join("t"));
    let context = context(folder.path(), &[("t", "t"), ("gone", "nowhere")]);
    let cases = [
        ("SELECT tokens('u', 'a')", "no model has the name `u` (gone, t); name one with --model"),
        ("SELECT tokens('gone', 'a')", "nowhere"),
        ("SELECT tokens('t', 3)", "tokens takes texts, not Int64"),
        ("SELECT pairs('a')", "pairs takes lists of ids"),
        (
            "SELECT tokens(x, x) FROM (VALUES ('t'), ('u')) AS v (x)",
            "tokens takes a name in quotes first, the same for all rows",
        ),
        ("SELECT pieces('(', 'a')", "("),
        ("SELECT log_prob('t', 1.0)", "config.json"),
        ("SELECT class('t', 'a')", "config.json"),
        ("SELECT wasserstein1(x, 3) FROM (VALUES (1.0)) AS t (x)", "wasserstein1"),
    ];
    for (query, sentence) in cases {
        let refused = refusal(&context, query).await;
        assert!(refused.contains(sentence), "{query}: {refused}");
    }
}
