//! Named, typed columns of equal length.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::DataError;

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers from 0 to 255: bits, small codes, grey levels.
    Byte(Vec<u8>),
    /// Finite numbers, and NaN for cells that are missing where those are read.
    Number(Vec<f64>),
    /// Text, taken as categories.
    Text(Vec<String>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Byte(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row as a number; `None` for text.
    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Byte(values) => Some(f64::from(values[row])),
            Self::Number(values) => Some(values[row]),
            Self::Text(_) => None,
        }
    }

    /// The value of a row as it is written.
    pub fn text(&self, row: usize) -> String {
        match self {
            Self::Byte(values) => values[row].to_string(),
            Self::Number(values) => values[row].to_string(),
            Self::Text(values) => values[row].clone(),
        }
    }

    /// Whether a row's cell is missing: an empty text, or no number.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Byte(_) => false,
            Self::Number(values) => values[row].is_nan(),
            Self::Text(values) => values[row].is_empty(),
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Byte(values) => Self::Byte(rows.iter().map(|&row| values[row]).collect()),
            Self::Number(values) => Self::Number(rows.iter().map(|&row| values[row]).collect()),
            Self::Text(values) => Self::Text(rows.iter().map(|&row| values[row].clone()).collect()),
        }
    }
}

/// A column: its name and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Unique within its table.
    pub name: String,
    /// One value a row.
    pub values: Values,
}

impl Column {
    /// A column of this name.
    pub fn new(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), values }
    }
}

/// Named, typed columns of equal length, and where they came from.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: usize,
    file: String,
    first_row: usize,
    /// The numbers of rows that were selected from a file's.
    selected: Option<Arc<[usize]>>,
    /// The places of many columns by their names, once they are asked for.
    places: OnceLock<Arc<HashMap<String, usize>>>,
}

/// A table of more columns finds them by their names in a map.
const FEW: usize = 32;

impl Table {
    /// A table of these columns.
    ///
    /// # Errors
    /// When there are no columns, they differ in length, or two have the same name.
    pub fn new(columns: Vec<Column>) -> Result<Self, DataError> {
        let Some(first) = columns.first() else {
            return Err(DataError::Request("a table needs at least one column".into()));
        };
        let rows = first.values.len();
        let mut names = std::collections::HashSet::new();
        for column in &columns {
            if column.values.len() != rows {
                return Err(DataError::Request(format!(
                    "column `{}` has {} rows, column `{}` has {rows}",
                    column.name,
                    column.values.len(),
                    first.name
                )));
            }
            if !names.insert(column.name.as_str()) {
                return Err(DataError::Request(format!(
                    "two columns are named `{}`; names must differ",
                    column.name
                )));
            }
        }
        Ok(Self {
            columns,
            rows,
            file: "the table".into(),
            first_row: 1,
            selected: None,
            places: OnceLock::new(),
        })
    }

    /// Says which file, and which of its rows, this table holds; errors about the table then name them.
    #[must_use]
    pub fn from_file(mut self, file: &str, first_row: usize) -> Self {
        file.clone_into(&mut self.file);
        self.first_row = first_row;
        self.selected = None;
        self
    }

    /// The table of the columns with these names, in their order.
    ///
    /// # Errors
    /// When there are none.
    pub fn columns_where(&self, keep: impl Fn(&str) -> bool) -> Result<Self, DataError> {
        let columns = self.columns.iter().filter(|column| keep(&column.name)).cloned().collect();
        let (file, selected) = (self.file.clone(), self.selected.clone());
        Ok(Self { file, first_row: self.first_row, selected, ..Self::new(columns)? })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns, given up.
    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        if self.columns.len() <= FEW {
            return self.columns.iter().find(|column| column.name == name);
        }
        let named = || self.columns.iter().zip(0..).map(|(column, place)| (column.name.clone(), place));
        let places = self.places.get_or_init(|| Arc::new(named().collect()));
        places.get(name).map(|place| &self.columns[*place])
    }

    /// The file that the table came from, as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The number in the file, from 1, of the table's row `row`, from 0.
    pub fn row_in_file(&self, row: usize) -> usize {
        self.selected.as_ref().map_or(self.first_row + row, |numbers| numbers[row])
    }

    /// The table of these rows, in this order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            columns: self
                .columns
                .iter()
                .map(|column| Column::new(column.name.clone(), column.values.select(rows)))
                .collect(),
            rows: rows.len(),
            file: self.file.clone(),
            first_row: self.first_row,
            selected: Some(rows.iter().map(|&row| self.row_in_file(row)).collect()),
            places: self.places.clone(),
        }
    }
}
