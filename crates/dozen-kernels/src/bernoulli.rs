//! The log-probability of bits.

use burn::tensor::{Tensor, activation};

/// `sum_j log p(x_j)` for bits `x` under logits `l`: `sum_j x_j l_j - ln(1 + e^l_j)`, `[rows, n] -> [rows]`, in nats.
///
/// Gradients flow to the logits only: `x_j - sigmoid(l_j)`.
pub fn bernoulli_log_prob(logits: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    assert_eq!(logits.dims(), x.dims(), "a logit for each bit");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&logits.device()) {
        return kernel::run(logits, x);
    }
    bernoulli_log_prob_reference(logits, x)
}

/// [`bernoulli_log_prob`] in Burn's own operations.
pub fn bernoulli_log_prob_reference(logits: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    let softplus = activation::relu(logits.clone()) + logits.clone().abs().neg().exp().log1p();
    (x * logits - softplus).sum_dim(1).squeeze_dim(1)
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

    use crate::host::{by_type, contiguous, elements, rows_per_task, size, tensor};
    use crate::real::{LANES, Real, sum_lanes, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait BernoulliOps: Backend {
        fn bernoulli_log_prob(logits: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
        fn bernoulli_log_prob_gradient(
            output_gradient: FloatTensor<Self>,
            logits: FloatTensor<Self>,
            x: FloatTensor<Self>,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn run(logits: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
        let output =
            <Dispatch as BernoulliOps>::bernoulli_log_prob(logits.into_dispatch(), x.into_dispatch());
        Tensor::from_dispatch(output)
    }

    impl BernoulliOps for Flex {
        fn bernoulli_log_prob(logits: FlexTensor, x: FlexTensor) -> FlexTensor {
            let (logits, x) = (contiguous(logits), contiguous(x));
            by_type!(&logits, forward(&logits, &x))
        }

        fn bernoulli_log_prob_gradient(
            output_gradient: FlexTensor,
            logits: FlexTensor,
            x: FlexTensor,
        ) -> FlexTensor {
            let (gradient, logits, x) = (contiguous(output_gradient), contiguous(logits), contiguous(x));
            by_type!(&logits, backward(&gradient, &logits, &x))
        }
    }

    fn forward<E: Real>(logits: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (rows, columns) = (size(logits, 0), size(logits, 1));
        let (logits, x) = (elements::<E>(logits), elements::<E>(x));
        let mut sums = vec![E::ZERO; rows];
        let block = rows_per_task(columns);
        sums.par_chunks_mut(block).enumerate().for_each(|(task, sums)| {
            let start = task * block * columns;
            vectorized(
                #[inline(always)]
                || {
                    let rows = logits[start..].chunks_exact(columns).zip(x[start..].chunks_exact(columns));
                    for (sum, (logits, x)) in sums.iter_mut().zip(rows) {
                        *sum = row_log_prob(logits, x);
                    }
                },
            );
        });
        tensor(sums, [rows])
    }

    #[inline(always)]
    fn row_log_prob<E: Real>(logits: &[E], x: &[E]) -> E {
        let mut sums = [E::ZERO; LANES];
        let (logits, logits_rest) = logits.as_chunks::<LANES>();
        let (x, x_rest) = x.as_chunks::<LANES>();
        for (l, x) in logits.iter().zip(x) {
            for lane in 0..LANES {
                sums[lane] += x[lane] * l[lane] - l[lane].softplus();
            }
        }
        let rest: E = logits_rest.iter().zip(x_rest).map(|(&l, &x)| x * l - l.softplus()).sum();
        sum_lanes(sums) + rest
    }

    fn backward<E: Real>(gradient: &FlexTensor, logits: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (rows, columns) = (size(logits, 0), size(logits, 1));
        let (gradient, logits, x) = (elements::<E>(gradient), elements::<E>(logits), elements::<E>(x));
        let mut dl = vec![E::ZERO; rows * columns];
        let block = rows_per_task(columns);
        dl.par_chunks_mut(block * columns).enumerate().for_each(|(task, dl)| {
            let start = task * block;
            vectorized(
                #[inline(always)]
                || {
                    for (row, dl) in dl.chunks_exact_mut(columns).enumerate() {
                        let at = (start + row) * columns;
                        let (logits, x) = (&logits[at..at + columns], &x[at..at + columns]);
                        let scale = gradient[start + row];
                        for ((dl, &l), &x) in dl.iter_mut().zip(logits).zip(x) {
                            *dl = scale * (x - l.sigmoid());
                        }
                    }
                },
            );
        });
        tensor(dl, [rows, columns])
    }

    #[derive(Debug)]
    struct BernoulliBackward;

    impl<B: BernoulliOps> Backward<B, 1> for BernoulliBackward {
        type State = (FloatTensor<B>, FloatTensor<B>);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (logits, x) = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
                B::bernoulli_log_prob_gradient(gradient, logits, x)
            });
        }
    }

    impl<B: BernoulliOps, C: CheckpointStrategy> BernoulliOps for Autodiff<B, C> {
        fn bernoulli_log_prob(logits: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
            let node = logits.node();
            let (logits, x) = (logits.into_primitive(), x.into_primitive());
            let output = B::bernoulli_log_prob(logits.clone(), x.clone());
            match BernoulliBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((logits, x), output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }

        fn bernoulli_log_prob_gradient(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
