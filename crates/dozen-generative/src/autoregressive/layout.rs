//! Where each column's values stand among a network's inputs and outputs.

use burn::tensor::{Device, Tensor};
use dozen_data::{Kind, Matrix, Schema};

pub(crate) use crate::tensors::{to_host, to_tensor};

/// What a column's values are, as far as a network cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Binary,
    Categorical { levels: usize },
    Real,
}

impl Variable {
    /// Inputs: a bit, a one-hot block, or a number.
    pub(crate) fn inputs(self) -> usize {
        match self {
            Self::Binary | Self::Real => 1,
            Self::Categorical { levels } => levels,
        }
    }

    /// Outputs: a logit, a block of logits, or a weight logit, mean and log deviation for each Gaussian.
    pub(crate) fn outputs(self, mixtures: usize) -> usize {
        match self {
            Self::Binary => 1,
            Self::Categorical { levels } => levels,
            Self::Real => 3 * mixtures,
        }
    }
}

/// The columns arranged in the order of the network's steps.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// `order[s]` is the column of position `s`.
    pub(crate) order: Vec<usize>,
    /// By position.
    pub(crate) variables: Vec<Variable>,
    pub(crate) mixtures: usize,
    /// `sum ln deviation` of the real columns: what standardisation adds to a log-density.
    pub(crate) log_scale: Vec<f64>,
}

impl Layout {
    pub(crate) fn new(schema: &Schema, order: &[usize], mixtures: usize) -> Self {
        let kinds = order.iter().map(|&column| &schema.columns[column].kind);
        let variables = kinds
            .clone()
            .map(|kind| match kind {
                Kind::Binary => Variable::Binary,
                Kind::Categorical { levels } => Variable::Categorical { levels: levels.len() },
                Kind::Real { .. } => Variable::Real,
            })
            .collect();
        let log_scale = kinds
            .map(|kind| match kind {
                Kind::Real { deviation, .. } => deviation.ln(),
                _ => 0.0,
            })
            .collect();
        Self { order: order.to_vec(), variables, mixtures, log_scale }
    }

    pub(crate) fn len(&self) -> usize {
        self.variables.len()
    }

    pub(crate) fn is_binary(&self) -> bool {
        self.variables.iter().all(|&v| v == Variable::Binary)
    }

    pub(crate) fn input_sizes(&self) -> Vec<usize> {
        self.variables.iter().map(|v| v.inputs()).collect()
    }

    pub(crate) fn output_sizes(&self) -> Vec<usize> {
        self.variables.iter().map(|v| v.outputs(self.mixtures)).collect()
    }

    /// The position of the variable of each output.
    pub(crate) fn output_positions(&self) -> Vec<usize> {
        let sizes = self.output_sizes();
        (0..self.len()).flat_map(|position| std::iter::repeat_n(position, sizes[position])).collect()
    }

    /// Cells `[rows, columns]` rearranged by position.
    pub(crate) fn arrange(&self, cells: &Matrix) -> Matrix {
        if self.order.iter().enumerate().all(|(position, &column)| position == column) {
            return cells.clone();
        }
        let values = (0..cells.rows())
            .flat_map(|row| self.order.iter().map(move |&column| (row, column)))
            .map(|(row, column)| cells.row(row)[column])
            .collect();
        Matrix::new(values, self.len())
    }

    /// The inverse of [`Layout::arrange`].
    pub(crate) fn restore(&self, cells: &Matrix) -> Matrix {
        let mut values = vec![0.0; cells.values().len()];
        for (row, cells) in values.chunks_exact_mut(self.len()).zip(cells.values().chunks_exact(self.len())) {
            for (&column, &cell) in self.order.iter().zip(cells) {
                row[column] = cell;
            }
        }
        Matrix::new(values, self.len())
    }

    /// Writes the inputs of the variable at `position` with this cell value.
    pub(crate) fn put_inputs(&self, position: usize, cell: f32, out: &mut Vec<f32>) {
        match self.variables[position] {
            Variable::Binary | Variable::Real => out.push(cell),
            Variable::Categorical { levels } => {
                out.extend((0..levels).map(|level| f32::from(u8::from(level == cell as usize))));
            }
        }
    }

    /// The inputs `[rows, inputs]` of arranged cells.
    pub(crate) fn inputs(&self, arranged: &Matrix, device: &Device) -> Tensor<2> {
        if self.variables.iter().all(|v| v.inputs() == 1) {
            return to_tensor(arranged, device);
        }
        let width = self.input_sizes().iter().sum();
        let mut values = Vec::with_capacity(arranged.rows() * width);
        for row in 0..arranged.rows() {
            for (position, &cell) in arranged.row(row).iter().enumerate() {
                self.put_inputs(position, cell, &mut values);
            }
        }
        to_tensor(&Matrix::new(values, width), device)
    }
}

/// Numbers from 0 of the first element of each block, and the total.
pub(crate) fn offsets(sizes: &[usize]) -> Vec<usize> {
    let mut sum = 0;
    std::iter::once(0)
        .chain(sizes.iter().map(|&size| {
            sum += size;
            sum
        }))
        .collect()
}
