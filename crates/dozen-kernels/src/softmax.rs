//! Softmax, log-softmax and cross-entropy over rows.

use burn::tensor::{Int, Tensor, activation};

/// `ln softmax(x)` over the last dimension, `[rows, classes] -> [rows, classes]`: `x_j - m - ln sum_k e^{x_k - m}` with
/// `m` the row's maximum, so that it neither overflows nor loses small probabilities.
pub fn log_softmax(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run_log_softmax(x);
    }
    activation::log_softmax(x, 1)
}

/// `softmax(x)` over the last dimension, `[rows, classes] -> [rows, classes]`.
pub fn softmax(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run_softmax(x);
    }
    activation::softmax(x, 1)
}

/// `-ln softmax(x)_t` for the class `t` of each row, `[rows, classes], [rows] -> [rows]`, in nats.
///
/// The backward is `softmax(x) - onehot(t)` in one pass; the log-softmax is never stored.
///
/// # Panics
/// When a class is outside `0..classes`.
pub fn cross_entropy(x: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run_cross_entropy(x, targets);
    }
    cross_entropy_reference(x, targets)
}

/// [`cross_entropy`] in Burn's own operations.
pub fn cross_entropy_reference(x: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    activation::log_softmax(x, 1).gather(1, targets.unsqueeze_dim(1)).squeeze_dim(1).neg()
}

#[cfg(feature = "flex")]
mod kernel {
    use std::sync::Arc;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::{Int, Tensor};
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use crate::host::{by_type, contiguous, elements, rows_per_task, size, tensor};
    use crate::real::{LANES, Real, sum_lanes, vectorized};

    /// Which of the row's functions.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(super) enum Form {
        Softmax,
        LogSoftmax,
    }

    /// The class of each row.
    type Targets = Arc<[usize]>;

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait SoftmaxOps: Backend {
        fn softmax_form(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self>;
        fn softmax_form_gradient(
            output_gradient: FloatTensor<Self>,
            output: FloatTensor<Self>,
            form: Form,
        ) -> FloatTensor<Self>;
        fn cross_entropy(x: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self>;
        fn cross_entropy_gradient(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            targets: Targets,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn run_softmax(x: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as SoftmaxOps>::softmax_form(x.into_dispatch(), Form::Softmax))
    }

    pub(super) fn run_log_softmax(x: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as SoftmaxOps>::softmax_form(x.into_dispatch(), Form::LogSoftmax))
    }

    pub(super) fn run_cross_entropy(x: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        let [rows, classes] = x.dims();
        let targets: Targets = targets.into_data().iter::<i64>().map(|target| target as usize).collect();
        assert_eq!(targets.len(), rows, "a class for each row");
        assert!(targets.iter().all(|&target| target < classes), "a class lies outside 0..{classes}");
        Tensor::from_dispatch(<Dispatch as SoftmaxOps>::cross_entropy(x.into_dispatch(), targets))
    }

    impl SoftmaxOps for Flex {
        fn softmax_form(x: FlexTensor, form: Form) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, forward(&x, form))
        }

        fn softmax_form_gradient(output_gradient: FlexTensor, output: FlexTensor, form: Form) -> FlexTensor {
            let (gradient, output) = (contiguous(output_gradient), contiguous(output));
            by_type!(&output, backward(gradient, &output, form))
        }

        fn cross_entropy(x: FlexTensor, targets: Targets) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, entropy(&x, &targets))
        }

        fn cross_entropy_gradient(
            output_gradient: FlexTensor,
            x: FlexTensor,
            targets: Targets,
        ) -> FlexTensor {
            let (gradient, x) = (contiguous(output_gradient), contiguous(x));
            by_type!(&x, entropy_gradient(&gradient, &x, &targets))
        }
    }

    /// Runs a function on each row of the output and the input, rows in parallel.
    fn by_rows<E: Real>(y: &mut [E], x: &[E], columns: usize, f: impl Fn(usize, &mut [E], &[E]) + Sync) {
        let block = rows_per_task(columns);
        y.par_chunks_mut(block * columns).zip(x.par_chunks(block * columns)).enumerate().for_each(
            |(task, (y, x))| {
                vectorized(
                    #[inline(always)]
                    || {
                        // A loop, not `for_each`: its closure might be compiled without the instruction set.
                        for (row, (y, x)) in
                            y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).enumerate()
                        {
                            f(task * block + row, y, x);
                        }
                    },
                );
            },
        );
    }

    #[inline(always)]
    fn maximum<E: Real>(x: &[E]) -> E {
        let (body, rest) = x.as_chunks::<LANES>();
        let mut lanes = [x[0]; LANES];
        for x in body {
            for lane in 0..LANES {
                lanes[lane] = x[lane].at_least(lanes[lane]);
            }
        }
        lanes.iter().chain(rest).fold(x[0], |max, &x| x.at_least(max))
    }

    /// `sum e^{x - max}`.
    #[inline(always)]
    fn exponential_sum<E: Real>(x: &[E], max: E) -> E {
        let (body, rest) = x.as_chunks::<LANES>();
        let mut lanes = [E::ZERO; LANES];
        for x in body {
            for lane in 0..LANES {
                lanes[lane] += (x[lane] - max).exponential_full();
            }
        }
        sum_lanes(lanes) + rest.iter().map(|&x| (x - max).exponential_full()).sum::<E>()
    }

    fn forward<E: Real>(x: &FlexTensor, form: Form) -> FlexTensor {
        let columns = size(x, 1);
        let mut y = vec![E::ZERO; elements::<E>(x).len()];
        by_rows(
            &mut y,
            elements(x),
            columns,
            #[inline(always)]
            |_, y, x| {
                let max = maximum(x);
                match form {
                    Form::LogSoftmax => {
                        let shift = max + exponential_sum(x, max).logarithm();
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y = x - shift;
                        }
                    }
                    Form::Softmax => {
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y = (x - max).exponential_full();
                        }
                        let scale = E::ONE / total(y);
                        for y in y.iter_mut() {
                            *y *= scale;
                        }
                    }
                }
            },
        );
        tensor(y, x.layout().shape().clone())
    }

    #[inline(always)]
    fn total<E: Real>(x: &[E]) -> E {
        let (body, rest) = x.as_chunks::<LANES>();
        let mut lanes = [E::ZERO; LANES];
        for x in body {
            for lane in 0..LANES {
                lanes[lane] += x[lane];
            }
        }
        sum_lanes(lanes) + rest.iter().copied().sum::<E>()
    }

    /// In place of the gradient, from the output `y`: `dx = y (dy - dy . y)` for softmax, `dx = dy - e^y sum(dy)` for log-softmax.
    fn backward<E: Real>(mut gradient: FlexTensor, output: &FlexTensor, form: Form) -> FlexTensor {
        let columns = size(output, 1);
        let count = elements::<E>(output).len();
        by_rows(
            &mut gradient.storage_mut::<E>()[..count],
            elements(output),
            columns,
            #[inline(always)]
            |_, dx, y| match form {
                Form::LogSoftmax => {
                    let sum = total(dx);
                    for (dx, &y) in dx.iter_mut().zip(y) {
                        *dx -= y.exponential_full() * sum;
                    }
                }
                Form::Softmax => {
                    let product = crate::real::lane_dot(dx, y);
                    for (dx, &y) in dx.iter_mut().zip(y) {
                        *dx = y * (*dx - product);
                    }
                }
            },
        );
        gradient
    }

    fn entropy<E: Real>(x: &FlexTensor, targets: &Targets) -> FlexTensor {
        let (rows, columns) = (size(x, 0), size(x, 1));
        let x = elements::<E>(x);
        let mut y = vec![E::ZERO; rows];
        let block = rows_per_task(columns);
        y.par_chunks_mut(block).enumerate().for_each(|(task, y)| {
            vectorized(
                #[inline(always)]
                || {
                    for (offset, y) in y.iter_mut().enumerate() {
                        let row = task * block + offset;
                        let x = &x[row * columns..(row + 1) * columns];
                        let max = maximum(x);
                        *y = max + exponential_sum(x, max).logarithm() - x[targets[row]];
                    }
                },
            );
        });
        tensor(y, [rows])
    }

    fn entropy_gradient<E: Real>(gradient: &FlexTensor, x: &FlexTensor, targets: &Targets) -> FlexTensor {
        let columns = size(x, 1);
        let gradient = elements::<E>(gradient);
        let mut dx = vec![E::ZERO; elements::<E>(x).len()];
        by_rows(
            &mut dx,
            elements(x),
            columns,
            #[inline(always)]
            |row, dx, x| {
                let max = maximum(x);
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = (x - max).exponential_full();
                }
                let scale = gradient[row] / total(dx);
                for dx in dx.iter_mut() {
                    *dx *= scale;
                }
                dx[targets[row]] -= gradient[row];
            },
        );
        tensor(dx, x.layout().shape().clone())
    }

    #[derive(Debug)]
    struct SoftmaxBackward;

    impl<B: SoftmaxOps> Backward<B, 1> for SoftmaxBackward {
        type State = (FloatTensor<B>, Form);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (output, form) = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
                B::softmax_form_gradient(gradient, output, form)
            });
        }
    }

    #[derive(Debug)]
    struct CrossEntropyBackward;

    impl<B: SoftmaxOps> Backward<B, 1> for CrossEntropyBackward {
        type State = (FloatTensor<B>, Targets);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, targets) = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
                B::cross_entropy_gradient(gradient, x, targets)
            });
        }
    }

    impl<B: SoftmaxOps, C: CheckpointStrategy> SoftmaxOps for Autodiff<B, C> {
        fn softmax_form(x: FloatTensor<Self>, form: Form) -> FloatTensor<Self> {
            let node = x.node();
            let y = B::softmax_form(x.into_primitive(), form);
            match SoftmaxBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((y.clone(), form), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn cross_entropy(x: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self> {
            let node = x.node();
            let x = x.into_primitive();
            let y = B::cross_entropy(x.clone(), targets.clone());
            match CrossEntropyBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, targets), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn softmax_form_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Form) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }

        fn cross_entropy_gradient(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: Targets,
        ) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
