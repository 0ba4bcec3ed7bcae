//! Drawing rows: each network run forwards one variable at a time, on the host.
//!
//! A masked network's unit is computed once, as soon as all its inputs are known, so that drawing a row costs one pass
//! through the weights instead of one for each variable.

use dozen_data::{Matrix, Table};
use dozen_nn::Error;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;

use super::heads::draw;
use super::networks::{Network, Sequential};
use super::{Evidence, Model};

impl Model {
    /// Draws rows. Row `i` depends only on `seed` and `i`, not on the number of threads.
    pub fn sample(&self, rows: usize, seed: u64) -> Result<Table, Error> {
        Ok(self.config().columns.decode(&self.sample_cells(rows, seed))?)
    }

    /// The same as encoded cells.
    pub(crate) fn sample_cells(&self, rows: usize, seed: u64) -> Matrix {
        self.draw_rows(rows, seed, &Evidence::none()).cells
    }

    /// Draws rows in which evidence replaces draws; each row's weight is the log-probability of the evidence given what
    /// was drawn before it (likelihood weighting).
    pub(crate) fn draw_rows(&self, rows: usize, seed: u64, evidence: &Evidence) -> Drawn {
        let hosts: Vec<(Box<dyn Sequential>, Vec<usize>)> = self
            .networks
            .iter()
            .flat_map(|network| (0..network.orders()).map(move |order| (network, order)))
            .map(|(network, order)| {
                (network.sequential(order, &self.layout), self.sequence(network, order, evidence))
            })
            .collect();
        let width = self.layout.len();
        let mut values = vec![0.0_f32; rows * width];
        let mut weights = vec![0.0; rows];
        values.par_chunks_mut(width).zip(&mut weights).enumerate().for_each(|(row, (cells, weight))| {
            dozen_run::stop_point();
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ row as u64);
            let (host, sequence) = &hosts[row % hosts.len()];
            *weight = self.draw_row(host.as_ref(), sequence, evidence, cells, &mut rng);
        });
        Drawn { cells: self.layout.restore(&Matrix::new(values, width)), log_weights: weights }
    }

    /// The positions in the order of drawing. Only the order-agnostic NADE is free to begin with the evidence.
    pub(crate) fn sequence(&self, network: &Network, order: usize, evidence: &Evidence) -> Vec<usize> {
        let mut sequence = network.order(order, self.layout.len());
        if matches!(network, Network::DeepNade(_)) {
            sequence.sort_by_key(|&position| evidence.cell(self.layout.order[position]).is_none());
        }
        sequence
    }

    fn draw_row(
        &self,
        host: &dyn Sequential,
        sequence: &[usize],
        evidence: &Evidence,
        cells: &mut [f32],
        rng: &mut StdRng,
    ) -> f64 {
        let mut state = host.start();
        let mut inputs = Vec::new();
        let mut log_weight = 0.0;
        for &position in sequence {
            let outputs = host.outputs(&state, position);
            let variable = self.layout.variables[position];
            cells[position] = match evidence.cell(self.layout.order[position]) {
                Some(cell) => {
                    log_weight += super::heads::host_log_prob(variable, &outputs, cell);
                    cell
                }
                None => draw(variable, &outputs, rng),
            };
            inputs.clear();
            self.layout.put_inputs(position, cells[position], &mut inputs);
            host.observe(&mut state, position, &inputs);
        }
        log_weight
    }
}

/// Rows with their log-weights.
pub(crate) struct Drawn {
    pub(crate) cells: Matrix,
    pub(crate) log_weights: Vec<f64>,
}
