//! Results as they come: into a Parquet file, or one batch after the other.

use std::path::Path;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use dozen_run::NewFile;
use futures_util::StreamExt;

use crate::Error;

/// Runs a query and writes its rows into one file, in bounded memory. The engine's own writers put down a file for each task,
/// and a task that a cluster runs again would leave its rows twice. Gives the number of rows.
///
/// # Errors
/// When the query fails or the file cannot be written.
pub async fn write_parquet(frame: DataFrame, path: &Path) -> Result<u64, Error> {
    let schema = std::sync::Arc::new(frame.schema().as_arrow().clone());
    let file = NewFile::create(path).map_err(|error| Error::write(path, error))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties))?;
    let mut rows = 0;
    each_batch(frame, |batch| {
        rows += batch.num_rows() as u64;
        Ok(writer.write(batch)?)
    })
    .await?;
    writer.into_inner()?.commit().map_err(|error| Error::write(path, error))?;
    Ok(rows)
}

/// Calls a function with each batch of a query's rows.
pub(crate) async fn each_batch(
    frame: DataFrame,
    mut visit: impl FnMut(&RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut stream = frame.execute_stream().await?;
    while let Some(batch) = stream.next().await {
        visit(&batch?)?;
    }
    Ok(())
}
