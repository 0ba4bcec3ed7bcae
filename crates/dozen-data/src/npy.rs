//! NumPy's NPY format, and NPZ archives of it.

use std::io::{BufReader, Cursor, Read};

use crate::limits::{check_columns, read_up_to};
use crate::packed::read_entry;
use crate::source::{Stream, open_file};
use crate::unnamed::{columns_of, unnamed};
use crate::{Column, DataError, Table, Values};

/// The header of an NPY file.
struct Layout {
    kind: ElementKind,
    size: usize,
    fortran_order: bool,
    shape: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum ElementKind {
    Bool,
    Unsigned,
    Signed,
    Float,
}

/// Opens an NPY stream; the first dimension counts rows, the others make up a row.
pub(crate) fn open(
    file: &str,
    mut stream: Stream,
    chunk_rows: usize,
) -> Result<impl Iterator<Item = Result<Table, DataError>> + Send + use<>, DataError> {
    let layout = read_layout(file, &mut stream)?;
    let rows = layout.shape.first().copied().unwrap_or(1);
    let width = layout.shape.iter().skip(1).product::<usize>();
    if width == 0 || rows == 0 {
        return Err(DataError::content(
            file,
            "",
            format!("the array has shape {:?}: no values", layout.shape),
        ));
    }
    // Named when the first row has come.
    let mut names = Vec::new();
    let file = file.to_owned();
    // Column-major arrays cannot be cut into rows while streaming.
    let chunk_rows = if layout.fortran_order { rows } else { chunk_rows.min(rows) };
    let mut done = 0;
    Ok(std::iter::from_fn(move || {
        let count = chunk_rows.min(rows - done);
        (count > 0).then(|| {
            let wanted = count * width * layout.size;
            let bytes = read_up_to(&mut stream, wanted).map_err(|e| DataError::read(&file, e))?;
            if bytes.len() < wanted {
                done = rows;
                return Err(DataError::content(
                    &file,
                    "",
                    format!("the header promises shape {:?}, but the file ends before that", layout.shape),
                ));
            }
            if names.is_empty() {
                check_columns(&file, width)?;
                names = unnamed("column", width);
            }
            let table = table(&file, &layout, &bytes, &names, done + 1);
            done += count;
            table
        })
    }))
}

/// Opens one array of an NPZ archive: `key`, or the only one there is.
pub(crate) fn open_npz(
    file: &str,
    key: Option<&str>,
    chunk_rows: usize,
) -> Result<impl Iterator<Item = Result<Table, DataError>> + Send + use<>, DataError> {
    let broken = |e: zip::result::ZipError| DataError::content(file, "", e.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(open_file(file)?)).map_err(broken)?;
    let keys: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.trim_end_matches(".npy").to_owned()))
        .collect();
    let key = match key {
        Some(key) if keys.iter().any(|k| k == key) => key.to_owned(),
        None if keys.len() == 1 => keys[0].clone(),
        asked => {
            let asked = asked
                .map_or("there are several arrays".to_owned(), |key| format!("there is no array `{key}`"));
            return Err(DataError::content(
                file,
                "",
                format!("{asked}; write {file}:KEY with KEY one of {}", keys.join(", ")),
            ));
        }
    };
    let entry = archive.by_name(&format!("{key}.npy")).map_err(broken)?;
    let (packed, says) = (entry.compressed_size(), entry.size());
    let bytes = read_entry(entry, packed, says).map_err(|e| DataError::read(file, e))?;
    open(&format!("{file}:{key}"), Box::new(Cursor::new(bytes)), chunk_rows)
}

fn read_layout(file: &str, stream: &mut Stream) -> Result<Layout, DataError> {
    let mut start = [0; 8];
    let cut = |e| DataError::read(file, e);
    stream.read_exact(&mut start).map_err(cut)?;
    let length = if start[6] == 1 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).map_err(cut)?;
        usize::from(u16::from_le_bytes(length))
    } else {
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(cut)?;
        u32::from_le_bytes(length) as usize
    };
    if length > 1 << 20 {
        return Err(DataError::content(file, "", "the NPY header is not sensible"));
    }
    let mut header = vec![0; length];
    stream.read_exact(&mut header).map_err(cut)?;
    parse_header(&String::from_utf8_lossy(&header)).map_err(|problem| DataError::content(file, "", problem))
}

/// Parses the Python dictionary of an NPY header, as in
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse_header(header: &str) -> Result<Layout, String> {
    let after = |key: &str| {
        header
            .split_once(key)
            .map(|(_, rest)| rest.trim_start_matches([':', ' ']))
            .ok_or(format!("the NPY header has no {key}"))
    };
    let descr = after("'descr'")?;
    let descr = descr.trim_start_matches('\'').split('\'').next().unwrap_or_default();
    let first = |text: &str| text.chars().next().map_or(0, char::len_utf8);
    let (order, code) = descr.split_at(first(descr));
    if order == ">" {
        return Err(format!(
            "big-endian values ({descr}) are not read; save the array with native byte order"
        ));
    }
    let (kind, size) = code.split_at(first(code));
    let kind = match kind {
        "b" => ElementKind::Bool,
        "u" => ElementKind::Unsigned,
        "i" => ElementKind::Signed,
        "f" => ElementKind::Float,
        _ => return Err(format!("values of type {descr} are not read; numbers and booleans are")),
    };
    let size = size
        .parse()
        .ok()
        .filter(|size| {
            matches!((kind, size), (ElementKind::Float, 4 | 8))
                || (kind != ElementKind::Float && matches!(size, 1 | 2 | 4 | 8))
        })
        .ok_or(format!("values of type {descr} are not read; f4, f8, integers and booleans are"))?;
    let shape = after("'shape'")?;
    let shape = shape.trim_start_matches('(').split(')').next().unwrap_or_default();
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        // Python 2 wrote long integers as `1400L`.
        .map(|size| size.trim_end_matches('L'))
        .map(|size| size.parse().map_err(|_| format!("`{size}` in the NPY shape is not a number")))
        .collect::<Result<Vec<usize>, _>>()?;
    shape
        .iter()
        .try_fold(size, |product: usize, &n| product.checked_mul(n))
        .ok_or("the NPY shape overflows")?;
    Ok(Layout { kind, size, fortran_order: after("'fortran_order'")?.starts_with("True"), shape })
}

fn table(
    file: &str,
    layout: &Layout,
    bytes: &[u8],
    names: &[String],
    first_row: usize,
) -> Result<Table, DataError> {
    let columns: Vec<Values> = if layout.size == 1 && layout.kind != ElementKind::Signed {
        split(bytes, names.len(), layout.fortran_order).into_iter().map(Values::Byte).collect()
    } else {
        let numbers: Vec<f64> = bytes.chunks_exact(layout.size).map(|b| decode(layout.kind, b)).collect();
        split(&numbers, names.len(), layout.fortran_order).into_iter().map(narrowed).collect()
    };
    for (name, values) in names.iter().zip(&columns) {
        if let Values::Number(numbers) = values
            && let Some(row) = numbers.iter().position(|v| !v.is_finite())
        {
            return Err(DataError::content(
                file,
                format!("row {}, column `{name}`", first_row + row),
                format!("{} is not a finite number; fill it in or leave the row out", numbers[row]),
            ));
        }
    }
    let columns = names.iter().zip(columns).map(|(name, values)| Column::new(name.clone(), values)).collect();
    Ok(Table::new(columns)?.from_file(file, first_row))
}

fn split<T: Copy>(values: &[T], columns: usize, column_major: bool) -> Vec<Vec<T>> {
    if column_major {
        values.chunks(values.len() / columns).map(<[T]>::to_vec).collect()
    } else {
        columns_of(values, columns)
    }
}

/// Bits and small codes are often saved as floats; as bytes they take an eighth of the memory.
fn narrowed(values: Vec<f64>) -> Values {
    if values.iter().all(|&v| v == f64::from(v as u8)) {
        Values::Byte(values.iter().map(|&v| v as u8).collect())
    } else {
        Values::Number(values)
    }
}

fn decode(kind: ElementKind, bytes: &[u8]) -> f64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    match (kind, bytes.len()) {
        (ElementKind::Float, 4) => f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        (ElementKind::Float, _) => f64::from_le_bytes(wide),
        (ElementKind::Signed, size) => {
            let shift = 64 - 8 * size as u32;
            ((u64::from_le_bytes(wide) << shift) as i64 >> shift) as f64
        }
        _ => u64::from_le_bytes(wide) as f64,
    }
}
