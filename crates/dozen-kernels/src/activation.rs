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
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::Activation;
    use crate::host::{by_type, contiguous, elements, tensor};
    use crate::real::{Real, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait ActivationOps: Backend {
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
            let (gradient, x) = (contiguous(output_gradient), contiguous(x));
            by_type!(&x, backward(gradient, &x, kind))
        }
    }

    /// A function over slices that sets (or with `*` multiplies) each output by an expression of the input, compiled for
    /// the best instruction set.
    macro_rules! each {
        (|$x:ident, $parameter:pat_param| $value:expr) => {
            |y: &mut [E], x: &[E], parameter: E| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (y, &$x) in y.iter_mut().zip(x) {
                            let $parameter = parameter;
                            *y = $value;
                        }
                    },
                )
            }
        };
        (*, |$x:ident, $parameter:pat_param| $value:expr) => {
            |y: &mut [E], x: &[E], parameter: E| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (y, &$x) in y.iter_mut().zip(x) {
                            let $parameter = parameter;
                            *y *= $value;
                        }
                    },
                )
            }
        };
    }

    /// Values to a task: their input and output fit the second cache of a core.
    const TASK: usize = 1 << 15;

    fn forward<E: Real>(x: &FlexTensor, kind: Activation) -> FlexTensor {
        let values = elements::<E>(x);
        let mut y = vec![E::ZERO; values.len()];
        let mut map = |f: fn(&mut [E], &[E], E), parameter: f64| {
            y.par_chunks_mut(TASK).zip(values.par_chunks(TASK)).for_each(|(y, x)| f(y, x, E::of(parameter)));
        };
        match kind {
            Activation::Relu => map(each!(|x, _| x.at_least(E::ZERO)), 0.0),
            Activation::LeakyRelu { slope } => {
                map(each!(|x, slope| if x < E::ZERO { x * slope } else { x }), slope);
            }
            Activation::Sigmoid => map(each!(|x, _| x.sigmoid()), 0.0),
            Activation::Tanh => map(each!(|x, _| x.hyperbolic_tangent()), 0.0),
            Activation::Silu => map(each!(|x, _| x * x.sigmoid()), 0.0),
            Activation::Softplus => map(each!(|x, _| x.softplus()), 0.0),
            Activation::Gelu => map(each!(|x, _| x * normal_distribution(x)), 0.0),
            Activation::Exp => map(each!(|x, _| x.exponential_full()), 0.0),
            Activation::Log => map(each!(|x, _| x.logarithm()), 0.0),
        }
        tensor(y, x.layout().shape().clone())
    }

    /// In place of the gradient, where nothing else holds it.
    fn backward<E: Real>(mut gradient: FlexTensor, x: &FlexTensor, kind: Activation) -> FlexTensor {
        let values = elements::<E>(x);
        let dx = &mut gradient.storage_mut::<E>()[..values.len()];
        // Each takes the slope at x times the gradient that stands in the output.
        let mut map = |f: fn(&mut [E], &[E], E), parameter: f64| {
            dx.par_chunks_mut(TASK)
                .zip(values.par_chunks(TASK))
                .for_each(|(dx, x)| f(dx, x, E::of(parameter)));
        };
        match kind {
            Activation::Relu => map(each!(*, |x, _| if x > E::ZERO { E::ONE } else { E::ZERO }), 0.0),
            Activation::LeakyRelu { slope } => {
                map(each!(*, |x, slope| if x < E::ZERO { slope } else { E::ONE }), slope);
            }
            Activation::Sigmoid => map(each!(*, |x, _| x.sigmoid() * (-x).sigmoid()), 0.0),
            Activation::Tanh => map(
                each!(*, |x, _| {
                    let y = x.hyperbolic_tangent();
                    E::ONE - y * y
                }),
                0.0,
            ),
            Activation::Silu => map(
                each!(*, |x, _| {
                    let s = x.sigmoid();
                    s * (E::ONE + x * (E::ONE - s))
                }),
                0.0,
            ),
            Activation::Softplus => map(each!(*, |x, _| x.sigmoid()), 0.0),
            Activation::Gelu => map(
                each!(*, |x, _| {
                    let density = E::of(0.398_942_280_401_432_7) * (-x * x * E::of(0.5)).exponential();
                    normal_distribution(x) + x * density
                }),
                0.0,
            ),
            Activation::Exp => map(each!(*, |x, _| x.exponential_full()), 0.0),
            Activation::Log => map(each!(*, |x, _| E::ONE / x), 0.0),
        }
        gradient
    }

    /// `Phi(x) = (1 + erf(x / sqrt 2)) / 2`.
    #[inline(always)]
    fn normal_distribution<E: Real>(x: E) -> E {
        E::of(0.5) * (E::ONE + (x * E::of(std::f64::consts::FRAC_1_SQRT_2)).error_function())
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
