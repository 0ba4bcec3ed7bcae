//! What trained models of tables can do, whatever their family: what the program's verbs, the server and SQL are written
//! against.

use std::path::{Path, PathBuf};

use dozen_data::{Column, ImageShape, Matrix, Schema, Table, Values};
use dozen_nn::{Device, Error, Existing, ModelFolder, RunFolder};

use crate::{autoregressive, flow, gan, vae};

/// What the score of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// `ln p` of the row, in nats and in the data's own units.
    LogProb,
    /// A lower bound on it.
    LogProbBound,
    /// What a critic says of the row: higher looks more like data. It is no log-probability.
    CriticValue,
}

impl Measure {
    /// The name of the score's column.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogProb => "log_prob_nats",
            Self::LogProbBound => "log_prob_bound_nats",
            Self::CriticValue => "critic_value",
        }
    }
}

/// What a model of a table is of; its own methods say what each part is.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// [`TableModel::family`].
    pub family: &'static str,
    /// [`TableModel::columns`].
    pub columns: &'a Schema,
    /// [`TableModel::condition`].
    pub condition: &'a Schema,
    /// [`TableModel::image`].
    pub image: Option<ImageShape>,
}

/// A trained model of the rows of a table.
///
/// Encoded cells are matrices of a row for each row and a column for each of [`TableModel::columns`]: standardized numbers,
/// bits, and the places of levels.
pub trait TableModel: Send {
    /// What it is a model of.
    fn about(&self) -> About<'_>;

    /// Writes all of the model into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    fn write(&self, run: &RunFolder) -> Result<(), Error>;

    /// Saves the model as a folder, which must not hold another, and gives the folder.
    ///
    /// # Errors
    /// When the folder holds anything, or the disk fails.
    fn save(&self, folder: &Path) -> Result<PathBuf, Error> {
        let run = RunFolder::begin(folder, Existing::Keep)?;
        self.write(&run)?;
        Ok(run.finish()?)
    }

    /// The family's name, as in `config.json`.
    fn family(&self) -> &'static str {
        self.about().family
    }

    /// The columns that it models.
    fn columns(&self) -> &Schema {
        self.about().columns
    }

    /// The columns that it is conditional on; of no columns where there is no condition.
    fn condition(&self) -> &Schema {
        self.about().condition
    }

    /// The shape of the images that its rows are, if they are.
    fn image(&self) -> Option<ImageShape> {
        self.about().image
    }

    /// Draws encoded rows, each under its row of the encoded `condition`. Of images whose pixels are the means of a
    /// distribution it gives those means. Which rows are drawn depends on the seed alone.
    ///
    /// # Errors
    /// When the model's networks fail.
    fn draw(&self, rows: usize, condition: &Matrix, seed: u64) -> Result<Matrix, Error>;

    /// Encoded rows as a table, in the data's own units. Bits that are means rather than draws are numbers.
    ///
    /// # Errors
    /// When the cells are not the model's.
    fn table(&self, cells: &Matrix) -> Result<Table, Error> {
        table_of(self.columns(), cells)
    }

    /// How bright each pixel of encoded images is, from 0 to 1; by default the cells are that already.
    ///
    /// # Errors
    /// When the cells are not the model's.
    fn brightness(&self, cells: &Matrix) -> Result<Matrix, Error> {
        Ok(cells.clone())
    }

    /// What [`TableModel::score`] says of a row.
    fn measure(&self) -> Measure;

    /// The [`Measure`] of each row of a table with the model's columns and those of its condition.
    ///
    /// # Errors
    /// When the table does not fit the model.
    fn score(&self, table: &Table) -> Result<Vec<f64>, Error>;

    /// All figures of each row, as columns; the first is the [`Measure`], by its name.
    ///
    /// # Errors
    /// When the table does not fit the model.
    fn figures(&self, table: &Table) -> Result<Vec<Column>, Error> {
        Ok(vec![numbers(self.measure().name(), self.score(table)?)])
    }
}

/// A model that has a code, or latent, for each row.
pub trait LatentModel: TableModel {
    /// The names of the code's columns.
    fn code_names(&self) -> Vec<String>;

    /// The encoded rows and condition of a table.
    ///
    /// # Errors
    /// When the table does not fit the model.
    fn cells(&self, table: &Table) -> Result<(Matrix, Matrix), Error>;

    /// The code of each encoded row under its condition.
    fn encode(&self, cells: &Matrix, condition: &Matrix) -> Matrix;

    /// The encoded row of each code under its condition.
    fn decode(&self, codes: &Matrix, condition: &Matrix) -> Matrix;
}

/// Opens the model folder of any family of tables.
///
/// # Errors
/// When the folder is not whole, or its family is none of tables.
pub fn open(folder: &Path, device: &Device) -> Result<Box<dyn TableModel>, Error> {
    let opened = ModelFolder::open(folder)?;
    Ok(match opened.family() {
        autoregressive::FAMILY => Box::new(autoregressive::Model::open(folder, device)?),
        flow::FAMILY => Box::new(flow::Model::open(folder, device)?),
        vae::FAMILY => Box::new(vae::Model::open(folder, device)?),
        gan::FAMILY => Box::new(gan::Model::open(folder, device)?),
        other => {
            return Err(Error::Folder {
                folder: folder.to_owned(),
                problem: format!("holds a model of the family {other}, which is not of tables"),
            });
        }
    })
}

/// No columns: the condition of a model without one.
static NOTHING: Schema = Schema { columns: Vec::new() };

fn table_of(columns: &Schema, cells: &Matrix) -> Result<Table, Error> {
    let decoded = columns.decode(cells)?;
    let as_numbers = |(at, column): (usize, &Column)| {
        let values = || (0..cells.rows()).map(|row| cells.row(row)[at]);
        match column.values {
            Values::Byte(_) if values().any(|value| value.fract() != 0.0) => {
                numbers(&column.name, values().map(f64::from))
            }
            _ => column.clone(),
        }
    };
    Ok(Table::new(decoded.columns().iter().enumerate().map(as_numbers).collect())?)
}

fn numbers(name: &str, values: impl IntoIterator<Item = f64>) -> Column {
    Column::new(name, Values::Number(values.into_iter().collect()))
}

impl TableModel for autoregressive::Model {
    fn about(&self) -> About<'_> {
        About {
            family: autoregressive::FAMILY,
            columns: &self.config().columns,
            condition: &NOTHING,
            image: None,
        }
    }

    fn write(&self, run: &RunFolder) -> Result<(), Error> {
        self.write(run)
    }

    fn draw(&self, rows: usize, _condition: &Matrix, seed: u64) -> Result<Matrix, Error> {
        Ok(self.sample_cells(rows, seed))
    }

    fn measure(&self) -> Measure {
        Measure::LogProb
    }

    fn score(&self, table: &Table) -> Result<Vec<f64>, Error> {
        Ok(self.log_prob(&self.config().columns.encode(table)?))
    }

    fn figures(&self, table: &Table) -> Result<Vec<Column>, Error> {
        let rows = autoregressive::surprises(self, table)?;
        let columns = rows.iter().map(|row| row.column.clone()).collect();
        Ok(vec![
            numbers(self.measure().name(), rows.iter().map(|row| row.log_prob)),
            Column::new("surprising_column", Values::Text(columns)),
            numbers("surprising_column_log_prob_nats", rows.iter().map(|row| row.column_log_prob)),
        ])
    }
}

impl TableModel for flow::Model {
    fn about(&self) -> About<'_> {
        let flow::Saved { columns, condition, image, .. } = self.config();
        About { family: flow::FAMILY, columns, condition, image: *image }
    }

    fn write(&self, run: &RunFolder) -> Result<(), Error> {
        self.write(run)
    }

    fn draw(&self, rows: usize, condition: &Matrix, seed: u64) -> Result<Matrix, Error> {
        Ok(self.couples(rows, condition, seed).1)
    }

    fn table(&self, cells: &Matrix) -> Result<Table, Error> {
        self.table_of(cells)
    }

    fn brightness(&self, cells: &Matrix) -> Result<Matrix, Error> {
        // Pixels are whole levels in their own units.
        let table = self.table_of(cells)?;
        let level = |row: usize, column: &Column| column.values.number(row).unwrap_or(0.0) / 255.0;
        let levels = (0..table.rows())
            .flat_map(|row| table.columns().iter().map(move |column| level(row, column) as f32));
        Ok(Matrix::new(levels.collect(), cells.columns()))
    }

    fn measure(&self) -> Measure {
        Measure::LogProb
    }

    fn score(&self, table: &Table) -> Result<Vec<f64>, Error> {
        let (cells, condition) = self.cells(table)?;
        Ok(self.log_prob(&cells, &condition))
    }

    fn figures(&self, table: &Table) -> Result<Vec<Column>, Error> {
        Ok(self.log_prob_columns(TableModel::score(self, table)?))
    }
}

impl LatentModel for flow::Model {
    fn code_names(&self) -> Vec<String> {
        self.config().columns.columns.iter().map(|column| format!("z_{}", column.name)).collect()
    }

    fn cells(&self, table: &Table) -> Result<(Matrix, Matrix), Error> {
        self.cells(table)
    }

    fn encode(&self, cells: &Matrix, condition: &Matrix) -> Matrix {
        self.encode(cells, condition)
    }

    fn decode(&self, codes: &Matrix, condition: &Matrix) -> Matrix {
        self.decode(codes, condition)
    }
}

impl TableModel for vae::Model {
    fn about(&self) -> About<'_> {
        let vae::Saved { columns, condition, image, .. } = self.config();
        About { family: vae::FAMILY, columns, condition, image: *image }
    }

    fn write(&self, run: &RunFolder) -> Result<(), Error> {
        self.write(run)
    }

    fn draw(&self, rows: usize, condition: &Matrix, seed: u64) -> Result<Matrix, Error> {
        Ok(self.sample(rows, condition, seed, self.config().image.is_some()))
    }

    fn measure(&self) -> Measure {
        Measure::LogProbBound
    }

    fn score(&self, table: &Table) -> Result<Vec<f64>, Error> {
        vae::score(self, table, vae::DRAWS, 0)
    }
}

impl LatentModel for vae::Model {
    fn code_names(&self) -> Vec<String> {
        (1..=self.config().model.latent).map(|column| format!("z_{column}")).collect()
    }

    fn cells(&self, table: &Table) -> Result<(Matrix, Matrix), Error> {
        self.cells(table)
    }

    fn encode(&self, cells: &Matrix, condition: &Matrix) -> Matrix {
        self.encode(cells, condition)
    }

    fn decode(&self, codes: &Matrix, condition: &Matrix) -> Matrix {
        self.decode(codes, condition)
    }
}

impl TableModel for gan::Model {
    fn about(&self) -> About<'_> {
        let gan::Saved { columns, condition, image, .. } = self.config();
        About { family: gan::FAMILY, columns, condition, image: *image }
    }

    fn write(&self, run: &RunFolder) -> Result<(), Error> {
        self.write(run)
    }

    fn draw(&self, rows: usize, condition: &Matrix, seed: u64) -> Result<Matrix, Error> {
        Ok(self.sample(rows, condition, seed))
    }

    fn table(&self, cells: &Matrix) -> Result<Table, Error> {
        Ok(self.config().columns.decode(cells)?)
    }

    fn brightness(&self, cells: &Matrix) -> Result<Matrix, Error> {
        let values = cells.values().iter().map(|value| 0.5 * (value + 1.0)).collect();
        Ok(Matrix::new(values, cells.columns()))
    }

    fn measure(&self) -> Measure {
        Measure::CriticValue
    }

    fn score(&self, table: &Table) -> Result<Vec<f64>, Error> {
        let (cells, condition) = self.cells(table)?;
        let values = self.critic_values(&self.rows(&cells), &condition);
        Ok(values.into_iter().map(f64::from).collect())
    }
}
