//! Rows of numbers whose file names no columns, as NPY, IDX and images hold.

/// Made-up names of columns.
pub(crate) fn unnamed(prefix: &str, columns: usize) -> Vec<String> {
    (1..=columns).map(|i| format!("{prefix}_{i}")).collect()
}

/// Transposes a row-major chunk into columns.
pub(crate) fn columns_of<T: Copy>(rows: &[T], columns: usize) -> Vec<Vec<T>> {
    (0..columns).map(|column| rows.iter().skip(column).step_by(columns).copied().collect()).collect()
}
