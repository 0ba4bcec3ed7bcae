//! Between Burn's CPU tensors and slices.

use burn::tensor::{DType, Shape, TensorData};
use burn_flex::FlexTensor;

use crate::real::Real;

/// The tensor laid out row by row from the start of its storage; itself where it is so already, so that storage which
/// nothing else holds stays unshared.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    if tensor.is_contiguous() && layout.start_offset() == 0 {
        return tensor;
    }
    // The gradient of a sum is one number seen everywhere.
    if layout.strides().iter().all(|&stride| stride == 0) && tensor.dtype() == DType::F32 {
        let value = tensor.storage::<f32>()[layout.start_offset()];
        let count = layout.num_elements();
        return FlexTensor::from_data(TensorData::new(vec![value; count], layout.shape().clone()));
    }
    tensor.to_contiguous()
}

/// The elements of a contiguous tensor, row-major.
pub(crate) fn elements<E: Real>(tensor: &FlexTensor) -> &[E] {
    let start = tensor.layout().start_offset();
    &tensor.storage::<E>()[start..start + tensor.layout().num_elements()]
}

/// A new tensor of these elements.
pub(crate) fn tensor<E: Real>(elements: Vec<E>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(elements, shape))
}

/// Rows to a task, so that tasks are worth their start.
pub(crate) fn rows_per_task(columns: usize) -> usize {
    (16_384 / columns.max(1)).max(1)
}

/// The size of dimension `index`.
pub(crate) fn size(tensor: &FlexTensor, index: usize) -> usize {
    tensor.layout().shape()[index]
}

/// The element type that a kernel has, or the panic of a caller's mistake.
pub(crate) fn is_f64(tensor: &FlexTensor) -> bool {
    match tensor.dtype() {
        DType::F32 => false,
        DType::F64 => true,
        other => panic!("dozen-kernels runs on f32 and f64 tensors, not on {other:?}"),
    }
}

/// Calls `$kernel::<f32>` or `$kernel::<f64>` as the tensor's type says.
macro_rules! by_type {
    ($tensor:expr, $kernel:ident($($argument:expr),* $(,)?)) => {
        if $crate::host::is_f64($tensor) { $kernel::<f64>($($argument),*) } else { $kernel::<f32>($($argument),*) }
    };
}
pub(crate) use by_type;
