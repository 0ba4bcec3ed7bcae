//! A trained flow with its columns.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_data::{Kind, Matrix, Schema, Table};
use dozen_nn::{Error, ModelFolder, load_weights};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::{Config, FAMILY, Flow};
use crate::autoregressive::layout::Layout;
use crate::tensors::{to_host, to_tensor};

/// Rows at a time in use.
const ROWS: usize = 512;

/// A flow to use.
#[derive(Debug)]
pub struct Model {
    config: Config,
    pub(crate) flow: Flow,
    device: Device,
}

/// The inputs that a condition's cells make: numbers and bits as they are, categories as one of many.
fn context_layout(condition: &Schema) -> Layout {
    let order: Vec<usize> = (0..condition.columns.len()).collect();
    Layout::new(condition, &order, 0)
}

impl Config {
    /// Inputs of the condition.
    pub(crate) fn context_width(&self) -> usize {
        context_layout(&self.condition).input_sizes().iter().sum()
    }

    /// The inputs of a condition, where there is one.
    pub(crate) fn context(&self, condition: &Matrix, device: &Device) -> Option<Tensor<2>> {
        let layout = context_layout(&self.condition);
        (layout.len() > 0).then(|| layout.inputs(condition, device))
    }

    /// `sum ln deviation`: what standardisation adds to a log-density.
    pub(crate) fn log_scale(&self) -> f64 {
        let scale = |kind: &Kind| if let Kind::Real { deviation, .. } = kind { deviation.ln() } else { 0.0 };
        self.columns.columns.iter().map(|column| scale(&column.kind)).sum()
    }

    /// Whole numbers made continuous: each gets a number of [0, 1) added, in its own units, by the seed and its row's number.
    pub(crate) fn with_noise(&self, cells: &Matrix, first_row: usize, seed: u64) -> Matrix {
        if !self.whole.contains(&true) {
            return cells.clone();
        }
        let width = cells.columns();
        let mut values = cells.values().to_vec();
        for (row, values) in values.chunks_exact_mut(width).enumerate() {
            let place = (first_row + row) as u64;
            let mut rng = StdRng::seed_from_u64(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for ((value, whole), column) in values.iter_mut().zip(&self.whole).zip(&self.columns.columns) {
                let noise: f64 = rng.random();
                let unit = if let Kind::Real { deviation, .. } = column.kind { deviation } else { 1.0 };
                if *whole {
                    *value += (noise / unit) as f32;
                }
            }
        }
        Matrix::new(values, width)
    }
}

impl Model {
    /// Opens a model folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let folder = ModelFolder::open(folder)?;
        let config: Config = folder.config_of(FAMILY)?;
        let flow = fresh(&config, device);
        let flow = load_weights(flow, &folder.weights())?;
        Ok(Self::new(config, flow, device))
    }

    pub(crate) fn new(config: Config, flow: Flow, device: &Device) -> Self {
        Self { config, flow: flow.valid(), device: device.clone().inner() }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The flow.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Trainable numbers.
    pub fn parameters(&self) -> usize {
        self.flow.num_params()
    }

    /// The cells and the condition's cells of a table.
    pub fn cells(&self, table: &Table) -> Result<(Matrix, Matrix), Error> {
        Ok((self.config.columns.encode(table)?, self.config.condition.encode(table)?))
    }

    /// `ln p` of each row given its condition, in nats and in the data's own units.
    pub fn log_prob(&self, cells: &Matrix, condition: &Matrix) -> Vec<f64> {
        let constant = self.config.log_scale();
        let values = self.by_piece(cells, condition, |x, context| self.flow.log_prob(x, context));
        values.into_iter().map(|value| f64::from(value) - constant).collect()
    }

    /// The base's values of each row.
    pub fn encode(&self, cells: &Matrix, condition: &Matrix) -> Matrix {
        let values = self.by_piece(cells, condition, |x, context| self.flow.encode(x, context).0);
        Matrix::new(values, cells.columns())
    }

    /// The base's values of each row, and its `ln p` in nats and in the data's own units, in one pass.
    pub fn encode_with_log_prob(&self, cells: &Matrix, condition: &Matrix) -> (Matrix, Vec<f64>) {
        let (constant, width) = (self.config.log_scale(), cells.columns());
        let values = self.by_piece(cells, condition, |x, context| {
            let (z, log) = self.flow.encode(x, context);
            Tensor::cat(vec![z.clone(), self.flow.base.log_prob(z) + log], 1)
        });
        let rows = values.chunks_exact(width + 1);
        let log_prob = rows.clone().map(|row| f64::from(row[width]) - constant).collect();
        (Matrix::new(rows.flat_map(|row| &row[..width]).copied().collect(), width), log_prob)
    }

    /// The rows of base values.
    pub fn decode(&self, z: &Matrix, condition: &Matrix) -> Result<Table, Error> {
        let rows: Vec<usize> = (0..z.rows()).collect();
        let pieces = rows.par_chunks(ROWS).flat_map_iter(|piece| {
            let context = self.context(&condition.select(piece));
            let z = to_tensor(&z.select(piece), &self.device);
            to_host(self.flow.decode(z, context.as_ref()).0)
        });
        let values = pieces.collect();
        self.table(Matrix::new(values, z.columns()))
    }

    /// Draws rows; with a condition, one for each of its rows.
    pub fn sample(&self, rows: usize, condition: &Matrix, seed: u64) -> Result<Table, Error> {
        let z = to_host(self.flow.base.sample(rows, seed, &self.device));
        self.decode(&Matrix::new(z, self.config.columns.columns.len()), condition)
    }

    /// Cells as a table: whole numbers lose what was added to them.
    fn table(&self, cells: Matrix) -> Result<Table, Error> {
        let width = cells.columns();
        let mut values = cells.into_values();
        for row in values.chunks_exact_mut(width) {
            for ((value, whole), column) in
                row.iter_mut().zip(&self.config.whole).zip(&self.config.columns.columns)
            {
                let (mean, deviation) = match column.kind {
                    Kind::Real { mean, deviation } => (mean, deviation),
                    _ => (0.0, 1.0),
                };
                if *whole {
                    let own = (f64::from(*value) * deviation + mean).floor();
                    *value = ((own - mean) / deviation) as f32;
                }
            }
        }
        Ok(self.config.columns.decode(&Matrix::new(values, width))?)
    }

    /// The inputs of a condition, where there is one.
    pub(crate) fn context(&self, condition: &Matrix) -> Option<Tensor<2>> {
        self.config.context(condition, &self.device)
    }

    /// Pieces of the rows side by side, each small enough to stay in a core's cache.
    fn by_piece(
        &self,
        cells: &Matrix,
        condition: &Matrix,
        evaluate: impl Fn(Tensor<2>, Option<&Tensor<2>>) -> Tensor<2> + Sync,
    ) -> Vec<f32> {
        let rows: Vec<usize> = (0..cells.rows()).collect();
        let pieces = rows.par_chunks(ROWS).enumerate();
        let values = pieces.flat_map_iter(|(piece, own)| {
            let context = self.context(&condition.select(own));
            let cells = self.config.with_noise(&cells.select(own), piece * ROWS, self.config.training.seed);
            to_host(evaluate(to_tensor(&cells, &self.device), context.as_ref()))
        });
        values.collect()
    }
}

/// The configuration's flow with starting weights.
pub(crate) fn fresh(config: &Config, device: &Device) -> Flow {
    let columns = config.columns.columns.len();
    Flow::new(&config.model, columns, config.context_width(), config.training.seed, device)
}
