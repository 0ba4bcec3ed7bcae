//! Parquet files, through Arrow.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::DataType;
use dozen_run::guarded;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::source::open_file;
use crate::{Column, DataError, Table, Values};

/// Rows decoded at once where the whole file is asked for.
const WHOLE_FILE_BATCH: usize = 65_536;

/// Opens a Parquet file of flat columns: numbers, booleans and strings.
pub(crate) fn open(
    file: &str,
    chunk_rows: usize,
) -> Result<impl Iterator<Item = Result<Table, DataError>> + Send + use<>, DataError> {
    let broken = |e: &dyn std::fmt::Display| DataError::content(file, "", e.to_string());
    let input = open_file(file)?;
    // The library panics at some damage.
    let opened = guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(input)?;
        let total = builder.metadata().file_metadata().num_rows().max(0) as usize;
        let batch = if chunk_rows >= total { WHOLE_FILE_BATCH } else { chunk_rows };
        builder.with_batch_size(batch).build()
    });
    let mut batches = opened.map_err(|panic| broken(&damaged(&panic)))?.map_err(|e| broken(&e))?;
    let file = file.to_owned();
    let mut done = 0;
    Ok(std::iter::from_fn(move || {
        let mut columns: Option<Vec<Column>> = None;
        let mut rows = 0;
        while rows < chunk_rows {
            let read = guarded(|| batches.next().transpose().map_err(|e| e.to_string()));
            let read = match read.unwrap_or_else(|panic| Err(damaged(&panic))) {
                Ok(None) => break,
                Ok(Some(batch)) => Ok(batch),
                Err(problem) => Err(problem),
            };
            let batch = read
                .map_err(|problem| DataError::content(&file, "", problem))
                .and_then(|batch| batch_columns(&file, &batch, done + rows + 1));
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            rows += batch.first().map_or(0, |column| column.values.len());
            match &mut columns {
                None => columns = Some(batch),
                Some(columns) => {
                    for (column, more) in columns.iter_mut().zip(batch) {
                        extend(&mut column.values, more.values);
                    }
                }
            }
        }
        let columns = columns?;
        done += rows;
        Some(Table::new(columns).map(|table| table.from_file(&file, done - rows + 1)))
    }))
}

fn damaged(panic: &str) -> String {
    format!("the file is damaged ({panic})")
}

fn extend(values: &mut Values, more: Values) {
    match (values, more) {
        (Values::Byte(values), Values::Byte(more)) => values.extend(more),
        (Values::Number(values), Values::Number(more)) => values.extend(more),
        (Values::Text(values), Values::Text(more)) => values.extend(more),
        _ => unreachable!("a Parquet column keeps its type"),
    }
}

fn batch_columns(file: &str, batch: &RecordBatch, first_row: usize) -> Result<Vec<Column>, DataError> {
    batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| {
            let fault = |row: Option<usize>, problem: String| {
                let place = match row {
                    Some(row) => format!("row {}, column `{}`", first_row + row, field.name()),
                    None => format!("column `{}`", field.name()),
                };
                DataError::content(file, place, problem)
            };
            if let Some(row) = (0..array.len()).find(|&row| array.is_null(row)) {
                return Err(fault(Some(row), "this cell is empty; fill it in or leave the row out".into()));
            }
            let values = array_values(array).map_err(|problem| fault(None, problem))?;
            if let Values::Number(numbers) = &values
                && let Some(row) = numbers.iter().position(|v| !v.is_finite())
            {
                let problem =
                    format!("{} is not a finite number; fill it in or leave the row out", numbers[row]);
                return Err(fault(Some(row), problem));
            }
            Ok(Column::new(field.name().clone(), values))
        })
        .collect()
}

fn array_values(array: &dyn Array) -> Result<Values, String> {
    fn numbers<T: ArrowPrimitiveType>(array: &dyn Array, convert: impl Fn(T::Native) -> f64) -> Values {
        Values::Number(array.as_primitive::<T>().values().iter().map(|&v| convert(v)).collect())
    }
    fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Values {
        Values::Text(values.map(|v| v.unwrap_or_default().to_owned()).collect())
    }
    Ok(match array.data_type() {
        DataType::Boolean => {
            Values::Byte(array.as_boolean().iter().map(|v| u8::from(v == Some(true))).collect())
        }
        DataType::UInt8 => Values::Byte(array.as_primitive::<UInt8Type>().values().to_vec()),
        DataType::UInt16 => numbers::<UInt16Type>(array, f64::from),
        DataType::UInt32 => numbers::<UInt32Type>(array, f64::from),
        DataType::UInt64 => numbers::<UInt64Type>(array, |v| v as f64),
        DataType::Int8 => numbers::<Int8Type>(array, f64::from),
        DataType::Int16 => numbers::<Int16Type>(array, f64::from),
        DataType::Int32 => numbers::<Int32Type>(array, f64::from),
        DataType::Int64 => numbers::<Int64Type>(array, |v| v as f64),
        DataType::Float32 => numbers::<Float32Type>(array, f64::from),
        DataType::Float64 => numbers::<Float64Type>(array, |v| v),
        DataType::Utf8 => texts(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => texts(array.as_string::<i64>().iter()),
        DataType::Utf8View => texts(array.as_string_view().iter()),
        other => {
            return Err(format!("values of type {other} are not read; numbers, booleans and strings are"));
        }
    })
}
