//! Two tables as points: numbers in units of their common standard deviation, categories as corners one apart.

use std::collections::BTreeMap;

use dozen::data::{Column, Table, Values};
use dozen::transport::{Error, Points, random_directions};

use crate::output::Failure;

/// Texts that a column of categories has at most.
const CATEGORIES: usize = 100;

/// One coordinate of the rows of both tables.
type Coordinate = [Vec<f64>; 2];

/// The rows of both tables.
pub(super) struct Encoded {
    pub(super) columns: Vec<EncodedColumn>,
    pub(super) dimension: usize,
    pub(super) rows: [usize; 2],
    /// Which row of its table each is.
    pub(super) origins: [Vec<usize>; 2],
    values: [Vec<f64>; 2],
    /// Columns with one value only.
    pub(super) left_out: Vec<String>,
}

/// Where a column is among the coordinates.
#[derive(Clone)]
pub(super) struct EncodedColumn {
    pub(super) name: String,
    pub(super) first: usize,
    /// Coordinates: one, or one for each category.
    pub(super) width: usize,
    /// Empty for numbers.
    pub(super) categories: Vec<String>,
}

impl EncodedColumn {
    /// The directions of its coordinates.
    pub(super) fn axes(&self, dimension: usize) -> Vec<f64> {
        let mut axes = vec![0.0; self.width * dimension];
        for k in 0..self.width {
            axes[k * dimension + self.first + k] = 1.0;
        }
        axes
    }

    /// From the mean of the distances along its axes to its own: corners are `1 / sqrt 2` from zero, and the total variation
    /// is half the sum over the categories.
    pub(super) fn scale(&self) -> f64 {
        if self.categories.is_empty() { 1.0 } else { 0.5 * self.width as f64 * std::f64::consts::SQRT_2 }
    }
}

impl Encoded {
    pub(super) fn new(tables: &[Table; 2], chosen: &[String]) -> Result<Self, Failure> {
        let names: Vec<String> = if chosen.is_empty() {
            for (one, other) in [(0, 1), (1, 0)] {
                let lacking = tables[one].columns().iter().find(|c| tables[other].column(&c.name).is_none());
                if let Some(column) = lacking {
                    return Err(Failure::request(format!(
                        "`{}` has no column `{}`, which `{}` has; --columns names those to compare",
                        tables[other].file(),
                        column.name,
                        tables[one].file()
                    )));
                }
            }
            tables[0].columns().iter().map(|column| column.name.clone()).collect()
        } else {
            chosen.to_vec()
        };
        let rows = [tables[0].rows(), tables[1].rows()];
        let (mut columns, mut coordinates, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let pair = [column_of(&tables[0], &name)?, column_of(&tables[1], &name)?];
            let (encoded, categories) = match [&pair[0].values, &pair[1].values] {
                [Values::Text(_), Values::Text(_)] => corners(pair, &name)?,
                [Values::Text(_), _] | [_, Values::Text(_)] => {
                    return Err(Failure::request(format!(
                        "column `{name}` holds text in one table and numbers in the other; --categorical {name} takes both \
                         as text"
                    )));
                }
                _ => (standardised(pair), Vec::new()),
            };
            if encoded.is_empty() {
                left_out.push(name);
                continue;
            }
            let (first, width) = (coordinates.len(), encoded.len());
            columns.push(EncodedColumn { name, first, width, categories });
            coordinates.extend(encoded);
        }
        if columns.is_empty() {
            return Err(Failure::request(
                "every column has the same value everywhere, in both tables; there is nothing to compare",
            ));
        }
        let side = |side: usize| -> Vec<f64> {
            (0..rows[side])
                .flat_map(|row| coordinates.iter().map(move |pair: &Coordinate| pair[side][row]))
                .collect()
        };
        let values = [side(0), side(1)];
        let origins = rows.map(|rows| (0..rows).collect());
        Ok(Self { columns, dimension: coordinates.len(), rows, origins, values, left_out })
    }

    pub(super) fn sides(&self) -> Result<[Points<'_>; 2], Error> {
        Ok([Points::new(&self.values[0], self.dimension)?, Points::new(&self.values[1], self.dimension)?])
    }

    /// At most `most` rows of each table, drawn by the seed.
    pub(super) fn some_rows(&self, most: usize, seed: u64) -> Self {
        let mut chosen = self.origins.clone();
        for (side, rows) in chosen.iter_mut().enumerate() {
            if rows.len() > most {
                // Sorting by random numbers draws without replacement.
                let keys = random_directions(rows.len(), 1, seed + side as u64);
                rows.sort_by(|&i, &j| keys[i].total_cmp(&keys[j]));
                rows.truncate(most);
                rows.sort_unstable();
            }
        }
        let gather = |side: usize| -> Vec<f64> {
            chosen[side]
                .iter()
                .flat_map(|&row| self.values[side][row * self.dimension..][..self.dimension].to_vec())
                .collect()
        };
        Self {
            columns: self.columns.clone(),
            dimension: self.dimension,
            rows: [chosen[0].len(), chosen[1].len()],
            values: [gather(0), gather(1)],
            origins: chosen,
            left_out: Vec::new(),
        }
    }
}

fn column_of<'a>(table: &'a Table, name: &str) -> Result<&'a Column, Failure> {
    let missing = || Failure::request(format!("`{}` has no column `{name}`", table.file()));
    table.column(name).ok_or_else(missing)
}

/// Numbers less their common mean, in units of their common standard deviation; nothing if they are all the same.
fn standardised(pair: [&Column; 2]) -> Vec<Coordinate> {
    let numbers = pair.map(|column| {
        (0..column.values.len()).map(|row| column.values.number(row).unwrap_or(0.0)).collect::<Vec<f64>>()
    });
    let all = || numbers.iter().flatten();
    let count = all().count() as f64;
    let mean = all().sum::<f64>() / count;
    let deviation = (all().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count).sqrt();
    let same = all().all(|x| *x == numbers[0][0]);
    if same || deviation == 0.0 {
        return Vec::new();
    }
    vec![numbers.map(|numbers| numbers.into_iter().map(|x| (x - mean) / deviation).collect())]
}

/// Each category as a corner `1 / sqrt 2` from zero on an axis of its own, so that any two are one apart.
fn corners(pair: [&Column; 2], name: &str) -> Result<(Vec<Coordinate>, Vec<String>), Failure> {
    let texts =
        pair.map(|column| (0..column.values.len()).map(|row| column.values.text(row)).collect::<Vec<_>>());
    let mut places: BTreeMap<&str, usize> = texts.iter().flatten().map(|text| (text.as_str(), 0)).collect();
    if places.len() > CATEGORIES {
        return Err(Failure::request(format!(
            "column `{name}` has {} different texts, more than {CATEGORIES}: names or free text are no categories; \
             --columns names those to compare",
            places.len()
        )));
    }
    if places.len() < 2 {
        return Ok((Vec::new(), Vec::new()));
    }
    for (place, value) in places.values_mut().enumerate() {
        *value = place;
    }
    let mut coordinates = vec![texts.each_ref().map(|texts| vec![0.0; texts.len()]); places.len()];
    for (side, texts) in texts.iter().enumerate() {
        for (row, text) in texts.iter().enumerate() {
            coordinates[places[text.as_str()]][side][row] = std::f64::consts::FRAC_1_SQRT_2;
        }
    }
    Ok((coordinates, places.into_keys().map(str::to_owned).collect()))
}
