//! A scheduler and executors as processes on loopback give what one process gives, also when one of them is killed.

mod made;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionContext};
use dozen_data::{Column, Table, Values, write_table};
use dozen_datafusion::plans::{EdgeColumns, drift, inventory, spanning_forest, vocabulary};
use dozen_datafusion::{Address, Models, local, remote, wait_for};

/// Processes that end with the test.
struct Cluster {
    scheduler: Address,
    processes: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(arguments: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen-sql"));
    command.args(arguments).stdout(Stdio::null()).spawn().unwrap()
}

async fn cluster(folder: &Path, executors: usize, models: &[String]) -> Cluster {
    let port = free_port();
    let scheduler = Address { host: "127.0.0.1".into(), port };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut processes =
        vec![start(&[words(&["scheduler", "--port", &port.to_string()]), models.to_vec()].concat())];
    wait_for(&scheduler, Duration::from_mins(1)).await.unwrap();
    for number in 0..executors {
        let [data, control] = [free_port(), free_port()];
        let work = folder.join(format!("executor{number}")).display().to_string();
        let address = format!("127.0.0.1:{port}");
        let arguments = words(&[
            "executor",
            "--scheduler",
            &address,
            "--port",
            &data.to_string(),
            "--control-port",
            &control.to_string(),
            "--tasks",
            "2",
            "--work",
            &work,
        ]);
        processes.push(start(&[arguments, models.to_vec()].concat()));
        wait_for(&Address { host: "127.0.0.1".into(), port: control }, Duration::from_mins(1)).await.unwrap();
    }
    Cluster { scheduler, processes }
}

async fn with_tables(context: SessionContext, folder: &Path, names: &[&str]) -> SessionContext {
    for name in names {
        let path = folder.join(format!("{name}.parquet")).display().to_string();
        context.register_parquet(*name, &path, ParquetReadOptions::default()).await.unwrap();
    }
    context
}

async fn rows(context: &SessionContext, query: &str) -> RecordBatch {
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn write(folder: &Path, name: &str, columns: Vec<Column>) {
    write_table(&folder.join(format!("{name}.parquet")), [Ok(Table::new(columns).unwrap())]).unwrap();
}

fn numbers(name: &str, values: impl Iterator<Item = f64>) -> Column {
    Column::new(name, Values::Number(values.collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_gives_what_one_process_gives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    made::tokenizer(&folder.join("t"));
    made::flow(&folder.join("f"));
    write(folder, "texts", vec![Column::new("text", Values::Text(made::lines(3000)))]);
    let wave = |phase: f64| (0..4000).map(move |at| (f64::from(at) * phase).sin());
    write(folder, "a", vec![numbers("x", wave(0.7)), numbers("y", wave(0.3))]);
    write(folder, "b", vec![numbers("x", wave(1.1)), numbers("y", wave(0.2))]);
    let paths = [("t", folder.join("t")), ("f", folder.join("f"))];
    let flags: Vec<String> = paths
        .iter()
        .flat_map(|(name, path)| ["--model".into(), format!("{name}={}", path.display())])
        .collect();
    let models =
        || Arc::new(Models::new(paths.iter().map(|(name, path)| ((*name).to_owned(), path.clone()))));
    let names = ["texts", "a", "b"];
    let here = with_tables(local(models(), None).unwrap(), folder, &names).await;
    let cluster = cluster(folder, 2, &flags).await;
    let there = remote(&cluster.scheduler, models(), 4).await.unwrap();
    let there = with_tables(there, folder, &names).await;

    // Tokens, pairs of tokens, scores of rows, the aggregate; and what the engines themselves must agree on.
    for query in [
        "SELECT sum(token_count('t', text)) AS n, count(*) AS c FROM texts",
        "SELECT p['left'] AS l, p['right'] AS r, count(*) AS n FROM \
         (SELECT unnest(pairs(tokens('t', text))) AS p FROM texts) GROUP BY p['left'], p['right'] ORDER BY n DESC, l, r",
        "SELECT round(sum(log_prob('f', x, y)), 6) AS s FROM a",
        "SELECT x FROM (SELECT x FROM a UNION ALL SELECT x FROM b UNION ALL SELECT y FROM a) ORDER BY x",
        "SELECT count(*) AS n, round(sum(a.y), 6) AS s FROM a JOIN b ON round(a.x, 2) = round(b.x, 2), (SELECT max(x) AS m FROM b) c",
        "SELECT round(wasserstein1(x, s), 12) AS w FROM (SELECT x, false AS s FROM a UNION ALL SELECT x, true FROM b)",
    ] {
        assert_eq!(rows(&there, query).await, rows(&here, query).await, "{query}");
    }
    let both = [
        inventory(&here, "texts", "text", "cl100k").await,
        inventory(&there, "texts", "text", "cl100k").await,
    ];
    let [one, other] = both.map(Result::unwrap);
    assert!(one == other && one.len() > 5);
    let words = [vocabulary(&here, "texts", "text", 2).await, vocabulary(&there, "texts", "text", 2).await];
    let [one, other] = words.map(Result::unwrap);
    assert!(one.words().eq(other.words()) && one.counts() == other.counts());
    let [one, other] = [drift(&here, "a", "b").await.unwrap(), drift(&there, "a", "b").await.unwrap()];
    for (one, other) in one.iter().zip(&other) {
        assert!((one.wasserstein1 - other.wasserstein1).abs() < 1e-12, "{one:?} {other:?}");
        assert_eq!((&one.column, one.rows), (&other.column, other.rows));
    }

    let edge = |at: u64| [at * 7919 % 1000, at * at % 997, at % 13].map(|value| value.to_string());
    let lines: Vec<String> = (0..4000).map(|at| edge(at).join(",")).collect();
    std::fs::write(folder.join("edges.csv"), format!("u,v,weight\n{}\n", lines.join("\n"))).unwrap();
    let columns = EdgeColumns { u: "u".into(), v: "v".into(), weight: "weight".into() };
    let mut found = Vec::new();
    for (name, context) in [("here", &here), ("there", &there)] {
        let path = folder.join("edges.csv").display().to_string();
        context.register_csv("edges", &path, CsvReadOptions::default()).await.unwrap();
        let forest = spanning_forest(context, "edges", &columns, &folder.join(name)).await.unwrap();
        found.push((forest.count, forest.total_weight, forest.rounds));
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_executor_costs_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Several files, so that both executors have work.
    std::fs::create_dir(folder.join("texts.parquet")).unwrap();
    for part in 0..8 {
        let table = Table::new(vec![Column::new("text", Values::Text(made::lines(60_000)))]).unwrap();
        write_table(&folder.join(format!("texts.parquet/{part}.parquet")), [Ok(table)]).unwrap();
    }
    let models = || Arc::new(Models::default());
    let here = with_tables(local(models(), None).unwrap(), folder, &["texts"]).await;
    let truth = inventory(&here, "texts", "text", "cl100k").await.unwrap();
    let mut cluster = cluster(folder, 2, &[]).await;
    let there = with_tables(remote(&cluster.scheduler, models(), 8).await.unwrap(), folder, &["texts"]).await;
    let work = folder.join("executor1");
    let finished_parts = || std::fs::read_dir(&work).map_or(0, Iterator::count);
    let mut disturbed = None;
    // A job may be over before it can be disturbed; then the next one is.
    for _ in 0..20 {
        let (there, before) = (there.clone(), finished_parts());
        let job = tokio::spawn(async move { inventory(&there, "texts", "text", "cl100k").await });
        // As soon as the executor has finished a part of the job, which is lost with it.
        while finished_parts() == before && !job.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if job.is_finished() {
            continue;
        }
        cluster.processes[2].kill().unwrap();
        cluster.processes[2].wait().unwrap();
        disturbed = Some(job);
        break;
    }
    let found = disturbed.expect("no job could be disturbed").await.unwrap().unwrap();
    assert!(found == truth, "{} pieces of {} bytes", found.len(), found.bytes());
}
