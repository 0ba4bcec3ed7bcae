//! Bits from grey levels or probabilities.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Column, DataError, Table, Values};

/// How a grey level becomes a bit. Bytes are taken as levels out of 255, numbers as probabilities in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binarize {
    /// One at and above one half.
    Threshold,
    /// One with the level as its probability; each row draws from its own generator, so that a row's bits do not
    /// depend on how the file is cut into chunks.
    Stochastic {
        /// Fixes the draws.
        seed: u64,
    },
}

impl Binarize {
    pub(crate) fn apply(self, table: Table) -> Result<Table, DataError> {
        let mut generators: Vec<Option<StdRng>> = (0..table.rows())
            .map(|row| match self {
                Self::Threshold => None,
                Self::Stochastic { seed } => {
                    let row = table.row_in_file(row) as u64;
                    Some(StdRng::seed_from_u64(seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                }
            })
            .collect();
        let (file, first_row) = (table.file().to_owned(), table.row_in_file(0));
        let mut columns = Vec::with_capacity(table.columns().len());
        for column in table.columns() {
            let mut bits = Vec::with_capacity(table.rows());
            for (row, generator) in generators.iter_mut().enumerate() {
                let level = level(&column.values, row).ok_or_else(|| {
                    DataError::content(
                        &file,
                        format!("row {}, column `{}`", first_row + row, column.name),
                        format!(
                            "`{}` is neither a grey level nor a probability in [0, 1]",
                            column.values.text(row)
                        ),
                    )
                })?;
                let one = match generator {
                    None => level >= 0.5,
                    Some(generator) => generator.random::<f64>() < level,
                };
                bits.push(u8::from(one));
            }
            columns.push(Column::new(column.name.clone(), Values::Byte(bits)));
        }
        Ok(Table::new(columns)?.from_file(&file, first_row))
    }
}

fn level(values: &Values, row: usize) -> Option<f64> {
    match values {
        Values::Byte(bytes) => Some(f64::from(bytes[row]) / 255.0),
        Values::Number(numbers) => Some(numbers[row]).filter(|level| (0.0..=1.0).contains(level)),
        Values::Text(_) => None,
    }
}
