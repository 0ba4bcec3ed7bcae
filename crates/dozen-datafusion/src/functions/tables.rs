//! `log_prob`: how likely a row is.

use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::compute::{cast, filter};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use dozen_data::{Column, Values};

use super::{Function, as_texts, wrong};
use crate::Models;

pub(super) fn log_prob(models: &Arc<Models>) -> Function {
    Function::new("log_prob", true, None, DataType::Float64, models, call)
}

/// In nats. The columns come in the model's order, then those of its condition; a row with a null has none.
fn call(models: &Models, name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let model = models.density(name)?;
    let model = model.lock().unwrap_or_else(PoisonError::into_inner);
    let names = model.columns();
    if names.len() != columns.len() {
        let problem =
            format!("takes the {} columns of `{name}`, in this order: {}", names.len(), names.join(", "));
        return Err(wrong("log_prob", &problem));
    }
    let rows = columns[0].len();
    let whole: BooleanArray =
        (0..rows).map(|row| Some(columns.iter().all(|column| column.is_valid(row)))).collect();
    if whole.true_count() == 0 {
        return Ok(Arc::new(Float64Array::new_null(rows)));
    }
    let column =
        |(name, column): (String, &ArrayRef)| Ok(Column::new(name, values(&filter(column, &whole)?)?));
    let columns = names.into_iter().zip(columns).map(column).collect::<Result<Vec<_>>>()?;
    let mut found = model.log_prob(columns).map_err(DataFusionError::Execution)?.into_iter();
    let each = whole.values().iter().map(|whole| whole.then(|| found.next()).flatten());
    Ok(Arc::new(each.collect::<Float64Array>()))
}

/// Numbers or texts without nulls.
fn values(column: &ArrayRef) -> Result<Values> {
    if column.data_type().is_numeric() || matches!(column.data_type(), DataType::Boolean) {
        let numbers = cast(column, &DataType::Float64)?;
        return Ok(Values::Number(numbers.as_primitive::<Float64Type>().values().to_vec()));
    }
    let texts = as_texts("log_prob", column)?;
    Ok(Values::Text(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()))
}
