//! Adam and AdamW (Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019, algorithm 2).

use burn::tensor::Tensor;

/// The numbers of one step.
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

/// One step on one parameter `w` with gradient `g` and moments `m` and `v`, all of one shape:
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `w = w - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay w)`.
///
/// Returns `(w, m, v)`. The kernel reads and writes each value once, in place where nothing else holds the tensors.
pub fn adam_step<const D: usize>(
    w: Tensor<D>,
    g: Tensor<D>,
    m: Tensor<D>,
    v: Tensor<D>,
    step: AdamStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&w.device()) {
        return kernel::run(w, g, m, v, step);
    }
    let m = m * step.beta_1 + g.clone() * (1.0 - step.beta_1);
    let v = v * step.beta_2 + g.square() * (1.0 - step.beta_2);
    let mean = m.clone() / (1.0 - step.beta_1.powi(step.time));
    let root = (v.clone() / (1.0 - step.beta_2.powi(step.time))).sqrt() + step.epsilon;
    let w = w.clone() * (1.0 - step.rate * step.weight_decay) - mean / root * step.rate;
    (w, m, v)
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::AdamStep;
    use crate::host::{by_type, contiguous, elements};
    use crate::real::{Real, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait AdamOps: Backend {
        fn adam_step(
            w: FloatTensor<Self>,
            g: FloatTensor<Self>,
            m: FloatTensor<Self>,
            v: FloatTensor<Self>,
            step: AdamStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn run<const D: usize>(
        w: Tensor<D>,
        g: Tensor<D>,
        m: Tensor<D>,
        v: Tensor<D>,
        step: AdamStep,
    ) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        let (w, m, v) = <Dispatch as AdamOps>::adam_step(
            w.into_dispatch(),
            g.into_dispatch(),
            m.into_dispatch(),
            v.into_dispatch(),
            step,
        );
        (Tensor::from_dispatch(w), Tensor::from_dispatch(m), Tensor::from_dispatch(v))
    }

    impl AdamOps for Flex {
        fn adam_step(
            w: FlexTensor,
            g: FlexTensor,
            m: FlexTensor,
            v: FlexTensor,
            step: AdamStep,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (mut w, g) = (contiguous(w), contiguous(g));
            let (mut m, mut v) = (contiguous(m), contiguous(v));
            by_type!(&g, update([&mut w, &mut m, &mut v], &g, step));
            (w, m, v)
        }
    }

    /// Values to a task.
    const TASK: usize = 1 << 15;

    fn update<E: Real>([w, m, v]: [&mut FlexTensor; 3], g: &FlexTensor, step: AdamStep) {
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
                || update_chunk([w, m, v], g, step),
            );
        });
    }

    #[inline(always)]
    fn update_chunk<E: Real>([w, m, v]: [&mut [E]; 3], g: &[E], step: AdamStep) {
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

    /// An optimiser step is no part of a graph: moments and gradients arrive without one.
    impl<B: AdamOps, C: CheckpointStrategy> AdamOps for Autodiff<B, C> {
        fn adam_step(
            w: FloatTensor<Self>,
            g: FloatTensor<Self>,
            m: FloatTensor<Self>,
            v: FloatTensor<Self>,
            step: AdamStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let inner = |tensor: FloatTensor<Self>| tensor.into_primitive();
            let (w, m, v) = B::adam_step(inner(w), inner(g), inner(m), inner(v), step);
            use burn::backend::AutodiffBackend;
            (Self::from_inner(w), Self::from_inner(m), Self::from_inner(v))
        }
    }
}
