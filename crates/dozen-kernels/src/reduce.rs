//! The sum of all values, on all threads.

use burn::tensor::Tensor;

/// The sum of all values, of any shape; in an order that does not depend on the number of threads.
pub fn sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x);
    }
    x.sum()
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
    };
    use burn::tensor::{Shape, Tensor};
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use crate::host::{by_type, contiguous, elements, tensor};
    use crate::real::{Real, lane_sum, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait SumOps: Backend {
        fn sum_all(x: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    pub(super) fn run<const D: usize>(x: Tensor<D>) -> Tensor<1> {
        Tensor::from_dispatch(<Dispatch as SumOps>::sum_all(x.into_dispatch()))
    }

    impl SumOps for Flex {
        fn sum_all(x: FlexTensor) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, total(&x))
        }
    }

    /// Values whose sum is one term of the whole.
    const PART: usize = 1 << 14;

    fn total<E: Real>(x: &FlexTensor) -> FlexTensor {
        let part = |values: &[E]| {
            vectorized(
                #[inline(always)]
                || lane_sum(values),
            )
        };
        let parts: Vec<E> = elements::<E>(x).par_chunks(PART).map(part).collect();
        tensor(vec![lane_sum(&parts)], [1])
    }

    #[derive(Debug)]
    struct SumBackward;

    impl<B: SumOps> Backward<B, 1> for SumBackward {
        type State = Shape;

        /// One number, seen everywhere.
        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let shape = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |dy| {
                let ones = Shape::from(vec![1_usize; shape.num_dims()]);
                B::float_expand(B::float_reshape(dy, ones), shape)
            });
        }
    }

    impl<B: SumOps, C: CheckpointStrategy> SumOps for Autodiff<B, C> {
        fn sum_all(x: FloatTensor<Self>) -> FloatTensor<Self> {
            let (node, shape) = (x.node(), x.shape());
            let y = B::sum_all(x.into_primitive());
            match SumBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(shape, y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }
    }
}
