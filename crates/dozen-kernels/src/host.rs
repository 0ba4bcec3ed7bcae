//! Between Burn's CPU tensors and slices.

use std::mem::MaybeUninit;

use burn::tensor::{DType, Shape, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::real::Real;

/// The tensor laid out row by row from the start of its storage; itself where it is so already, so that storage which
/// nothing else holds stays unshared.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    if tensor.is_contiguous() && layout.start_offset() == 0 {
        return tensor;
    }
    if tensor.dtype() == DType::F32
        && let Some(value) = uniform::<f32>(&tensor)
    {
        let all = |room: &mut [MaybeUninit<f32>]| {
            room.par_chunks_mut(1 << 16).for_each(|room| room.fill(MaybeUninit::new(value)));
        };
        // SAFETY: every chunk is filled.
        #[expect(unsafe_code, reason = "memory that is written before it is read")]
        let values = unsafe { fill(tensor.layout().num_elements(), all) };
        return self::tensor(values, tensor.layout().shape().clone());
    }
    tensor.to_contiguous()
}

/// The value of a tensor that is one number seen everywhere, as the gradient of a sum is.
pub(crate) fn uniform<E: Real>(tensor: &FlexTensor) -> Option<E> {
    let layout = tensor.layout();
    let everywhere = layout.strides().iter().all(|&stride| stride == 0);
    everywhere.then(|| tensor.storage::<E>()[layout.start_offset()])
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

/// A new vector of `count` values that `write` writes; zeroing them first would cost as much as many kernels take.
///
/// # Safety
/// `write` must write every value.
#[expect(unsafe_code, reason = "memory that is written before it is read")]
pub(crate) unsafe fn fill<E: Real>(count: usize, write: impl FnOnce(&mut [MaybeUninit<E>])) -> Vec<E> {
    let mut values = Vec::with_capacity(count);
    let room = &mut values.spare_capacity_mut()[..count];
    if cfg!(debug_assertions) {
        // What a kernel forgets shows in the tests.
        room.fill(MaybeUninit::new(E::of(f64::NAN)));
    }
    write(room);
    // SAFETY: the capacity is at least `count`, and the caller promises that all values below it were written.
    unsafe { values.set_len(count) };
    values
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
