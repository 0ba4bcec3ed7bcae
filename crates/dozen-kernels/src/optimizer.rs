//! Steps of optimisers, and the moving average of weights: each reads and writes every value once, in place where nothing
//! else holds the tensors. A parameter too small for several threads is done on one, so that a model of many small ones is
//! one loop over all of them.

use burn::tensor::Tensor;

/// The numbers of one step of Adam or AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: `w` shrinks by `rate * weight_decay * w`; zero for plain Adam.
    pub weight_decay: f64,
    /// The number of this step, from 1.
    pub time: i32,
}

/// One step of Adam (Kingma and Ba 2015, algorithm 1) or AdamW (Loshchilov and Hutter 2019, algorithm 2) on one parameter
/// `w` with gradient `g` and moments `m` and `v`, all of one shape:
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `w = w - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay w)`.
///
/// Returns `(w, m, v)`.
pub fn adam_step<const D: usize>(
    w: Tensor<D>,
    g: Tensor<D>,
    m: Tensor<D>,
    v: Tensor<D>,
    step: AdamStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&w.device()) {
        return kernel::adam(w, g, m, v, step);
    }
    let m = m * step.beta_1 + g.clone() * (1.0 - step.beta_1);
    let v = v * step.beta_2 + g.square() * (1.0 - step.beta_2);
    let mean = m.clone() / (1.0 - step.beta_1.powi(step.time));
    let root = (v.clone() / (1.0 - step.beta_2.powi(step.time))).sqrt() + step.epsilon;
    let w = w.clone() * (1.0 - step.rate * step.weight_decay) - mean / root * step.rate;
    (w, m, v)
}

/// One step of gradient descent with momentum (Polyak 1964): `velocity = momentum velocity + g`, `w = w - rate velocity`.
/// Returns `(w, velocity)`.
pub fn sgd_step<const D: usize>(
    w: Tensor<D>,
    g: Tensor<D>,
    velocity: Tensor<D>,
    rate: f64,
    momentum: f64,
) -> (Tensor<D>, Tensor<D>) {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&w.device()) {
        return kernel::two(w, g, velocity, kernel::Rule::Sgd { rate, momentum });
    }
    let velocity = velocity * momentum + g;
    (w - velocity.clone() * rate, velocity)
}

/// One step of RMSProp (Hinton, lecture 6e): `v = decay v + (1 - decay) g^2`, `w = w - rate g / (sqrt(v) + epsilon)`.
/// Returns `(w, v)`.
pub fn rms_prop_step<const D: usize>(
    w: Tensor<D>,
    g: Tensor<D>,
    v: Tensor<D>,
    rate: f64,
    decay: f64,
    epsilon: f64,
) -> (Tensor<D>, Tensor<D>) {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&w.device()) {
        return kernel::two(w, g, v, kernel::Rule::RmsProp { rate, decay, epsilon });
    }
    let v = v * decay + g.clone().square() * (1.0 - decay);
    (w - g / (v.clone().sqrt() + epsilon) * rate, v)
}

/// The exponential moving average of weights: `decay average + (1 - decay) w`.
pub fn moving_average<const D: usize>(average: Tensor<D>, w: Tensor<D>, decay: f64) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&w.device()) {
        return kernel::average(average, w, decay);
    }
    average * decay + w * (1.0 - decay)
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::{
        Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
    };
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::AdamStep;
    use crate::host::{by_type, contiguous, elements};
    use crate::real::{Real, vectorized};

    /// A rule with one state for each value.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum Rule {
        Sgd { rate: f64, momentum: f64 },
        RmsProp { rate: f64, decay: f64, epsilon: f64 },
    }

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait OptimizerOps: Backend {
        fn adam_step(
            w: FloatTensor<Self>,
            g: FloatTensor<Self>,
            m: FloatTensor<Self>,
            v: FloatTensor<Self>,
            step: AdamStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
        fn step(
            w: FloatTensor<Self>,
            g: FloatTensor<Self>,
            state: FloatTensor<Self>,
            rule: Rule,
        ) -> (FloatTensor<Self>, FloatTensor<Self>);
        fn moving_average(average: FloatTensor<Self>, w: FloatTensor<Self>, decay: f64) -> FloatTensor<Self>;
    }

    pub(super) fn adam<const D: usize>(
        w: Tensor<D>,
        g: Tensor<D>,
        m: Tensor<D>,
        v: Tensor<D>,
        step: AdamStep,
    ) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        let (w, m, v) = <Dispatch as OptimizerOps>::adam_step(
            w.into_dispatch(),
            g.into_dispatch(),
            m.into_dispatch(),
            v.into_dispatch(),
            step,
        );
        (Tensor::from_dispatch(w), Tensor::from_dispatch(m), Tensor::from_dispatch(v))
    }

    pub(super) fn two<const D: usize>(
        w: Tensor<D>,
        g: Tensor<D>,
        state: Tensor<D>,
        rule: Rule,
    ) -> (Tensor<D>, Tensor<D>) {
        let (w, state) = <Dispatch as OptimizerOps>::step(
            w.into_dispatch(),
            g.into_dispatch(),
            state.into_dispatch(),
            rule,
        );
        (Tensor::from_dispatch(w), Tensor::from_dispatch(state))
    }

    pub(super) fn average<const D: usize>(average: Tensor<D>, w: Tensor<D>, decay: f64) -> Tensor<D> {
        Tensor::from_dispatch(<Dispatch as OptimizerOps>::moving_average(
            average.into_dispatch(),
            w.into_dispatch(),
            decay,
        ))
    }

    impl OptimizerOps for Flex {
        fn adam_step(
            w: FlexTensor,
            g: FlexTensor,
            m: FlexTensor,
            v: FlexTensor,
            step: AdamStep,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (mut w, g) = (contiguous(w), contiguous(g));
            let (mut m, mut v) = (contiguous(m), contiguous(v));
            by_type!(&g, update_adam([&mut w, &mut m, &mut v], &g, step));
            (w, m, v)
        }

        fn step(w: FlexTensor, g: FlexTensor, state: FlexTensor, rule: Rule) -> (FlexTensor, FlexTensor) {
            let (mut w, g, mut state) = (contiguous(w), contiguous(g), contiguous(state));
            by_type!(&g, update(&mut w, &g, &mut state, rule));
            (w, state)
        }

        fn moving_average(average: FlexTensor, w: FlexTensor, decay: f64) -> FlexTensor {
            let (mut average, w) = (contiguous(average), contiguous(w));
            by_type!(&w, update_average(&mut average, &w, decay));
            average
        }
    }

    /// Values to a task.
    const TASK: usize = 1 << 15;

    fn update_adam<E: Real>([w, m, v]: [&mut FlexTensor; 3], g: &FlexTensor, step: AdamStep) {
        let g = elements::<E>(g);
        let w = &mut w.storage_mut::<E>()[..g.len()];
        let m = &mut m.storage_mut::<E>()[..g.len()];
        let v = &mut v.storage_mut::<E>()[..g.len()];
        let chunks = w
            .par_chunks_mut(TASK)
            .zip(m.par_chunks_mut(TASK))
            .zip(v.par_chunks_mut(TASK))
            .zip(g.par_chunks(TASK));
        chunks.for_each(|(((w, m), v), g)| {
            vectorized(
                #[inline(always)]
                || update_adam_chunk([w, m, v], g, step),
            );
        });
    }

    #[inline(always)]
    fn update_adam_chunk<E: Real>([w, m, v]: [&mut [E]; 3], g: &[E], step: AdamStep) {
        let (beta_1, beta_2) = (E::of(step.beta_1), E::of(step.beta_2));
        let (rest_1, rest_2) = (E::of(1.0 - step.beta_1), E::of(1.0 - step.beta_2));
        let rate = E::of(step.rate / (1.0 - step.beta_1.powi(step.time)));
        let root_scale = E::of((1.0 - step.beta_2.powi(step.time)).sqrt().recip());
        let (epsilon, keep) = (E::of(step.epsilon), E::of(1.0 - step.rate * step.weight_decay));
        for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
            *m = beta_1.fused(*m, rest_1 * g);
            *v = beta_2.fused(*v, rest_2 * g * g);
            *w = keep * *w - rate * *m / (v.square_root() * root_scale + epsilon);
        }
    }

    fn update<E: Real>(w: &mut FlexTensor, g: &FlexTensor, state: &mut FlexTensor, rule: Rule) {
        let g = elements::<E>(g);
        let w = &mut w.storage_mut::<E>()[..g.len()];
        let state = &mut state.storage_mut::<E>()[..g.len()];
        let chunks = w.par_chunks_mut(TASK).zip(state.par_chunks_mut(TASK)).zip(g.par_chunks(TASK));
        chunks.for_each(|((w, state), g)| {
            vectorized(
                #[inline(always)]
                || match rule {
                    Rule::Sgd { rate, momentum } => {
                        let (rate, momentum) = (E::of(rate), E::of(momentum));
                        for ((w, velocity), &g) in w.iter_mut().zip(state).zip(g) {
                            *velocity = momentum.fused(*velocity, g);
                            *w -= rate * *velocity;
                        }
                    }
                    Rule::RmsProp { rate, decay, epsilon } => {
                        let (rate, epsilon) = (E::of(rate), E::of(epsilon));
                        let (decay, rest) = (E::of(decay), E::of(1.0 - decay));
                        for ((w, v), &g) in w.iter_mut().zip(state).zip(g) {
                            *v = decay.fused(*v, rest * g * g);
                            *w -= rate * g / (v.square_root() + epsilon);
                        }
                    }
                },
            );
        });
    }

    fn update_average<E: Real>(average: &mut FlexTensor, w: &FlexTensor, decay: f64) {
        let w = elements::<E>(w);
        let average = &mut average.storage_mut::<E>()[..w.len()];
        let (decay, rest) = (E::of(decay), E::of(1.0 - decay));
        average.par_chunks_mut(TASK).zip(w.par_chunks(TASK)).for_each(|(average, w)| {
            vectorized(
                #[inline(always)]
                || {
                    for (average, &w) in average.iter_mut().zip(w) {
                        *average = decay.fused(*average, rest * w);
                    }
                },
            );
        });
    }

    /// A step is no part of a graph: weights and gradients arrive without one.
    impl<B: OptimizerOps, C: CheckpointStrategy> OptimizerOps for Autodiff<B, C> {
        fn adam_step(
            w: FloatTensor<Self>,
            g: FloatTensor<Self>,
            m: FloatTensor<Self>,
            v: FloatTensor<Self>,
            step: AdamStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let inner = |tensor: FloatTensor<Self>| tensor.into_primitive();
            let (w, m, v) = B::adam_step(inner(w), inner(g), inner(m), inner(v), step);
            (Self::from_inner(w), Self::from_inner(m), Self::from_inner(v))
        }

        fn step(
            w: FloatTensor<Self>,
            g: FloatTensor<Self>,
            state: FloatTensor<Self>,
            rule: Rule,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            let (w, state) = B::step(w.into_primitive(), g.into_primitive(), state.into_primitive(), rule);
            (Self::from_inner(w), Self::from_inner(state))
        }

        fn moving_average(average: FloatTensor<Self>, w: FloatTensor<Self>, decay: f64) -> FloatTensor<Self> {
            Self::from_inner(B::moving_average(average.into_primitive(), w.into_primitive(), decay))
        }
    }
}
