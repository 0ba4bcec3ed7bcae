//! A model ready for use: densities of rows.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_data::Matrix;
use dozen_kernels::Dropout;
use dozen_nn::{Error, ModelFolder, RunFolder, load_weights, save_weights};
use rayon::prelude::*;

use super::baselines::BASELINES;
use super::heads::{self, log_sum};
use super::layout::{Layout, to_host, to_tensor};
use super::networks::Network;
use super::{Baselines, FAMILY, Saved};

/// Values of the widest layer in a piece of a larger matrix, so that they stay in a core's cache; pieces are evaluated in
/// parallel.
const PIECE: usize = 1 << 17;

/// A trained model.
pub struct Model {
    config: Saved,
    pub(crate) layout: Layout,
    pub(crate) networks: Vec<Network>,
    device: Device,
    /// What it is judged beside, where its folder has them.
    baselines: Option<Baselines>,
}

impl Model {
    /// Opens a model folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, Error> {
        let folder = ModelFolder::open(folder)?;
        let config: Saved = folder.config_of(FAMILY)?;
        folder.checked(config.validate())?;
        let layout = Layout::new(&config.columns, &config.order, config.model.mixtures);
        folder.holds(config.model.least_parameters(&layout))?;
        let networks = load_weights(fresh_networks(&config, &layout, None, device), &folder.weights())?;
        let baselines = folder.path().join(BASELINES).exists();
        let baselines = baselines.then(|| Baselines::open(folder.path())).transpose()?;
        Ok(Self { baselines, ..Self::new(config, networks, device) })
    }

    pub(crate) fn new(config: Saved, networks: Vec<Network>, device: &Device) -> Self {
        let layout = Layout::new(&config.columns, &config.order, config.model.mixtures);
        Self { config, layout, networks: networks.valid(), device: device.clone().inner(), baselines: None }
    }

    pub(super) fn with_baselines(self, baselines: Baselines) -> Self {
        Self { baselines: Some(baselines), ..self }
    }

    /// Writes all of the model into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.config)?;
        if let Some(baselines) = &self.baselines {
            run.write_json(BASELINES, baselines)?;
        }
        save_weights(&self.networks, &run.path().join("model.safetensors"))
    }

    /// The configuration that it was made from.
    pub fn config(&self) -> &Saved {
        &self.config
    }

    /// Trainable numbers; what masks forbid is not counted.
    pub fn parameters(&self) -> usize {
        let zeros = |network: &Network| super::networks::masked_out(network);
        self.networks.num_params() - self.networks.iter().map(zeros).sum::<usize>()
    }

    /// The log-probability of each encoded row, in nats, averaged over orders and members in probability.
    pub fn log_prob(&self, cells: &Matrix) -> Vec<f64> {
        let constant: f64 = self.layout.log_scale.iter().sum();
        self.by_piece(cells, |arranged| {
            let values = mixture_log_prob(&self.networks, &self.layout, &arranged, &self.device);
            values.into_iter().map(|value| value - constant).collect()
        })
    }

    /// The log-probability of each cell given the cells before it in the order, in nats, row after row in the order of
    /// the table's columns; averaged over orders and members.
    pub fn log_prob_by_column(&self, cells: &Matrix) -> Vec<f64> {
        self.by_piece(cells, |arranged| {
            let mut sums = vec![0.0; arranged.values().len()];
            let mut count = 0.0;
            for outputs in each_order(&self.networks, self.layout.inputs(&arranged, &self.device)) {
                let cells = to_tensor(&arranged, &self.device);
                let values = to_host(heads::log_prob_by_position(&self.layout, outputs, cells));
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
                count += 1.0;
            }
            let width = self.layout.len();
            let mut by_column = vec![0.0; sums.len()];
            for (row, sums) in by_column.chunks_exact_mut(width).zip(sums.chunks_exact(width)) {
                for (position, &column) in self.layout.order.iter().enumerate() {
                    row[column] = sums[position] / count - self.layout.log_scale[position];
                }
            }
            by_column
        })
    }

    fn by_piece(&self, cells: &Matrix, evaluate: impl Fn(Matrix) -> Vec<f64> + Sync) -> Vec<f64> {
        let outputs = self.layout.output_sizes().iter().sum();
        let widest =
            self.config.model.hidden.iter().copied().max().unwrap_or(0).max(cells.columns()).max(outputs);
        let pieces: Vec<Matrix> = cells.chunks((PIECE / widest).max(16)).collect();
        pieces.into_par_iter().flat_map_iter(|piece| evaluate(self.layout.arrange(&piece))).collect()
    }
}

/// What each member gives in each order for encoded inputs.
fn each_order(networks: &[Network], inputs: Tensor<2>) -> impl Iterator<Item = Tensor<2>> {
    networks.iter().flat_map(move |network| {
        let inputs = inputs.clone();
        (0..network.orders()).map(move |order| network.outputs(inputs.clone(), order, Dropout::NONE))
    })
}

/// Of each arranged row the log of the mean probability over members and orders, in the layout's scale.
pub(crate) fn mixture_log_prob(
    networks: &[Network],
    layout: &Layout,
    arranged: &Matrix,
    device: &Device,
) -> Vec<f64> {
    let by_order: Vec<Vec<f32>> = each_order(networks, layout.inputs(arranged, device))
        .map(|outputs| to_host(heads::log_prob(layout, outputs, to_tensor(arranged, device))))
        .collect();
    (0..arranged.rows())
        .map(|row| {
            let terms: Vec<f64> = by_order.iter().map(|values| f64::from(values[row])).collect();
            log_sum(&terms) - (terms.len() as f64).ln()
        })
        .collect()
}

/// Networks of the configuration's shape with starting weights.
pub(crate) fn fresh_networks(
    config: &Saved,
    layout: &Layout,
    tree: Option<&super::tree::TreeStart>,
    device: &Device,
) -> Vec<Network> {
    (0..config.model.members as u64)
        .map(|member| {
            Network::new(
                &config.model,
                layout,
                tree,
                config.record.training.seed.wrapping_add(member),
                device,
            )
        })
        .collect()
}
