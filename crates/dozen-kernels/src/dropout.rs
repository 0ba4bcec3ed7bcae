//! Dropout whose mask is a function of a seed.

use burn::tensor::{Distribution, Tensor};

/// The probability of dropping a value, and the seed that decides which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// In [0, 1); zero drops nothing.
    pub probability: f64,
    /// The same seed drops the same values.
    pub seed: u64,
}

impl Dropout {
    /// Nothing is dropped.
    pub const NONE: Self = Self { probability: 0.0, seed: 0 };

    /// The dropout of place `index` in a network: another seed, and the probability times `share`.
    #[must_use]
    pub fn at(self, index: u64, share: f64) -> Self {
        let seed =
            (self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self { probability: self.probability * share, seed: seed ^ (seed >> 29) }
    }
}

/// Sets each value to zero with the given probability and divides the others by what is left of one (Srivastava et al.
/// 2014), `[rows, columns] -> [rows, columns]`.
///
/// The kernel recomputes the mask in the backward instead of keeping it, and a seed gives the same mask for any number
/// of threads. Other devices draw from the device's own generator.
pub fn dropout(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    if dropout.probability <= 0.0 {
        return x;
    }
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, dropout);
    }
    let keep = 1.0 - dropout.probability;
    let mask = Tensor::random(x.dims(), Distribution::Bernoulli(keep), &x.device().inner());
    x * Tensor::from_inner(mask / keep)
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::Dropout;
    use crate::host::{by_type, contiguous, elements, tensor};
    use crate::real::{Real, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait DropoutOps: Backend {
        fn dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self>;
    }

    pub(super) fn run(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as DropoutOps>::dropout(x.into_dispatch(), dropout))
    }

    impl DropoutOps for Flex {
        fn dropout(x: FlexTensor, dropout: Dropout) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, masked(&x, dropout))
        }
    }

    /// Values to a task.
    const TASK: usize = 1 << 15;

    fn masked<E: Real>(x: &FlexTensor, dropout: Dropout) -> FlexTensor {
        let values = elements::<E>(x);
        let scale = E::of(1.0 / (1.0 - dropout.probability));
        let limit = (dropout.probability * f64::from(u32::MAX)) as u32;
        let mut y = vec![E::ZERO; values.len()];
        y.par_chunks_mut(TASK).zip(values.par_chunks(TASK)).enumerate().for_each(|(task, (y, x))| {
            vectorized(
                #[inline(always)]
                || {
                    let first = (task * TASK) as u32 ^ (dropout.seed >> 32) as u32;
                    for (index, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                        let number = scramble(first.wrapping_add(index as u32) ^ dropout.seed as u32);
                        *y = if number < limit { E::ZERO } else { x * scale };
                    }
                },
            );
        });
        tensor(y, x.layout().shape().clone())
    }

    /// The finaliser of MurmurHash3: every bit of the input moves every bit of the output.
    #[inline(always)]
    fn scramble(mut x: u32) -> u32 {
        x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
        x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        x ^ (x >> 16)
    }

    #[derive(Debug)]
    struct DropoutBackward;

    impl<B: DropoutOps> Backward<B, 1> for DropoutBackward {
        type State = Dropout;

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let dropout = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |gradient| B::dropout(gradient, dropout));
        }
    }

    impl<B: DropoutOps, C: CheckpointStrategy> DropoutOps for Autodiff<B, C> {
        fn dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
            let node = x.node();
            let y = B::dropout(x.into_primitive(), dropout);
            match DropoutBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(dropout, y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }
    }
}
