//! How cells of a table reach the networks.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_data::Matrix;

use super::{Rows, Saved};
use crate::autoregressive::layout::Layout;
use crate::tensors::{to_host, to_tensor};

impl Saved {
    /// The inputs of a table's cells: numbers and bits as they are, categories as one of many.
    fn layout(columns: &dozen_data::Schema) -> Layout {
        let order: Vec<usize> = (0..columns.columns.len()).collect();
        Layout::new(columns, &order, 0)
    }

    /// Inputs of the columns.
    pub(super) fn input_width(&self) -> usize {
        Self::layout(&self.columns).input_sizes().iter().sum()
    }

    /// Inputs of the condition.
    pub(super) fn condition_width(&self) -> usize {
        Self::layout(&self.condition).input_sizes().iter().sum()
    }

    /// The inputs of a condition, where there is one.
    pub(super) fn context(&self, condition: &Matrix, device: &Device) -> Option<Tensor<2>> {
        let layout = Self::layout(&self.condition);
        (layout.len() > 0).then(|| layout.inputs(condition, device))
    }

    /// `sum ln deviation` of columns with a density: what standardisation adds to it.
    pub(super) fn log_scale(&self) -> f64 {
        if self.model.likelihood == super::Likelihood::Bernoulli {
            return 0.0;
        }
        Self::layout(&self.columns).log_scale.iter().sum()
    }

    /// Encoded cells as networks take them.
    pub(super) fn rows(&self, cells: &Matrix, condition: &Matrix, device: &Device) -> Rows {
        let condition = self.context(condition, device);
        let layout = Self::layout(&self.columns);
        if !cells.values().iter().any(|cell| cell.is_nan()) {
            let explained = to_tensor(cells, device);
            let plain = layout.input_sizes().iter().all(|size| *size == 1);
            let inputs = if plain { explained.clone() } else { layout.inputs(cells, device) };
            return Rows { inputs: seen(inputs), cells: explained, observed: None, condition };
        }
        let shape = [cells.rows(), cells.columns()];
        let there = cells.values().iter().map(|cell| f32::from(u8::from(!cell.is_nan()))).collect::<Vec<_>>();
        let filled = cells.values().iter().map(|cell| if cell.is_nan() { 0.0 } else { *cell }).collect();
        let filled = Matrix::new(filled, cells.columns());
        // Of a missing category no level is one, of a missing number the mean is seen.
        let mut inputs = to_host(layout.inputs(&filled, device));
        let width = self.input_width();
        for (row, inputs) in inputs.chunks_exact_mut(width).enumerate() {
            let mut first = 0;
            for (column, size) in layout.input_sizes().into_iter().enumerate() {
                if cells.row(row)[column].is_nan() {
                    inputs[first..first + size].fill(0.0);
                }
                first += size;
            }
        }
        Rows {
            inputs: seen(to_tensor(&Matrix::new(inputs, width), device)),
            cells: to_tensor(&filled, device),
            observed: Some(Tensor::from_data(TensorData::new(there, shape), device)),
            condition,
        }
    }
}

/// Inputs held within ten deviations: a row far out, which heavy tails have, would otherwise throw the encoder.
fn seen(inputs: Tensor<2>) -> Tensor<2> {
    inputs.clamp(-FURTHEST, FURTHEST)
}

const FURTHEST: f64 = 10.0;
