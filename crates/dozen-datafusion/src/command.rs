//! The command line.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use datafusion::arrow::json::ArrayWriter;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use dozen_datafusion::plans::{self, ColumnDrift, EdgeColumns};
use dozen_datafusion::{
    Address, Executor, Models, executor, local, remote, scheduler, wait_for, write_parquet,
};
use serde_json::json;

use crate::tables::register;

/// Queries over Parquet, CSV, JSON lines and text with dozen's functions, on this machine or on a cluster
#[derive(Parser, Debug)]
#[command(
    name = "dozen sql",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Functions: tokens(model, text), token_count(model, text), pieces(pattern, text),\n\
                  pairs(ids), words(text), embedding(model, text), log_prob(model, column, ...),\n\
                  class(model, picture), wasserstein1(value, second).\n\n\
                  Examples:\n  \
                  dozen sql \"SELECT sum(token_count('t', text)) FROM 'texts.parquet'\" --model t=runs/tokenizer\n  \
                  dozen sql drift train.parquet new.parquet\n  \
                  dozen sql forest edges.parquet --out forest.parquet\n  \
                  dozen sql scheduler & dozen sql executor --scheduler 127.0.0.1:50050 &\n  \
                  dozen sql \"SELECT count(*) FROM r\" --table r=rows.parquet --scheduler 127.0.0.1:50050"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The query; files stand in it in quotes: FROM 'rows.parquet'; on a cluster, tables by the names of --table
    #[arg(required = true)]
    query: Option<String>,
    /// Write the rows to this Parquet file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The pieces of texts and their counts, for `dozen tokenizer train --inventory`
    Inventory(InventoryArguments),
    /// The words of texts and their counts, in the format of word2vec's -save-vocab
    Vocabulary(VocabularyArguments),
    /// How far the columns of two tables lie apart
    Drift(DriftArguments),
    /// The minimum spanning forest of a table of edges
    Forest(ForestArguments),
    /// Run a cluster's scheduler
    Scheduler(SchedulerArguments),
    /// Run one of a cluster's executors
    Executor(ExecutorArguments),
}

/// Where queries run and what they know.
#[derive(Args, Debug)]
struct Engine {
    /// A model that functions call NAME; may be given more than once
    #[arg(long = "model", value_name = "NAME=PATH", value_parser = named)]
    models: Vec<(String, PathBuf)>,
    /// A file or a folder of files that queries call NAME; may be given more than once
    #[arg(long = "table", value_name = "NAME=PATH", value_parser = named)]
    tables: Vec<(String, PathBuf)>,
    /// A cluster's scheduler; without one queries run in this process
    #[arg(long, value_name = "HOST:PORT")]
    scheduler: Option<Address>,
    /// How many parts a cluster cuts tables into
    #[arg(long, default_value_t = 4, value_name = "N")]
    partitions: usize,
    /// Bytes of memory for queries in this process, in MiB; more goes through files
    #[arg(long, value_name = "MIB", conflicts_with = "scheduler")]
    memory: Option<usize>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct InventoryArguments {
    /// A file or folder with a column of texts; of a .txt each line is one
    texts: PathBuf,
    /// That column
    #[arg(long, default_value = "text", value_name = "NAME")]
    column: String,
    /// How texts are cut: gpt2, cl100k, o200k, llama3, qwen2 or a regular expression
    #[arg(long, default_value = "cl100k", value_name = "PATTERN")]
    pattern: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Args, Debug)]
struct VocabularyArguments {
    /// A file or folder with a column of texts; of a .txt each line is one
    texts: PathBuf,
    /// That column
    #[arg(long, default_value = "text", value_name = "NAME")]
    column: String,
    /// Words that occur less often are left out
    #[arg(long, default_value_t = 5, value_name = "N")]
    min_count: u64,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Args, Debug)]
struct DriftArguments {
    /// A file or folder of rows
    first: PathBuf,
    /// Another
    second: PathBuf,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Args, Debug)]
struct ForestArguments {
    /// A file or folder of edges
    edges: PathBuf,
    /// The columns of the ends and of the weight
    #[arg(long, value_name = "U,V,WEIGHT", default_value = "u,v,weight")]
    columns: EdgeColumns,
    /// The Parquet file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Args, Debug)]
struct SchedulerArguments {
    /// Listen at this port
    #[arg(long, default_value_t = 50050, value_name = "N")]
    port: u16,
    /// Listen at this address; there is no password, so keep it within a trusted network
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    host: IpAddr,
    /// A model that functions call NAME; may be given more than once
    #[arg(long = "model", value_name = "NAME=PATH", value_parser = named)]
    models: Vec<(String, PathBuf)>,
}

#[derive(Args, Debug)]
struct ExecutorArguments {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT")]
    scheduler: Address,
    /// The address of this machine that others reach it by
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    host: IpAddr,
    /// Send data from this port
    #[arg(long, default_value_t = 50051, value_name = "N")]
    port: u16,
    /// Take orders at this port
    #[arg(long, default_value_t = 50052, value_name = "N")]
    control_port: u16,
    /// So many tasks at once [default: the machine's cores]
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,
    /// Memory of all tasks together, in MiB; more goes through files [default: 70 % of the machine's]
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// The folder of what goes between stages [default: a new one for temporary files]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// A model that functions call NAME, as the scheduler and the query do; may be given more than once
    #[arg(long = "model", value_name = "NAME=PATH", value_parser = named)]
    models: Vec<(String, PathBuf)>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.into(), path.into())),
        _ => Err("write NAME=PATH".into()),
    }
}

type Ended<T = ()> = Result<T, String>;

fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(crate) async fn run(arguments: Arguments) -> Ended {
    let Arguments { command, query, out, engine } = arguments;
    match command {
        None => run_query(&query.unwrap_or_default(), out.as_deref(), &engine).await,
        Some(Command::Inventory(arguments)) => run_inventory(arguments).await,
        Some(Command::Vocabulary(arguments)) => run_vocabulary(arguments).await,
        Some(Command::Drift(arguments)) => run_drift(arguments).await,
        Some(Command::Forest(arguments)) => run_forest(arguments).await,
        Some(Command::Scheduler(SchedulerArguments { port, host, models })) => {
            let models = Arc::new(Models::new(models));
            scheduler(SocketAddr::new(host, port), models).await.map_err(sentence)
        }
        Some(Command::Executor(arguments)) => run_executor(arguments).await,
    }
}

impl Engine {
    async fn context(&self) -> Ended<SessionContext> {
        let models = Arc::new(Models::new(self.models.iter().cloned()));
        let context = if let Some(address) = &self.scheduler {
            wait_for(address, Duration::from_secs(10)).await.map_err(sentence)?;
            remote(address, models, self.partitions).await
        } else {
            local(models, self.memory.map(|mebibytes| mebibytes << 20))
        };
        let context = context.map_err(sentence)?;
        for (name, path) in &self.tables {
            register(&context, name, path).await?;
        }
        Ok(context)
    }
}

async fn run_query(query: &str, out: Option<&Path>, engine: &Engine) -> Ended {
    let started = Instant::now();
    let context = engine.context().await?;
    let failed = |error| sentence(dozen_datafusion::Error::Query(error));
    let frame = context.sql(query).await.map_err(failed)?;
    let Some(out) = out else { return show(frame, engine.json).await };
    let rows = match out.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => write_parquet(frame, out).await.map_err(sentence)?,
        _ => return Err(format!("`{}` is no .parquet file", out.display())),
    };
    let seconds = started.elapsed().as_secs_f64();
    let line = format!("{rows} rows in {} after {seconds:.1} s", out.display());
    tell(engine.json, &json!({ "rows": rows, "out": out.display().to_string(), "seconds": seconds }), &line)
}

/// Prints all rows.
async fn show(frame: DataFrame, as_json: bool) -> Ended {
    let batches = frame.collect().await.map_err(|error| sentence(dozen_datafusion::Error::Query(error)))?;
    if as_json {
        let mut bytes = Vec::new();
        let mut writer = ArrayWriter::new(&mut bytes);
        writer.write_batches(&batches.iter().collect::<Vec<_>>()).map_err(sentence)?;
        writer.finish().map_err(sentence)?;
        let rows = if bytes.is_empty() { "[]".into() } else { String::from_utf8_lossy(&bytes) };
        return print(&format!("{{\"rows\":{rows}}}\n"));
    }
    print(&format!("{}\n", pretty_format_batches(&batches).map_err(sentence)?))
}

/// Prints a line, or the object for programs.
fn tell(as_json: bool, object: &serde_json::Value, line: &str) -> Ended {
    if as_json { print(&format!("{object}\n")) } else { print(&format!("{line}\n")) }
}

/// A reader that has gone away is no failure.
fn print(text: &str) -> Ended {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

async fn run_inventory(arguments: InventoryArguments) -> Ended {
    let InventoryArguments { texts, column, pattern, out, engine } = arguments;
    let started = Instant::now();
    let context = engine.context().await?;
    register(&context, "texts", &texts).await?;
    let inventory = plans::inventory(&context, "texts", &column, &pattern).await.map_err(sentence)?;
    dozen_data::write_with(&out, |file| inventory.write(file)).map_err(sentence)?;
    let seconds = started.elapsed().as_secs_f64();
    let object = json!({ "pieces": inventory.len(), "bytes": inventory.bytes(), "seconds": seconds, "out": out.display().to_string() });
    let (pieces, bytes) = (inventory.len(), inventory.bytes());
    let line =
        format!("{pieces} different pieces in {bytes} bytes, in {} after {seconds:.1} s", out.display());
    tell(engine.json, &object, &line)
}

async fn run_vocabulary(arguments: VocabularyArguments) -> Ended {
    let VocabularyArguments { texts, column, min_count, out, engine } = arguments;
    let started = Instant::now();
    let context = engine.context().await?;
    register(&context, "texts", &texts).await?;
    let vocabulary = plans::vocabulary(&context, "texts", &column, min_count).await.map_err(sentence)?;
    dozen_data::write_with(&out, |file| vocabulary.write(file)).map_err(sentence)?;
    let seconds = started.elapsed().as_secs_f64();
    let (words, total) = (vocabulary.len(), vocabulary.total());
    let object =
        json!({ "words": words, "occurrences": total, "seconds": seconds, "out": out.display().to_string() });
    let line = format!("{words} words, {total} occurrences, in {} after {seconds:.1} s", out.display());
    tell(engine.json, &object, &line)
}

async fn run_drift(arguments: DriftArguments) -> Ended {
    let DriftArguments { first, second, engine } = arguments;
    let context = engine.context().await?;
    register(&context, "first", &first).await?;
    register(&context, "second", &second).await?;
    let found = plans::drift(&context, "first", "second").await.map_err(sentence)?;
    if engine.json {
        let object = |column: &ColumnDrift| {
            json!({
                "column": column.column,
                "rows": column.rows,
                "means": column.means,
                "deviations": column.deviations,
                "wasserstein1": column.wasserstein1,
                "drift": column.drift(),
            })
        };
        return print(&format!("{}\n", json!({ "columns": found.iter().map(object).collect::<Vec<_>>() })));
    }
    let line = |column: &ColumnDrift| {
        let drift = column.drift().map_or("-".into(), |drift| format!("{drift:.4}"));
        let ([mean, then], distance) = (column.means, column.wasserstein1);
        format!("{drift:>12} {distance:>12.6} {mean:>12.6} {then:>12.6}  {}\n", column.column)
    };
    let title =
        format!("{:>12} {:>12} {:>12} {:>12}  column\n", "drift", "wasserstein1", "mean", "mean then");
    print(&std::iter::once(title).chain(found.iter().map(line)).collect::<String>())
}

async fn run_forest(arguments: ForestArguments) -> Ended {
    let ForestArguments { edges, columns, out, engine } = arguments;
    let started = Instant::now();
    let context = engine.context().await?;
    register(&context, "edges", &edges).await?;
    // Beside the result, which the cluster's machines see, too.
    let mut work = out.as_os_str().to_owned();
    work.push(".rounds");
    let work = PathBuf::from(work);
    let forest = plans::spanning_forest(&context, "edges", &columns, &work).await;
    let moved = forest.map_err(sentence).and_then(|forest| {
        std::fs::rename(&forest.edges, &out)
            .map_err(|error| format!("cannot write `{}`: {error}", out.display()))?;
        Ok(forest)
    });
    let _ = std::fs::remove_dir_all(&work);
    let forest = moved?;
    let seconds = started.elapsed().as_secs_f64();
    let object = json!({
        "edges": forest.count,
        "total_weight": forest.total_weight,
        "rounds": forest.rounds,
        "seconds": seconds,
        "out": out.display().to_string(),
    });
    let line = format!(
        "{} edges of weight {} after {} rounds, in {} after {seconds:.1} s",
        forest.count,
        forest.total_weight,
        forest.rounds,
        out.display()
    );
    tell(engine.json, &object, &line)
}

async fn run_executor(arguments: ExecutorArguments) -> Ended {
    let ExecutorArguments { scheduler, host, port, control_port, tasks, memory, work, models } = arguments;
    // A folder that was named may hold other things, and stays.
    let own = work.is_none();
    let work = work.unwrap_or_else(|| std::env::temp_dir().join(format!("dozen-sql-{}", std::process::id())));
    std::fs::create_dir_all(&work).map_err(|error| format!("cannot write `{}`: {error}", work.display()))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let described = Executor {
        scheduler,
        host,
        port,
        control_port,
        tasks: tasks.unwrap_or(cores),
        memory: memory.map(|mebibytes| mebibytes << 20),
        work: work.clone(),
    };
    let ended = executor(described, Arc::new(Models::new(models))).await.map_err(sentence);
    if own {
        let _ = std::fs::remove_dir_all(work);
    }
    ended
}
