//! `ln sum e^x` along a dimension.

use burn::tensor::Tensor;

/// `ln sum_k e^{x_k}` along a dimension, which has one value then, without overflow: `m + ln sum_k e^{x_k - m}` with the
/// greatest value `m`, through which no gradient goes. Written in Burn's own operations.
pub fn log_sum_exp<const D: usize>(x: Tensor<D>, dimension: usize) -> Tensor<D> {
    let greatest = x.clone().detach().max_dim(dimension);
    (x - greatest.clone()).exp().sum_dim(dimension).log() + greatest
}
