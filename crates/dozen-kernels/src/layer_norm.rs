//! Layer normalisation (Ba et al. 2016).

use burn::tensor::Tensor;

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, mean and variance (divided by the number of values) those of each
/// row: `[rows, columns]`, `gamma` and `beta` with a value for each column.
///
/// # Panics
/// When shapes do not fit or rows are empty.
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let [_, columns] = x.dims();
    assert_eq!((gamma.dims(), beta.dims()), ([columns], [columns]), "a scale and a shift for each column");
    assert!(columns > 0, "the mean of a row needs a value");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, gamma, beta, epsilon);
    }
    layer_norm_reference(x, gamma, beta, epsilon)
}

/// [`layer_norm`] in Burn's own operations.
pub fn layer_norm_reference(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + epsilon).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[cfg(feature = "flex")]
mod kernel {
    use std::mem::MaybeUninit;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use crate::host::{by_type, contiguous, elements, fill, rows_per_task, size, tensor};
    use crate::real::{LANES, Real, lane_sum, sum_lanes, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait LayerNormOps: Backend {
        fn layer_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            epsilon: f64,
        ) -> FloatTensor<Self>;
        /// The gradients of `x`, `gamma` and `beta`.
        fn layer_norm_gradients(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            epsilon: f64,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn run(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as LayerNormOps>::layer_norm(
            x.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            epsilon,
        ))
    }

    impl LayerNormOps for Flex {
        fn layer_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
            let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
            by_type!(&x, forward(&x, &gamma, &beta, epsilon))
        }

        fn layer_norm_gradients(
            output_gradient: FlexTensor,
            x: FlexTensor,
            gamma: FlexTensor,
            epsilon: f64,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (dy, x, gamma) = (contiguous(output_gradient), contiguous(x), contiguous(gamma));
            by_type!(&x, backward(dy, &x, &gamma, epsilon))
        }
    }

    /// Mean, and one over the deviation.
    #[inline(always)]
    fn moments<E: Real>(row: &[E], epsilon: E) -> (E, E) {
        let factor = E::ONE / E::of(row.len() as f64);
        let mean = lane_sum(row) * factor;
        let mut sums = [E::ZERO; LANES];
        let (body, rest) = row.as_chunks::<LANES>();
        for values in body {
            for lane in 0..LANES {
                let centred = values[lane] - mean;
                sums[lane] = centred.fused(centred, sums[lane]);
            }
        }
        let mut squares = sum_lanes(sums);
        for &value in rest {
            squares += (value - mean) * (value - mean);
        }
        (mean, E::ONE / (squares * factor + epsilon).square_root())
    }

    fn forward<E: Real>(x: &FlexTensor, gamma: &FlexTensor, beta: &FlexTensor, epsilon: f64) -> FlexTensor {
        let columns = size(x, 1);
        let (values, gamma, beta) = (elements::<E>(x), elements::<E>(gamma), elements::<E>(beta));
        let all = |y: &mut [MaybeUninit<E>]| {
            let rows = y.par_chunks_exact_mut(columns).zip(values.par_chunks_exact(columns));
            rows.with_min_len(rows_per_task(columns)).for_each(|(y, x)| {
                vectorized(
                    #[inline(always)]
                    || {
                        let (mean, inverse) = moments(x, E::of(epsilon));
                        for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                            y.write(((x - mean) * inverse).fused(gamma, beta));
                        }
                    },
                );
            });
        };
        // SAFETY: each value of each row is written; there are whole rows only.
        #[expect(unsafe_code, reason = "the output is not zeroed first")]
        let y = unsafe { fill(values.len(), all) };
        tensor(y, x.layout().shape().clone())
    }

    /// Parts of the rows whose sums are added in order, the same for any number of threads.
    const PARTS: usize = 16;

    /// With `h = (x - mean) / deviation` and `g = gamma dy`: `dx = (g - mean(g) - h mean(g h)) / deviation`, and summed over
    /// rows `d gamma = dy h`, `d beta = dy`.
    fn backward<E: Real>(
        mut dy: FlexTensor,
        x: &FlexTensor,
        gamma: &FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (rows, columns) = (size(x, 0), size(x, 1));
        let (values, gamma) = (elements::<E>(x), elements::<E>(gamma));
        let part = rows.div_ceil(PARTS).max(1) * columns;
        // In place of the gradient, where nothing else holds it.
        let parts = dy.storage_mut::<E>()[..rows * columns].par_chunks_mut(part).zip(values.par_chunks(part));
        let sums: Vec<[Vec<E>; 2]> = parts
            .map(|(dy, x)| {
                let mut sums = [vec![E::ZERO; columns], vec![E::ZERO; columns]];
                for (dy, x) in dy.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                    let [d_gamma, d_beta] = &mut sums;
                    vectorized(
                        #[inline(always)]
                        || row_gradient(dy, x, gamma, E::of(epsilon), d_gamma, d_beta),
                    );
                }
                sums
            })
            .collect();
        let [d_gamma, d_beta] = [0, 1].map(|which: usize| {
            let mut total = vec![E::ZERO; columns];
            for part in &sums {
                total.iter_mut().zip(&part[which]).for_each(|(total, &sum)| *total += sum);
            }
            tensor(total, [columns])
        });
        (dy, d_gamma, d_beta)
    }

    #[inline(always)]
    fn row_gradient<E: Real>(
        dy: &mut [E],
        x: &[E],
        gamma: &[E],
        epsilon: E,
        d_gamma: &mut [E],
        d_beta: &mut [E],
    ) {
        let (mean, inverse) = moments(x, epsilon);
        let factor = E::ONE / E::of(x.len() as f64);
        let (mut sum, mut product) = (E::ZERO, E::ZERO);
        for ((((dy, &x), &gamma), d_gamma), d_beta) in
            dy.iter_mut().zip(x).zip(gamma).zip(d_gamma).zip(d_beta)
        {
            let h = (x - mean) * inverse;
            *d_gamma = dy.fused(h, *d_gamma);
            *d_beta += *dy;
            *dy *= gamma;
            sum += *dy;
            product = dy.fused(h, product);
        }
        let (offset, slope) = (sum * factor, product * factor);
        for (dy, &x) in dy.iter_mut().zip(x) {
            let h = (x - mean) * inverse;
            *dy = (*dy - offset - h * slope) * inverse;
        }
    }

    #[derive(Debug)]
    struct LayerNormBackward;

    impl<B: LayerNormOps> Backward<B, 3> for LayerNormBackward {
        type State = (FloatTensor<B>, FloatTensor<B>, f64);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, gamma, epsilon) = ops.state;
            let dy = grads.consume::<B>(&ops.node);
            let (dx, d_gamma, d_beta) = B::layer_norm_gradients(dy, x, gamma, epsilon);
            for (node, gradient) in ops.parents.into_iter().zip([dx, d_gamma, d_beta]) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
    }

    impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
        fn layer_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            epsilon: f64,
        ) -> FloatTensor<Self> {
            let nodes = [x.node(), gamma.node(), beta.node()];
            let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
            let y = <B as LayerNormOps>::layer_norm(x.clone(), gamma.clone(), beta.into_primitive(), epsilon);
            match LayerNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, gamma, epsilon), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn layer_norm_gradients(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: f64,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            unreachable!("Burn has no second derivatives")
        }
    }
}
