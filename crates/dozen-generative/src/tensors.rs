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
