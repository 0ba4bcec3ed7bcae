//! Activations in one pass, forwards and backwards.

use burn::tensor::{Tensor, activation};

/// Which activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, `slope x` elsewhere (Maas et al. 2013).
    LeakyRelu {
        /// Of the negative side.
        slope: f64,
    },
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `tanh x`.
    Tanh,
    /// `x sigmoid(x)`, also named swish (Elfwing et al. 2018).
    Silu,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x Phi(x)` with the normal distribution function `Phi` (Hendrycks and Gimpel 2016); in `f32` to an absolute error
    /// of `4e-7 |x|`.
    Gelu,
    /// `e^x`.
    Exp,
    /// `ln x`.
    Log,
}

/// The activation of each value, of any shape.
///
/// The `f32` kernels use polynomials by SIMD, within 4 units in the last place of the exact value except where the
/// variant states another bound; infinities and NaN go where IEEE 754 sends them. One pass reads each value once; the
/// backward needs the input only.
pub fn activate<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, kind);
    }
    activate_reference(x, kind)
}

/// [`activate`] in Burn's own operations.
pub fn activate_reference<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
    match kind {
        Activation::Relu => activation::relu(x),
        Activation::LeakyRelu { slope } => activation::leaky_relu(x, slope),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Tanh => activation::tanh(x),
        Activation::Silu => activation::silu(x),
        Activation::Softplus => activation::relu(x.clone()) + x.abs().neg().exp().log1p(),
        Activation::Gelu => activation::gelu(x),
        Activation::Exp => x.exp(),
        Activation::Log => x.log(),
    }
}

#[cfg(feature = "flex")]
pub(crate) use kernel::{ActivationOps, apply};

#[cfg(feature = "flex")]
mod kernel {
    use std::mem::MaybeUninit;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::Activation;
    use crate::function::{Function, with_function};
    use crate::host::{by_type, contiguous, elements, fill, tensor, uniform};
    use crate::real::{Real, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(crate) trait ActivationOps: Backend {
        fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self>;
        fn activate_gradient(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            kind: Activation,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn run<const D: usize>(x: Tensor<D>, kind: Activation) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as ActivationOps>::activate(x.into_dispatch(), kind))
    }

    impl ActivationOps for Flex {
        fn activate(x: FlexTensor, kind: Activation) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, forward(&x, kind))
        }

        fn activate_gradient(output_gradient: FlexTensor, x: FlexTensor, kind: Activation) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, backward(output_gradient, &x, kind))
        }
    }

    /// Values to a task: their input and output fit the second cache of a core.
    const TASK: usize = 1 << 15;

    fn forward<E: Real>(x: &FlexTensor, kind: Activation) -> FlexTensor {
        let values = elements::<E>(x);
        let all = |y: &mut [MaybeUninit<E>]| with_function!(Some(kind), f => map(values, y, f));
        // SAFETY: `map` writes a value for each of `values`.
        #[expect(unsafe_code, reason = "the output is not zeroed first")]
        let y = unsafe { fill(values.len(), all) };
        tensor(y, x.layout().shape().clone())
    }

    fn map<E: Real, F: Function>(x: &[E], y: &mut [MaybeUninit<E>], f: F) {
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, &x) in y.iter_mut().zip(x) {
                        y.write(f.value(x));
                    }
                },
            );
        });
    }

    /// The activation of some values in place, on the calling thread.
    pub(crate) fn apply<E: Real>(kind: Activation, values: &mut [E]) {
        fn run<E: Real, F: Function>(values: &mut [E], f: F) {
            vectorized(
                #[inline(always)]
                || {
                    for value in values {
                        *value = f.value(*value);
                    }
                },
            );
        }
        with_function!(Some(kind), f => run(values, f));
    }

    /// The gradient times the slope.
    fn backward<E: Real>(gradient: FlexTensor, x: &FlexTensor, kind: Activation) -> FlexTensor {
        let values = elements::<E>(x);
        if let Some(value) = uniform::<E>(&gradient) {
            let all = |dx: &mut [MaybeUninit<E>]| {
                with_function!(Some(kind), f => scaled_slopes(values, dx, value, f));
            };
            // SAFETY: `scaled_slopes` writes a value for each of `values`.
            #[expect(unsafe_code, reason = "the output is not zeroed first")]
            let dx = unsafe { fill(values.len(), all) };
            return tensor(dx, x.layout().shape().clone());
        }
        // In place of the gradient, where nothing else holds it.
        let mut gradient = contiguous(gradient);
        let dx = &mut gradient.storage_mut::<E>()[..values.len()];
        with_function!(Some(kind), f => multiply_slopes(values, dx, f));
        gradient
    }

    fn scaled_slopes<E: Real, F: Function>(x: &[E], dx: &mut [MaybeUninit<E>], scale: E, f: F) {
        dx.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(dx, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (dx, &x) in dx.iter_mut().zip(x) {
                        dx.write(scale * f.slope(x));
                    }
                },
            );
        });
    }

    fn multiply_slopes<E: Real, F: Function>(x: &[E], dx: &mut [E], f: F) {
        dx.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(dx, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (dx, &x) in dx.iter_mut().zip(x) {
                        *dx *= f.slope(x);
                    }
                },
            );
        });
    }

    #[derive(Debug)]
    struct ActivationBackward;

    impl<B: ActivationOps> Backward<B, 1> for ActivationBackward {
        type State = (FloatTensor<B>, Activation);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, kind) = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |gradient| B::activate_gradient(gradient, x, kind));
        }
    }

    impl<B: ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
        fn activate(x: FloatTensor<Self>, kind: Activation) -> FloatTensor<Self> {
            let node = x.node();
            let x = x.into_primitive();
            let y = B::activate(x.clone(), kind);
            match ActivationBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, kind), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn activate_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Activation) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
