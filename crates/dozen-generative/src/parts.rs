//! A table cut into rows to learn from and held-out rows, and encoded.

use dozen_data::{Matrix, Schema, Table, split_rows};
use dozen_nn::Error;

/// What a model of a table learns from.
pub(crate) struct Parts {
    pub(crate) columns: Schema,
    pub(crate) condition: Schema,
    /// Rows to learn from, and their conditions.
    pub(crate) train: (Matrix, Matrix),
    /// Held-out rows, and their conditions.
    pub(crate) valid: (Matrix, Matrix),
}

impl Parts {
    /// Cuts a table by the seed. Kinds of columns, means and deviations are those of the rows to learn from. Missing cells
    /// of the columns that are modelled are no numbers, if they are `missing`, and else refused.
    pub(crate) fn of(
        table: &Table,
        condition: &[String],
        held_out: f64,
        seed: u64,
        missing: bool,
    ) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&held_out) {
            return Err(Error::Request(format!("held_out must lie in [0, 1), not {held_out}")));
        }
        if let Some(unknown) = condition.iter().find(|name| table.column(name).is_none()) {
            return Err(Error::Request(format!("there is no column `{unknown}` for the condition")));
        }
        let is_condition = |name: &str| condition.iter().any(|column| column == name);
        let rows = if held_out == 0.0 {
            vec![(0..table.rows()).collect(), Vec::new()]
        } else {
            split_rows(table.rows(), &[1.0 - held_out, held_out], seed)?
        };
        let (train, valid) = (table.select(&rows[0]), table.select(&rows[1]));
        let schema = |of: &dyn Fn(&str) -> bool| -> Result<Schema, Error> {
            let empty = !table.columns().iter().any(|column| of(&column.name));
            if empty {
                Ok(Schema { columns: Vec::new() })
            } else {
                Ok(Schema::infer(&train.columns_where(of)?, &[])?)
            }
        };
        let (columns, condition) = (schema(&|name| !is_condition(name))?, schema(&is_condition)?);
        if columns.columns.is_empty() {
            return Err(Error::Request("all columns are the condition's, and none is left to model".into()));
        }
        let cells = |table: &Table| -> Result<(Matrix, Matrix), Error> {
            let own = if missing { columns.encode_with_missing(table)? } else { columns.encode(table)? };
            Ok((own, condition.encode(table)?))
        };
        let (train, valid) = (cells(&train)?, cells(&valid)?);
        Ok(Self { columns, condition, train, valid })
    }
}
