//! What training needs to know of texts: their pieces or words, and how often each occurs.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use dozen_text::Inventory;
use dozen_text::word2vec::Dictionary;

use super::{literal, quoted};
use crate::Error;
use crate::rows::each_batch;

/// The pieces of a column of texts by a pattern, for [`dozen_text::train`] or `dozen tokenizer train --inventory`: what is
/// trained from it equals what is trained from the texts. In the order of their bytes. Memory here: the different pieces.
///
/// # Errors
/// When the query fails or the pattern is none.
pub async fn inventory(
    context: &SessionContext,
    table: &str,
    column: &str,
    pattern: &str,
) -> Result<Inventory, Error> {
    let (table, column, pattern) = (quoted(table), quoted(column), literal(pattern));
    let query = format!(
        "SELECT piece, count(*) AS n FROM (SELECT unnest(pieces({pattern}, {column})) AS piece FROM {table}) \
         GROUP BY piece ORDER BY piece"
    );
    let mut inventory = Inventory::new();
    each_batch(context.sql(&query).await?, |batch| {
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for (piece, count) in batch.column(0).as_binary::<i32>().iter().zip(counts.values()) {
            inventory.add(piece.unwrap_or_default(), *count as u64);
        }
        Ok(())
    })
    .await?;
    Ok(inventory)
}

/// The words of a column of texts that occur at least so often, the most frequent first, those of one count in the order of
/// their letters: word2vec's vocabulary. Memory here: the words kept.
///
/// # Errors
/// When the query fails.
pub async fn vocabulary(
    context: &SessionContext,
    table: &str,
    column: &str,
    least_count: u64,
) -> Result<Dictionary, Error> {
    let (table, column) = (quoted(table), quoted(column));
    let query = format!(
        "SELECT word, count(*) AS n FROM (SELECT unnest(words({column})) AS word FROM {table}) \
         GROUP BY word HAVING count(*) >= {least_count} ORDER BY n DESC, word"
    );
    let mut entries: Vec<(String, u64)> = Vec::new();
    each_batch(context.sql(&query).await?, |batch| {
        let counts = batch.column(1).as_primitive::<Int64Type>();
        let words = batch.column(0).as_string::<i32>().iter();
        entries.extend(
            words.zip(counts.values()).map(|(word, count)| (word.unwrap_or_default().into(), *count as u64)),
        );
        Ok(())
    })
    .await?;
    Ok(Dictionary::new(entries)?)
}
