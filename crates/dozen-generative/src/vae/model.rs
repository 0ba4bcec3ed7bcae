//! A trained autoencoder with its columns.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_data::{Matrix, Table};
use dozen_nn::{Error, ModelFolder, RunFolder, load_weights, save_weights};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Autoencoder, FAMILY, Rows, Saved};
use crate::tensors::{row_seed, to_host, to_tensor};

/// Rows at a time in use.
pub(super) const ROWS: usize = 1000;

/// An autoencoder to use.
#[derive(Debug)]
pub struct Model {
    config: Saved,
    network: Autoencoder,
    device: Device,
}

impl Model {
    /// Opens a model folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let folder = ModelFolder::open(folder)?;
        let config: Saved = folder.config_of(FAMILY)?;
        if config.columns.columns.is_empty() {
            folder.checked(Err(Error::Request("there are no columns".to_owned())))?;
        }
        folder.checked(config.model.validate(config.condition_width()))?;
        folder.holds(config.model.least_parameters(config.columns.columns.len()))?;
        let network = load_weights(fresh(&config, device), &folder.weights())?;
        Ok(Self::new(config, network, device))
    }

    pub(super) fn new(config: Saved, network: Autoencoder, device: &Device) -> Self {
        Self { config, network: network.valid(), device: device.clone().inner() }
    }

    /// Writes all of the model into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.config)?;
        save_weights(&self.network, &run.path().join("model.safetensors"))
    }

    /// The configuration.
    pub fn config(&self) -> &Saved {
        &self.config
    }

    /// The networks.
    pub fn network(&self) -> &Autoencoder {
        &self.network
    }

    /// Trainable numbers.
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// The cells and the condition's cells of a table; missing ones are no numbers.
    pub fn cells(&self, table: &Table) -> Result<(Matrix, Matrix), Error> {
        Ok((self.config.columns.encode_with_missing(table)?, self.config.condition.encode(table)?))
    }

    /// Fixes what is drawn next.
    pub(super) fn seed(&self, seed: u64) {
        self.device.seed(seed);
    }

    /// Pieces of rows, as the network takes them.
    pub(super) fn pieces<'a>(
        &'a self,
        cells: &'a Matrix,
        condition: &'a Matrix,
        rows: usize,
    ) -> impl Iterator<Item = Rows> + 'a {
        (0..cells.rows()).step_by(rows).map(move |start| {
            let own: Vec<usize> = (start..cells.rows().min(start + rows)).collect();
            self.config.rows(&cells.select(&own), &condition.select(&own), &self.device)
        })
    }

    /// The latent of each row: `[rows, latent]`.
    pub fn encode(&self, cells: &Matrix, condition: &Matrix) -> Matrix {
        let pieces = self.pieces(cells, condition, ROWS);
        Matrix::new(
            pieces.flat_map(|rows| to_host(self.network.encode(&rows))).collect(),
            self.config.model.latent,
        )
    }

    /// The mean row of each latent, as cells; of a category the likeliest.
    pub fn decode(&self, z: &Matrix, condition: &Matrix) -> Matrix {
        let pieces = self.decoded(z, condition).map(|outputs| to_host(self.network.mean(&outputs)));
        Matrix::new(pieces.flatten().collect(), self.config.columns.columns.len())
    }

    fn decoded<'a>(&'a self, z: &'a Matrix, condition: &'a Matrix) -> impl Iterator<Item = Tensor<2>> + 'a {
        (0..z.rows()).step_by(ROWS).map(move |start| {
            dozen_run::stop_point();
            let own: Vec<usize> = (start..z.rows().min(start + ROWS)).collect();
            let context = self.config.context(&condition.select(&own), &self.device);
            self.network.decode(to_tensor(&z.select(&own), &self.device), context.as_ref())
        })
    }

    /// Draws rows as cells; with a condition, one for each of its rows. Of images and with `means` the mean of what the decoder says.
    pub fn sample(&self, rows: usize, condition: &Matrix, seed: u64, means: bool) -> Matrix {
        let context = self.config.context(condition, &self.device);
        let z = self.network.sample_latent(rows, context.as_ref(), seed, &self.device);
        let z = Matrix::new(to_host(z), self.config.model.latent);
        if means {
            return self.decode(&z, condition);
        }
        let pieces = self.decoded(&z, condition).enumerate().flat_map(|(piece, outputs)| {
            let generator = |row: usize| StdRng::seed_from_u64(row_seed(!seed, piece * ROWS + row));
            self.network.draw_values(&outputs, generator)
        });
        Matrix::new(pieces.collect(), self.config.columns.columns.len())
    }

    /// Cells with the missing ones filled in: the mean of what the decoder says of latents drawn for the row, weighted by how well they explain
    /// what is there (Mattei and Frellsen 2019, eq. 9); of a category the level with the most weight.
    pub fn impute(&self, cells: &Matrix, condition: &Matrix, draws: usize, seed: u64) -> Matrix {
        self.device.seed(seed);
        let columns = cells.columns();
        let levels = self.config.level_counts();
        let mut filled = cells.values().to_vec();
        let piece_rows = (ROWS / draws).max(1);
        for (piece, rows) in self.pieces(cells, condition, piece_rows).enumerate() {
            let count = rows.cells.dims()[0];
            let (z, weights) = self.network.weighted(&rows, draws);
            let context = rows.condition.as_ref().map(|context| context.clone().repeat(&[draws, 1]));
            let means = to_host(self.network.mean(&self.network.decode(z, context.as_ref())));
            let weights = to_host(dozen_kernels::softmax(weights.transpose()));
            for row in 0..count {
                let cells = &mut filled[(piece * piece_rows + row) * columns..][..columns];
                for (column, cell) in cells.iter_mut().enumerate().filter(|(_, cell)| cell.is_nan()) {
                    let of = |draw: usize| {
                        (means[(draw * count + row) * columns + column], weights[row * draws + draw])
                    };
                    *cell = match levels[column] {
                        0 => (0..draws).map(|draw| of(draw).0 * of(draw).1).sum(),
                        levels => heaviest(levels, (0..draws).map(of)) as f32,
                    };
                }
            }
        }
        Matrix::new(filled, columns)
    }
}

/// The value with the most weight.
fn heaviest(levels: usize, votes: impl Iterator<Item = (f32, f32)>) -> usize {
    let mut weights = vec![0.0; levels];
    votes.for_each(|(level, weight)| weights[level as usize] += weight);
    (0..levels).max_by(|a, b| f32::total_cmp(&weights[*a], &weights[*b])).unwrap_or(0)
}

impl Saved {
    /// How many levels each column has; 0 of numbers and bits.
    fn level_counts(&self) -> Vec<usize> {
        let count = |kind: &dozen_data::Kind| match kind {
            dozen_data::Kind::Categorical { levels } => levels.len(),
            _ => 0,
        };
        self.columns.columns.iter().map(|column| count(&column.kind)).collect()
    }
}

/// The configuration's networks with starting weights.
pub(super) fn fresh(config: &Saved, device: &Device) -> Autoencoder {
    device.seed(config.record.training.seed);
    let (inputs, condition) = (config.input_width(), config.condition_width());
    Autoencoder::new(&config.model, &config.columns, inputs, condition, device)
}
