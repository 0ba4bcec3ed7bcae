//! Between matrices and tensors.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_data::Matrix;

/// A matrix on a device.
pub(crate) fn to_tensor(matrix: &Matrix, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(matrix.values().to_vec(), [matrix.rows(), matrix.columns()]), device)
}

/// A tensor's values on the host, row-major.
pub(crate) fn to_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("a float tensor holds floats")
}

/// A seed of a row's own, so that what is drawn for it does not depend on the other rows.
pub(crate) fn row_seed(seed: u64, row: usize) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (row as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
