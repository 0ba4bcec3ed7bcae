//! A trained flow with its columns.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_data::{Column, Kind, Matrix, Schema, Table, Values};
use dozen_nn::{Error, ModelFolder, RunFolder, dense_weights, load_weights, save_weights};
use dozen_run::read_json;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::transform::Transform;
use super::{CALIBRATION, Calibration, Dequantizer, FAMILY, Flow, Saved, Solver, Trace, TransformConfig};
use crate::autoregressive::layout::Layout;
use crate::tensors::{to_host, to_tensor};

/// Rows at a time in use.
const ROWS: usize = 512;

/// A flow to use.
#[derive(Debug)]
pub struct Model {
    config: Saved,
    pub(crate) flow: Flow,
    device: Device,
    /// What a row's log-probability is compared with, where the folder has it.
    calibration: Option<Calibration>,
}

/// The inputs that a condition's cells make: numbers and bits as they are, categories as one of many.
fn context_layout(condition: &Schema) -> Layout {
    let order: Vec<usize> = (0..condition.columns.len()).collect();
    Layout::new(condition, &order, 0)
}

impl Saved {
    /// Whether the loss draws random numbers on the device.
    pub(crate) fn draws_in_training(&self) -> bool {
        let draws = |transform: &TransformConfig| {
            matches!(
                transform,
                TransformConfig::Rectified { .. }
                    | TransformConfig::Continuous { trace: Trace::Hutchinson, .. }
            )
        };
        self.variational.is_some() || self.model.transforms.iter().any(draws)
    }

    /// Inputs of the condition.
    /// At most as many numbers as its flow has.
    fn least_parameters(&self) -> f64 {
        let whole = self.whole.iter().filter(|whole| **whole).count();
        let of_noise = |hidden: &Vec<usize>| dense_weights(&[&[whole], &hidden[..], &[whole]].concat());
        self.model.least_parameters(self.columns.columns.len())
            + self.variational.as_ref().map_or(0.0, of_noise)
    }

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
        if !self.whole.contains(&true) || self.variational.is_some() {
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
        let config: Saved = folder.config_of(FAMILY)?;
        if config.columns.columns.is_empty() {
            folder.checked(Err(Error::Request("there are no columns".to_owned())))?;
        }
        folder.checked(config.model.validate(config.columns.columns.len()))?;
        folder.holds(config.least_parameters())?;
        let flow = fresh(&config, device);
        let flow = load_weights(flow, &folder.weights())?;
        let calibration = folder.path().join(CALIBRATION);
        let calibration = calibration.exists().then(|| read_json(&calibration)).transpose()?;
        Ok(Self { calibration, ..Self::new(config, flow, device) })
    }

    pub(crate) fn new(config: Saved, flow: Flow, device: &Device) -> Self {
        Self { config, flow: flow.valid(), device: device.clone().inner(), calibration: None }
    }

    pub(super) fn with_calibration(self, calibration: Calibration) -> Self {
        Self { calibration: Some(calibration), ..self }
    }

    /// Writes all of the model into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.config)?;
        if let Some(calibration) = &self.calibration {
            run.write_json(CALIBRATION, calibration)?;
        }
        save_weights(&self.flow, &run.path().join("model.safetensors"))
    }

    /// The configuration.
    pub fn config(&self) -> &Saved {
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
        let values = self.by_piece(cells, condition, |x, context, noise_log| {
            let log_prob = self.flow.log_prob(x, context);
            noise_log.map_or(log_prob.clone(), |noise| log_prob + noise)
        });
        values.into_iter().map(|value| f64::from(value) - constant).collect()
    }

    /// The base's values of each row.
    pub fn encode(&self, cells: &Matrix, condition: &Matrix) -> Matrix {
        let values = self.by_piece(cells, condition, |x, context, _| self.flow.encode(x, context).0);
        Matrix::new(values, cells.columns())
    }

    /// The base's values of each row, and its `ln p` in nats and in the data's own units, in one pass.
    pub fn encode_with_log_prob(&self, cells: &Matrix, condition: &Matrix) -> (Matrix, Vec<f64>) {
        let (constant, width) = (self.config.log_scale(), cells.columns());
        let values = self.by_piece(cells, condition, |x, context, noise_log| {
            let (z, log) = self.flow.encode(x, context);
            let log = noise_log.map_or(log.clone(), |noise| log + noise);
            Tensor::cat(vec![z.clone(), self.flow.base.log_prob(z) + log], 1)
        });
        let rows = values.chunks_exact(width + 1);
        let log_prob = rows.clone().map(|row| f64::from(row[width]) - constant).collect();
        (Matrix::new(rows.flat_map(|row| &row[..width]).copied().collect(), width), log_prob)
    }

    /// Log-probabilities of rows as columns, with the p-value of each where the model is calibrated.
    pub fn log_prob_columns(&self, log_prob: Vec<f64>) -> Vec<Column> {
        let p_values =
            |calibration: &Calibration| log_prob.iter().map(|value| calibration.p_value(*value)).collect();
        let p_values = self.calibration.as_ref().map(p_values);
        let mut columns = vec![Column::new("log_prob_nats", Values::Number(log_prob))];
        columns.extend(p_values.map(|values| Column::new("p_value", Values::Number(values))));
        columns
    }

    /// The encoded rows of base values.
    pub fn decode(&self, z: &Matrix, condition: &Matrix) -> Matrix {
        let values = side_by_side(z.rows(), |_, own| {
            let context = self.context(&condition.select(own));
            let z = to_tensor(&z.select(own), &self.device);
            to_host(self.flow.decode(z, context.as_ref()).0)
        });
        Matrix::new(values, z.columns())
    }

    /// Rows of the base, and the cells that the flow makes of them under these conditions.
    pub(crate) fn couples(&self, rows: usize, condition: &Matrix, seed: u64) -> (Matrix, Matrix) {
        let width = self.config.columns.columns.len();
        let z = Matrix::new(to_host(self.flow.base.sample(rows, seed, &self.device)), width);
        let cells = self.decode(&z, condition);
        (z, cells)
    }

    /// The same with another solver, where it is a velocity field.
    pub(crate) fn with_solver(&self, solver: Solver) -> Self {
        let mut flow = self.flow.clone();
        for transform in &mut flow.transforms {
            if let Transform::Rectified(field) = transform {
                field.solver = solver;
            }
        }
        Self { config: self.config.clone(), flow, device: self.device.clone(), calibration: None }
    }

    /// Draws rows; with a condition, one for each of its rows.
    pub fn sample(&self, rows: usize, condition: &Matrix, seed: u64) -> Result<Table, Error> {
        self.table_of(&self.couples(rows, condition, seed).1)
    }

    /// Cells as a table: whole numbers lose what was added to them.
    pub(crate) fn table_of(&self, cells: &Matrix) -> Result<Table, Error> {
        let width = cells.columns();
        let mut values = cells.values().to_vec();
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
                    let own = if self.config.image.is_some() { own.clamp(0.0, 255.0) } else { own };
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

    /// What `evaluate` gives of rows, their conditions and what their noise adds to `ln p`.
    fn by_piece(
        &self,
        cells: &Matrix,
        condition: &Matrix,
        evaluate: impl Fn(Tensor<2>, Option<&Tensor<2>>, Option<Tensor<2>>) -> Tensor<2> + Sync,
    ) -> Vec<f32> {
        side_by_side(cells.rows(), |piece, own| {
            let context = self.context(&condition.select(own));
            let seed = self.config.record.training.seed;
            let cells = self.config.with_noise(&cells.select(own), piece * ROWS, seed);
            let x = to_tensor(&cells, &self.device);
            let (x, noise_log) = self.flow.with_noise(x, context.as_ref(), seed ^ (piece as u64) << 32);
            to_host(evaluate(x, context.as_ref(), noise_log))
        })
    }
}

/// Pieces of rows on all threads, each small enough to stay in a core's cache. No more pieces are begun than there are threads: a thread that
/// waits for another inside one would else begin the next, and all would be in memory.
fn side_by_side(rows: usize, piece: impl Fn(usize, &[usize]) -> Vec<f32> + Sync) -> Vec<f32> {
    let rows: Vec<usize> = (0..rows).collect();
    let threads = rayon::current_num_threads();
    let groups = rows.chunks(ROWS * threads).enumerate();
    let of_group = |(group, rows): (usize, &[usize])| -> Vec<f32> {
        let pieces = rows.par_chunks(ROWS).enumerate();
        pieces.flat_map_iter(|(place, own)| piece(group * threads + place, own)).collect()
    };
    groups.flat_map(of_group).collect()
}

/// The configuration's flow with starting weights.
pub(crate) fn fresh(config: &Saved, device: &Device) -> Flow {
    let columns = config.columns.columns.len();
    let context = config.context_width();
    let flow = Flow::new(&config.model, columns, context, config.record.training.seed, device);
    let Some(hidden) = &config.variational else { return flow };
    let unit = |kind: &Kind| if let Kind::Real { deviation, .. } = kind { 1.0 / deviation } else { 1.0 };
    let kinds = config.columns.columns.iter().map(|column| unit(&column.kind)).enumerate();
    let places = kinds.zip(&config.whole).filter(|(_, whole)| **whole).map(|(place, _)| place).collect();
    Flow { dequantizer: Some(Dequantizer::new(places, [columns, context], hidden, device)), ..flow }
}
