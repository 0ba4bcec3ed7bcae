//! A trained generator and its critic, with their columns.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use dozen_data::{Matrix, Table};
use dozen_nn::{Error, ModelFolder, RunFolder, load_weights, save_weights};

use super::{Critic, FAMILY, Generator, Saved};
use crate::autoregressive::layout::Layout;
use crate::tensors::{to_host, to_tensor};

/// The file of the critic's weights.
const CRITIC: &str = "critic.safetensors";

/// Rows at a time in use.
const ROWS: usize = 1000;

/// Both networks, to use.
#[derive(Debug)]
pub struct Model {
    config: Saved,
    generator: Generator,
    critic: Critic,
    device: Device,
}

impl Saved {
    /// The inputs of a condition's cells, where there is a condition: numbers and bits as they are, categories as one of many.
    pub(super) fn context(&self, condition: &Matrix, device: &Device) -> Option<Tensor<2>> {
        let layout = self.condition_layout();
        (layout.len() > 0).then(|| layout.inputs(condition, device))
    }

    /// How many inputs a condition has.
    pub(super) fn condition_width(&self) -> usize {
        self.condition_layout().input_sizes().iter().sum()
    }

    fn condition_layout(&self) -> Layout {
        let order: Vec<usize> = (0..self.condition.columns.len()).collect();
        Layout::new(&self.condition, &order, 0)
    }

    /// Both networks with starting weights.
    pub(super) fn fresh(&self, device: &Device) -> (Generator, Critic) {
        device.seed(self.record.training.seed);
        let (width, condition) = (self.layout.width(), self.condition_width());
        let generator = Generator::new(&self.model, &self.layout, condition, device);
        (generator, Critic::new(&self.model, width, condition, device))
    }
}

impl Model {
    /// Opens a model folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let folder = ModelFolder::open(folder)?;
        let config: Saved = folder.config_of(FAMILY)?;
        folder.checked(config.model.validate())?;
        if !config.layout.fits(&config.columns) {
            let problem = "the layout of its rows is not that of its columns";
            folder.checked(Err(Error::Request(problem.to_owned())))?;
        }
        folder.holds(config.model.least_parameters(config.layout.width()))?;
        let (generator, critic) = config.fresh(device);
        let generator = load_weights(generator, &folder.weights())?;
        let critic = load_weights(critic, &folder.path().join(CRITIC))?;
        Ok(Self::new(config, generator, critic, device))
    }

    pub(super) fn new(config: Saved, generator: Generator, critic: Critic, device: &Device) -> Self {
        let device = device.clone().inner();
        Self { config, generator: generator.valid(), critic: critic.valid(), device }
    }

    /// Writes all of the model into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.config)?;
        save_weights(&self.generator, &run.path().join("model.safetensors"))?;
        save_weights(&self.critic, &run.path().join(CRITIC))
    }

    /// The configuration.
    pub fn config(&self) -> &Saved {
        &self.config
    }

    /// The critic.
    pub fn critic(&self) -> &Critic {
        &self.critic
    }

    /// Trainable numbers of the generator and the critic.
    pub fn parameters(&self) -> [usize; 2] {
        [self.generator.num_params(), self.critic.num_params()]
    }

    /// The cells and the condition's cells of a table.
    pub fn cells(&self, table: &Table) -> Result<(Matrix, Matrix), Error> {
        Ok((self.config.columns.encode(table)?, self.config.condition.encode(table)?))
    }

    /// Rows as the networks see them: what distances are measured between.
    pub fn rows(&self, cells: &Matrix) -> Matrix {
        self.config.layout.encode(cells, self.config.record.training.seed)
    }

    /// Draws rows as the networks see them; with a condition, one for each of its rows.
    pub fn sample_rows(&self, rows: usize, condition: &Matrix, seed: u64) -> Matrix {
        self.device.seed(seed);
        let noise =
            Tensor::random([rows, self.config.model.noise], Distribution::Normal(0.0, 1.0), &self.device);
        self.generate(noise, condition)
    }

    /// Draws encoded cells; with a condition, one row for each of its rows.
    pub fn sample(&self, rows: usize, condition: &Matrix, seed: u64) -> Matrix {
        self.config.layout.decode(&self.sample_rows(rows, condition, seed))
    }

    /// Cells along a great circle from one noise to another, both drawn by the seed; `count` of them, under the conditions of as many rows.
    pub fn interpolate(&self, count: usize, condition: &Matrix, seed: u64) -> Matrix {
        self.device.seed(seed);
        let noise = self.config.model.noise;
        let ends = Tensor::<2>::random([2, noise], Distribution::Normal(0.0, 1.0), &self.device);
        let ends = to_host(ends);
        let (a, b) = ends.split_at(noise);
        let share = |place: usize| place as f32 / (count.max(2) - 1) as f32;
        let way = |place: usize| {
            // The norm of noise in many columns is nearly always the same, and so it stays on the way.
            let angle = share(place) * std::f32::consts::FRAC_PI_2;
            a.iter().zip(b).map(move |(a, b)| a * angle.cos() + b * angle.sin())
        };
        let noise = Matrix::new((0..count).flat_map(way).collect(), noise);
        let rows = self.generate(to_tensor(&noise, &self.device), condition);
        self.config.layout.decode(&rows)
    }

    fn generate(&self, noise: Tensor<2>, condition: &Matrix) -> Matrix {
        let [rows, columns] = noise.dims();
        let width = self.config.layout.width();
        let mut values = Vec::with_capacity(rows * width);
        for start in (0..rows).step_by(ROWS) {
            dozen_run::stop_point();
            let own: Vec<usize> = (start..rows.min(start + ROWS)).collect();
            let noise = noise.clone().slice([start..start + own.len(), 0..columns]);
            let context = self.config.context(&condition.select(&own), &self.device);
            values.extend(to_host(self.generator.forward(noise, context.as_ref(), false)));
        }
        Matrix::new(values, width)
    }

    /// The critic's value of each row as the networks see it.
    pub fn critic_values(&self, rows: &Matrix, condition: &Matrix) -> Vec<f32> {
        let mut values = Vec::with_capacity(rows.rows());
        for start in (0..rows.rows()).step_by(ROWS) {
            let own: Vec<usize> = (start..rows.rows().min(start + ROWS)).collect();
            let context = self.config.context(&condition.select(&own), &self.device);
            let x = to_tensor(&rows.select(&own), &self.device);
            values.extend(to_host(self.critic.value(x, context.as_ref())));
        }
        values
    }
}
