//! Steps that do not bend: scales and shifts, orders, and invertible matrices (Kingma and Dhariwal 2018).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::autoregressive::permutation_matrix;
use super::{Stepped, for_each_row, no_change};

/// `y = (x + shift) e^s`, begun so that a first batch has mean 0 and deviation 1 in each column.
#[derive(Module, Debug)]
pub struct Actnorm {
    /// `[columns]`.
    shift: Param<Tensor<1>>,
    /// s: `[columns]`.
    log_scale: Param<Tensor<1>>,
}

impl Actnorm {
    /// The identity.
    pub fn new(columns: usize, device: &Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([columns], device));
        Self { shift: zeros(), log_scale: zeros() }
    }

    /// Of a shift and a log-scale for each column.
    pub fn of(shift: Tensor<1>, log_scale: Tensor<1>) -> Self {
        Self { shift: Param::from_tensor(shift), log_scale: Param::from_tensor(log_scale) }
    }

    /// Begun at a batch.
    #[must_use]
    pub fn fitted(self, x: &Tensor<2>) -> Self {
        let x = x.clone().detach();
        let mean = x.clone().mean_dim(0);
        let deviation = (x - mean.clone()).square().mean_dim(0).sqrt() + 1e-6;
        let shift = mean.neg().squeeze_dim::<1>(0);
        let log_scale = deviation.log().neg().squeeze_dim::<1>(0);
        let param = |old: Param<Tensor<1>>, new: Tensor<1>| {
            old.map(|old| if old.is_require_grad() { new.detach().require_grad() } else { new })
        };
        Self { shift: param(self.shift, shift), log_scale: param(self.log_scale, log_scale) }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        let (rows, s) = (x.dims()[0], self.log_scale.val());
        let log = for_each_row(s.clone().sum(), rows);
        ((x + self.shift.val().unsqueeze()) * s.exp().unsqueeze(), log)
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        let (rows, s) = (z.dims()[0], self.log_scale.val());
        let log = for_each_row(s.clone().sum().neg(), rows);
        (z * s.neg().exp().unsqueeze() - self.shift.val().unsqueeze(), log)
    }
}

/// The columns in another order.
#[derive(Module, Debug)]
pub struct Permutation {
    #[module(skip)]
    order: Vec<usize>,
}

impl Permutation {
    /// Drawn by a seed.
    pub fn new(columns: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..columns).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        Self { order }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        let (matrix, log) = (permutation_matrix(&self.order, &x), no_change(&x));
        (x.matmul(matrix), log)
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        let (matrix, log) = (permutation_matrix(&self.order, &z), no_change(&z));
        (z.matmul(matrix.transpose()), log)
    }
}

/// `y = x P L U`, with a fixed order P, a lower triangle L of ones on the diagonal, and an upper triangle U whose diagonal is `e^s`; the determinant is
/// `e^{sum s}`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[columns, columns]`, of which what is below the diagonal counts.
    lower: Param<Tensor<2>>,
    /// The same above it.
    upper: Param<Tensor<2>>,
    /// s: `[columns]`.
    log_diagonal: Param<Tensor<1>>,
    permutation: Permutation,
}

impl Linear {
    /// Of what is below and above the diagonals of L and U, and the logarithm of U's, with the columns in their order.
    pub fn of(lower: Tensor<2>, upper: Tensor<2>, log_diagonal: Tensor<1>) -> Self {
        let order = (0..log_diagonal.dims()[0]).collect();
        Self {
            lower: Param::from_tensor(lower),
            upper: Param::from_tensor(upper),
            log_diagonal: Param::from_tensor(log_diagonal),
            permutation: Permutation { order },
        }
    }

    /// Begins as an order of the columns, drawn by a seed.
    pub fn new(columns: usize, seed: u64, device: &Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([columns, columns], device));
        Self {
            lower: zeros(),
            upper: zeros(),
            log_diagonal: Param::from_tensor(Tensor::zeros([columns], device)),
            permutation: Permutation::new(columns, seed),
        }
    }

    /// L and U.
    fn triangles(&self) -> (Tensor<2>, Tensor<2>) {
        let s = self.log_diagonal.val();
        let [n] = s.dims();
        let mask = |keep: fn(usize, usize) -> bool| {
            let values: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(keep(i / n, i % n)))).collect();
            Tensor::<2>::from_data(TensorData::new(values, [n, n]), &s.device()).cast(s.dtype())
        };
        let diagonal = mask(|i, j| i == j);
        let lower = self.lower.val() * mask(|i, j| i > j) + diagonal.clone();
        let upper = self.upper.val() * mask(|i, j| i < j) + diagonal * s.exp().unsqueeze();
        (lower, upper)
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        let (lower, upper) = self.triangles();
        let log = for_each_row(self.log_diagonal.val().sum(), x.dims()[0]);
        let (x, _) = self.permutation.forward(x);
        (x.matmul(lower.matmul(upper)), log)
    }

    /// Towards the data: two triangles solved, column after column.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        let (lower, upper) = self.triangles();
        let log = for_each_row(self.log_diagonal.val().sum().neg(), z.dims()[0]);
        let n = z.dims()[1];
        let column = |of: &Tensor<2>, j: usize| of.clone().narrow(1, j, 1);
        // z = y U: y_j = (z_j - sum_{i<j} y_i U_ij) / U_jj.
        let mut y: Vec<Tensor<2>> = Vec::new();
        for j in 0..n {
            let mut rest = column(&z, j);
            if j > 0 {
                rest = rest - Tensor::cat(y.clone(), 1).matmul(column(&upper, j).narrow(0, 0, j));
            }
            y.push(rest / column(&upper, j).narrow(0, j, 1));
        }
        // y = x L: x_j = y_j - sum_{i>j} x_i L_ij.
        let mut x: Vec<Tensor<2>> = Vec::new();
        for j in (0..n).rev() {
            let mut rest = y[j].clone();
            if j + 1 < n {
                let after: Vec<Tensor<2>> = x.iter().rev().cloned().collect();
                rest = rest - Tensor::cat(after, 1).matmul(column(&lower, j).narrow(0, j + 1, n - j - 1));
            }
            x.push(rest);
        }
        x.reverse();
        let (x, _) = self.permutation.inverse(Tensor::cat(x, 1));
        (x, log)
    }
}
