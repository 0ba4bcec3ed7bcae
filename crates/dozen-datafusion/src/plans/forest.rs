//! Minimum spanning forests by Boruvka's rounds over a table of edges.

use std::path::{Path, PathBuf};

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::prelude::{ParquetReadOptions, SessionContext};

use super::{one_row, quoted};
use crate::{Error, write_parquet};

/// The columns of a table of edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeColumns {
    /// Whole numbers: one end.
    pub u: String,
    /// Whole numbers: the other end.
    pub v: String,
    /// Numbers.
    pub weight: String,
}

impl std::str::FromStr for EdgeColumns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split(',').map(str::trim).collect::<Vec<_>>()[..] {
            [u, v, weight] => Ok(Self { u: u.into(), v: v.into(), weight: weight.into() }),
            _ => Err("name three columns: one end, the other, the weight".into()),
        }
    }
}

/// A forest whose edges lie in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// Parquet: `u` and `v`, the lesser end first, and `weight`.
    pub edges: PathBuf,
    /// How many they are.
    pub count: u64,
    /// The sum of their weights.
    pub total_weight: f64,
    /// Rounds that it took: at most the binary logarithm of the nodes.
    pub rounds: usize,
}

/// The minimum spanning forest of a table of edges (Boruvka 1926). In each round every component takes its least edge that
/// leaves it, those of one weight by their ends, so that there is one forest; components that were joined become one by pointer
/// jumping; of the edges between two components the least stays. Self-loops are passed over.
///
/// What lies between the rounds goes to files in `work`, which the engine's workers read, too. Memory here: none that grows.
///
/// # Errors
/// When an end or a weight is missing or no number, or the engine fails.
pub async fn spanning_forest(
    context: &SessionContext,
    table: &str,
    columns: &EdgeColumns,
    work: &Path,
) -> Result<Forest, Error> {
    std::fs::create_dir_all(work).map_err(|error| Error::write(work, error))?;
    let rounds = Rounds { context, work };
    check(context, table, columns).await?;
    let [u, v, w] = [&columns.u, &columns.v, &columns.weight].map(|name| quoted(name));
    // Between two components only the least edge can matter, and least is by weight, then by ends.
    let mut edges = rounds
        .keep(
            "edges0",
            &format!(
                "SELECT u AS a, v AS b, min(w) AS w, u, v FROM (SELECT least({u}, {v}) AS u, greatest({u}, {v}) AS v, \
                 CAST({w} AS DOUBLE) AS w FROM {}) WHERE u <> v GROUP BY u, v",
                quoted(table)
            ),
        )
        .await?;
    let mut chosen: Vec<String> = Vec::new();
    let mut round = 0;
    while edges > 0 {
        let joined = rounds.join_components(round).await?;
        edges = rounds.contract(round, &joined.roots).await?;
        chosen.push(joined.chosen);
        round += 1;
    }
    let all: Vec<String> =
        chosen.iter().map(|round| format!("SELECT u, v, w AS weight FROM {round}")).collect();
    let all =
        if all.is_empty() { "SELECT u, v, w AS weight FROM edges0".into() } else { all.join(" UNION ALL ") };
    let path = work.join("forest.parquet");
    let count =
        write_parquet(context.sql(&format!("SELECT * FROM ({all}) ORDER BY weight, u, v")).await?, &path)
            .await?;
    let total = one_row(context, &format!("SELECT coalesce(sum(weight), 0.0) FROM ({all})")).await?;
    let total_weight = total.column(0).as_primitive::<Float64Type>().value(0);
    rounds.clean(round)?;
    Ok(Forest { edges: path, count, total_weight, rounds: round })
}

/// Refuses edges without an end or a weight.
async fn check(context: &SessionContext, table: &str, columns: &EdgeColumns) -> Result<(), Error> {
    let frame = context.table(table).await?;
    for name in [&columns.u, &columns.v] {
        let field = frame.schema().field_with_unqualified_name(name)?;
        if !field.data_type().is_integer() {
            let kind = field.data_type();
            return Err(Error::Request(format!(
                "the ends of edges are whole numbers, and `{name}` holds {kind}"
            )));
        }
    }
    let [u, v, w] = [&columns.u, &columns.v, &columns.weight].map(|name| quoted(name));
    let query = format!(
        "SELECT count(*) FROM {} WHERE {u} IS NULL OR {v} IS NULL OR {w} IS NULL OR isnan(CAST({w} AS DOUBLE))",
        quoted(table)
    );
    match count(context, &query).await? {
        0 => Ok(()),
        wrong => Err(Error::Request(format!(
            "{wrong} edges of `{table}` have no end, or a weight that is no number"
        ))),
    }
}

async fn count(context: &SessionContext, query: &str) -> Result<i64, Error> {
    Ok(one_row(context, query).await?.column(0).as_primitive::<Int64Type>().value(0))
}

/// What a round gives: the names of two tables.
struct Joined {
    /// The edges that were taken: `w`, `u`, `v`.
    chosen: String,
    /// The root `r` of each component `c`.
    roots: String,
}

/// The tables between the rounds, each in a file of `work`.
struct Rounds<'a> {
    context: &'a SessionContext,
    work: &'a Path,
}

impl Rounds<'_> {
    /// Runs a query, puts its rows into a file and makes them a table; gives the number of rows.
    async fn keep(&self, name: &str, query: &str) -> Result<u64, Error> {
        let path = self.work.join(format!("{name}.parquet"));
        let rows = write_parquet(self.context.sql(query).await?, &path).await?;
        let _ = self.context.deregister_table(name)?;
        let path = path.display().to_string();
        self.context.register_parquet(name, &path, ParquetReadOptions::default()).await?;
        Ok(rows)
    }

    /// Each component's least edge and the component at its other end; then the root that each component hangs from.
    async fn join_components(&self, round: usize) -> Result<Joined, Error> {
        let (edges, least) = (format!("edges{round}"), format!("least{round}"));
        self.keep(
            &least,
            &format!(
                "SELECT c, o, w, u, v FROM (\
                 SELECT c, o, w, u, v, row_number() OVER (PARTITION BY c ORDER BY w, u, v) AS n FROM (\
                 SELECT a AS c, b AS o, w, u, v FROM {edges} UNION ALL SELECT b, a, w, u, v FROM {edges})) WHERE n = 1"
            ),
        )
        .await?;
        // Two components that chose the same edge point at each other: the lesser one is the root. No other ring can be,
        // since edges are ordered.
        let mut roots = format!("roots{round}_0");
        self.keep(
            &roots,
            &format!(
                "SELECT x.c AS c, CASE WHEN y.o = x.c AND x.c < x.o THEN x.c ELSE x.o END AS r \
                 FROM {least} x JOIN {least} y ON y.c = x.o"
            ),
        )
        .await?;
        for jump in 1.. {
            let moving =
                format!("SELECT count(*) FROM {roots} x JOIN {roots} y ON y.c = x.r WHERE y.r <> x.r");
            if count(self.context, &moving).await? == 0 {
                break;
            }
            let next = format!("roots{round}_{jump}");
            self.keep(
                &next,
                &format!("SELECT x.c AS c, y.r AS r FROM {roots} x JOIN {roots} y ON y.c = x.r"),
            )
            .await?;
            self.forget(&roots)?;
            roots = next;
        }
        let chosen = format!("chosen{round}");
        self.keep(&chosen, &format!("SELECT DISTINCT w, u, v FROM {least}")).await?;
        self.forget(&least)?;
        Ok(Joined { chosen, roots })
    }

    /// The edges between the new components, the least of each two; gives their number.
    async fn contract(&self, round: usize, roots: &str) -> Result<u64, Error> {
        let edges = format!("edges{round}");
        let left = self
            .keep(
                &format!("edges{}", round + 1),
                &format!(
                    "SELECT a, b, w, u, v FROM (\
                     SELECT a, b, w, u, v, row_number() OVER (PARTITION BY a, b ORDER BY w, u, v) AS n FROM (\
                     SELECT least(x.r, y.r) AS a, greatest(x.r, y.r) AS b, w, u, v \
                     FROM {edges} JOIN {roots} x ON x.c = a JOIN {roots} y ON y.c = b WHERE x.r <> y.r)) WHERE n = 1"
                ),
            )
            .await?;
        self.forget(roots)?;
        if round > 0 {
            self.forget(&edges)?;
        }
        Ok(left)
    }

    /// Drops a table and its file.
    fn forget(&self, name: &str) -> Result<(), Error> {
        let _ = self.context.deregister_table(name)?;
        let path = self.work.join(format!("{name}.parquet"));
        std::fs::remove_file(&path).map_err(|error| Error::write(&path, error))
    }

    /// Leaves the forest alone.
    fn clean(&self, rounds: usize) -> Result<(), Error> {
        self.forget("edges0")?;
        if rounds > 0 {
            self.forget(&format!("edges{rounds}"))?;
        }
        (0..rounds).try_for_each(|round| self.forget(&format!("chosen{round}")))
    }
}
