//! IDX files, the format of MNIST: a type byte, the dimensions, then the values, all big-endian.

use std::io::Read;

use crate::limits::{MOST_COLUMNS, read_up_to};
use crate::source::Stream;
use crate::unnamed::{columns_of, unnamed};
use crate::{Column, DataError, Table, Values};

/// Opens an IDX stream of unsigned bytes; each item of the first dimension is a row.
pub(crate) fn open(
    file: &str,
    mut stream: Stream,
    chunk_rows: usize,
) -> Result<impl Iterator<Item = Result<Table, DataError>> + Send + use<>, DataError> {
    let mut magic = [0; 4];
    let short = |e| DataError::read(file, e);
    stream.read_exact(&mut magic).map_err(short)?;
    if magic[2] != 0x08 {
        return Err(DataError::content(
            file,
            "",
            format!("IDX values of type 0x{:02x} are not read; unsigned bytes (0x08) are", magic[2]),
        ));
    }
    let mut dimensions = Vec::new();
    for _ in 0..magic[3] {
        let mut size = [0; 4];
        stream.read_exact(&mut size).map_err(short)?;
        dimensions.push(u32::from_be_bytes(size) as usize);
    }
    let rows = dimensions[0];
    let width = checked_width(file, &dimensions[1..])?;
    // Named when the first row has come.
    let mut names = Vec::new();
    let file = file.to_owned();
    let mut done = 0;
    Ok(std::iter::from_fn(move || {
        let count = chunk_rows.min(rows - done);
        (count > 0).then(|| {
            let bytes = read_up_to(&mut stream, count * width).map_err(|e| DataError::read(&file, e))?;
            if bytes.len() < count * width {
                done = rows;
                return Err(DataError::content(
                    &file,
                    "",
                    format!(
                        "the header promises {rows} items of {width} bytes, but the file ends before that"
                    ),
                ));
            }
            if names.is_empty() {
                names =
                    if dimensions.len() == 1 { vec!["value".to_owned()] } else { unnamed("pixel", width) };
            }
            let columns = names
                .iter()
                .zip(columns_of(&bytes, width))
                .map(|(name, values)| Column::new(name.clone(), Values::Byte(values)))
                .collect();
            done += count;
            Ok(Table::new(columns)?.from_file(&file, done - count + 1))
        })
    }))
}

fn checked_width(file: &str, dimensions: &[usize]) -> Result<usize, DataError> {
    dimensions
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .filter(|&width| (1..=MOST_COLUMNS).contains(&width))
        .ok_or_else(|| DataError::content(file, "", format!("items of size {dimensions:?} have no values, or more than the {MOST_COLUMNS} that are read as columns")))
}
