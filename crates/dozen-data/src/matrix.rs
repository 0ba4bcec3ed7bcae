//! A dense row-major matrix of `f32`: the form in which models take tables.

/// `rows x columns` values, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    values: Vec<f32>,
    columns: usize,
}

impl Matrix {
    /// A matrix over `values`, `columns` to a row. Of no columns there are no rows.
    ///
    /// # Panics
    /// When `values` does not divide into rows.
    pub fn new(values: Vec<f32>, columns: usize) -> Self {
        assert!(
            values.len().is_multiple_of(columns),
            "{} values do not make rows of {columns}",
            values.len()
        );
        Self { values, columns }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, given up.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The matrix of these rows, in this order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.columns);
        for &row in rows {
            values.extend_from_slice(self.row(row));
        }
        Self { values, columns: self.columns }
    }

    /// The matrix in pieces of at most `rows` rows, in order.
    pub fn chunks(&self, rows: usize) -> impl Iterator<Item = Self> + '_ {
        self.values
            .chunks(rows.max(1) * self.columns)
            .map(|values| Self { values: values.to_vec(), columns: self.columns })
    }
}
