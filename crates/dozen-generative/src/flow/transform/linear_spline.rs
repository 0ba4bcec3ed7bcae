//! Monotone splines of straight pieces (Müller et al. 2019, section 4.1), the identity outside `[-bound, bound]`.

use burn::tensor::{Tensor, TensorData};

/// Bins of equal width with heights that add up to the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSpline {
    /// How many.
    pub bins: usize,
    /// Where the straight tails begin.
    pub bound: f64,
}

/// The least height of a bin, so that every slope can be undone.
const LEAST: f64 = 1e-3;

/// What the function of one kind of place needs to know of each bin: `[values, bins]`.
struct Bins {
    /// Heights as shares of the whole.
    heights: Tensor<2>,
    /// Where they begin.
    starts: Tensor<2>,
}

impl LinearSpline {
    /// `y` and `ln dy/dx` of each value: `[rows, columns]`; parameters `[rows, columns bins]`, all zero for the identity.
    pub fn forward(self, x: Tensor<2>, parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let bins = self.bins(&parameters);
        let n = self.bins as f64;
        // In bins, from the left end.
        let place = self.place(&x) * n;
        let past = place - self.ramp(&x);
        let y = (bins.heights.clone() * past.clone().clamp(0.0, 1.0)).sum_dim(1);
        let log = (chosen(past) * (bins.heights * n).log()).sum_dim(1);
        self.inside(x, y, log)
    }

    /// `x` and `ln dx/dy` of each value.
    pub fn inverse(self, y: Tensor<2>, parameters: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let bins = self.bins(&parameters);
        let n = self.bins as f64;
        let past = (self.place(&y) - bins.starts) / bins.heights.clone();
        let x = past.clone().clamp(0.0, 1.0).sum_dim(1) / n;
        let log = (chosen(past) * (bins.heights * n).log()).sum_dim(1).neg();
        self.inside(y, x, log)
    }

    /// The share of the way from `-bound` to `bound`: `[values, 1]`.
    fn place(self, x: &Tensor<2>) -> Tensor<2> {
        let [rows, columns] = x.dims();
        (x.clone().reshape([rows * columns, 1]) / (2.0 * self.bound) + 0.5).clamp(0.0, 1.0)
    }

    /// 0, 1, ...: `[1, bins]`.
    fn ramp(self, like: &Tensor<2>) -> Tensor<2> {
        let values: Vec<f32> = (0..self.bins).map(|bin| bin as f32).collect();
        Tensor::<2>::from_data(TensorData::new(values, [1, self.bins]), &like.device()).cast(like.dtype())
    }

    fn bins(self, parameters: &Tensor<2>) -> Bins {
        let [rows, columns] = parameters.dims();
        let n = self.bins;
        let raw = parameters.clone().reshape([rows * columns / n, n]);
        let heights = dozen_kernels::softmax(raw) * (1.0 - LEAST * n as f64) + LEAST;
        let before: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n < i % n))).collect();
        let before = Tensor::<2>::from_data(TensorData::new(before, [n, n]), &parameters.device());
        let starts = heights.clone().matmul(before.cast(parameters.dtype()));
        Bins { heights, starts }
    }

    /// What the spline gives between the bounds, and the identity beyond.
    fn inside(self, x: Tensor<2>, share: Tensor<2>, log: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let shape = x.dims();
        let beyond = x.clone().abs().greater_elem(self.bound);
        let y = (share * (2.0 * self.bound) - self.bound).reshape(shape);
        (y.mask_where(beyond.clone(), x), log.reshape(shape).mask_fill(beyond, 0.0))
    }
}

/// One where a value lies, by how far it is past each bin's start; exactly one bin, whatever rounding does.
fn chosen(past: Tensor<2>) -> Tensor<2> {
    let [values, bins] = past.dims();
    let (device, kind) = (past.device(), past.dtype());
    let begun = past.detach().greater_equal_elem(0.0).float().cast(kind);
    let ones = Tensor::<2>::ones([values, 1], &device).cast(kind);
    if bins == 1 {
        return ones;
    }
    let begun = Tensor::cat(vec![ones, begun.narrow(1, 1, bins - 1)], 1);
    let after = begun.clone().narrow(1, 1, bins - 1);
    let none = Tensor::<2>::zeros([values, 1], &device).cast(kind);
    begun - Tensor::cat(vec![after, none], 1)
}
