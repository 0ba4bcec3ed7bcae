//! What takes a plan of its own: the same on one machine and on many.

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;

use crate::Error;

mod drift;
mod forest;
mod vocabulary;

pub use drift::{ColumnDrift, drift};
pub use forest::{EdgeColumns, Forest, spanning_forest};
pub use vocabulary::{inventory, vocabulary};

/// The one row that a query gives.
async fn one_row(context: &SessionContext, query: &str) -> Result<RecordBatch, Error> {
    let batches = context.sql(query).await?.collect().await?;
    let row = batches.into_iter().find(|batch| batch.num_rows() > 0);
    row.ok_or_else(|| Error::Request(format!("the engine gave no row for `{query}`")))
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
