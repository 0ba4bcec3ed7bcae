//! NADE's conditionals by the running sum (Larochelle and Murray 2011, eq. 9-11).

use std::sync::Arc;

use burn::tensor::{Tensor, activation};

/// The order in which NADE emits outputs and takes in inputs.
///
/// At step `s` the outputs of variable `s` are computed from the hidden state, and then its inputs are added to it.
/// A bit has one input and one output; a category of `k` levels has `k` inputs and `k` outputs; a real value has one
/// input and three outputs for each part of its mixture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NadeSteps {
    ends: Arc<[(usize, usize)]>,
}

impl NadeSteps {
    /// From each variable's number of inputs and of outputs, in order.
    pub fn new(sizes: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let ends = sizes.into_iter().scan((0, 0), |end, (inputs, outputs)| {
            end.0 += inputs;
            end.1 += outputs;
            Some(*end)
        });
        Self { ends: ends.collect() }
    }

    /// The total of inputs and of outputs.
    pub fn totals(&self) -> (usize, usize) {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Each variable's ranges of inputs and outputs, in order.
    pub fn ranges(
        &self,
    ) -> impl DoubleEndedIterator<Item = (std::ops::Range<usize>, std::ops::Range<usize>)> {
        (0..self.ends.len()).map(|step| {
            let start = if step == 0 { (0, 0) } else { self.ends[step - 1] };
            (start.0..self.ends[step].0, start.1..self.ends[step].1)
        })
    }
}

/// NADE's outputs, `[rows, inputs] -> [rows, outputs]`.
///
/// With `a_1 = c`, step `s` gives `h_s = sigmoid(a_s)`, `out_o = b_o + V_o . h_s` for the outputs `o` of variable `s`,
/// and `a_{s+1} = a_s + sum_e x_e W_e` over its inputs `e`. Shapes: `w` `[inputs, hidden]`, `c` `[hidden]`, `v`
/// `[outputs, hidden]`, `b` `[outputs]`. Time is `O(rows (inputs + outputs) hidden)`; memory `O(rows hidden)`, for the
/// backward runs the sum back down instead of keeping each step's state. No gradient flows to `x`.
pub fn nade(
    x: Tensor<2>,
    w: Tensor<2>,
    c: Tensor<1>,
    v: Tensor<2>,
    b: Tensor<1>,
    steps: &NadeSteps,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        let hidden_part = kernel::run(x, w, c, v, steps);
        return hidden_part + b.unsqueeze();
    }
    nade_reference(x, w, c, v, b, steps)
}

/// [`nade`] in Burn's own operations, each step's state computed afresh from all earlier inputs.
pub fn nade_reference(
    x: Tensor<2>,
    w: Tensor<2>,
    c: Tensor<1>,
    v: Tensor<2>,
    b: Tensor<1>,
    steps: &NadeSteps,
) -> Tensor<2> {
    let [rows, _] = x.dims();
    let outputs = steps.ranges().map(|(inputs, outputs)| {
        let mut a: Tensor<2> = c.clone().unsqueeze::<2>().repeat_dim(0, rows);
        if inputs.start > 0 {
            a = a + x.clone().narrow(1, 0, inputs.start).matmul(w.clone().narrow(0, 0, inputs.start));
        }
        activation::sigmoid(a).matmul(v.clone().narrow(0, outputs.start, outputs.len()).transpose())
    });
    Tensor::cat(outputs.collect(), 1) + b.unsqueeze()
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::NadeSteps;
    use crate::host::{by_type, contiguous, elements, size, tensor};
    use crate::real::{Real, lane_dot, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait NadeOps: Backend {
        fn nade(
            x: FloatTensor<Self>,
            w: FloatTensor<Self>,
            c: FloatTensor<Self>,
            v: FloatTensor<Self>,
            steps: NadeSteps,
        ) -> FloatTensor<Self>;
        fn nade_gradients(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            w: FloatTensor<Self>,
            c: FloatTensor<Self>,
            v: FloatTensor<Self>,
            steps: NadeSteps,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn run(
        x: Tensor<2>,
        w: Tensor<2>,
        c: Tensor<1>,
        v: Tensor<2>,
        steps: &NadeSteps,
    ) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as NadeOps>::nade(
            x.into_dispatch(),
            w.into_dispatch(),
            c.into_dispatch(),
            v.into_dispatch(),
            steps.clone(),
        ))
    }

    impl NadeOps for Flex {
        fn nade(x: FlexTensor, w: FlexTensor, c: FlexTensor, v: FlexTensor, steps: NadeSteps) -> FlexTensor {
            let (x, w, c, v) = (contiguous(x), contiguous(w), contiguous(c), contiguous(v));
            by_type!(&x, forward([&x, &w, &c, &v], &steps))
        }

        fn nade_gradients(
            output_gradient: FlexTensor,
            x: FlexTensor,
            w: FlexTensor,
            c: FlexTensor,
            v: FlexTensor,
            steps: NadeSteps,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (dy, x) = (contiguous(output_gradient), contiguous(x));
            let (w, c, v) = (contiguous(w), contiguous(c), contiguous(v));
            by_type!(&x, backward(&dy, [&x, &w, &c, &v], &steps))
        }
    }

    /// Hidden units to a task. Hidden units do not see each other, so that a task owns its part of every weight and
    /// the result does not depend on the number of threads; outputs are summed over tasks in order.
    const UNITS: usize = 128;

    /// One task's part of the weights, copied so that its units lie side by side.
    struct Part<E> {
        units: usize,
        w: Vec<E>,
        c: Vec<E>,
        v: Vec<E>,
    }

    fn parts<E: Real>(w: &FlexTensor, c: &FlexTensor, v: &FlexTensor) -> Vec<Part<E>> {
        let hidden = size(c, 0);
        (0..hidden)
            .step_by(UNITS)
            .map(|start| {
                let end = (start + UNITS).min(hidden);
                let columns = |m: &FlexTensor| {
                    elements::<E>(m).chunks_exact(hidden).flat_map(|row| &row[start..end]).copied().collect()
                };
                Part {
                    units: end - start,
                    w: columns(w),
                    c: elements::<E>(c)[start..end].to_vec(),
                    v: columns(v),
                }
            })
            .collect()
    }

    fn forward<E: Real>([x, w, c, v]: [&FlexTensor; 4], steps: &NadeSteps) -> FlexTensor {
        let (rows, outputs) = (size(x, 0), steps.totals().1);
        let x = elements::<E>(x);
        let partial: Vec<Vec<E>> = parts::<E>(w, c, v)
            .par_iter()
            .map(|part| {
                vectorized(
                    #[inline(always)]
                    || part_forward(part, x, rows, steps),
                )
            })
            .collect();
        let mut sum = vec![E::ZERO; rows * outputs];
        for partial in &partial {
            sum.iter_mut().zip(partial).for_each(|(sum, &value)| *sum += value);
        }
        tensor(sum, [rows, outputs])
    }

    /// The outputs' share from one task's units. A row's state is recomputed only when an input was not zero.
    #[inline(always)]
    fn part_forward<E: Real>(part: &Part<E>, x: &[E], rows: usize, steps: &NadeSteps) -> Vec<E> {
        let (inputs, outputs) = steps.totals();
        let units = part.units;
        let mut y = vec![E::ZERO; rows * outputs];
        let (mut a, mut h) = (vec![E::ZERO; units], vec![E::ZERO; units]);
        for row in 0..rows {
            a.copy_from_slice(&part.c);
            let mut stale = true;
            for (taken, given) in steps.ranges() {
                if stale {
                    for (h, &a) in h.iter_mut().zip(&a) {
                        *h = a.sigmoid();
                    }
                    stale = false;
                }
                for output in given {
                    y[row * outputs + output] = lane_dot(&part.v[output * units..(output + 1) * units], &h);
                }
                for input in taken {
                    stale |= add_input(
                        x[row * inputs + input],
                        &part.w[input * units..(input + 1) * units],
                        &mut a,
                    );
                }
            }
        }
        y
    }

    /// `a += x w`; says whether anything changed.
    #[inline(always)]
    fn add_input<E: Real>(x: E, w: &[E], a: &mut [E]) -> bool {
        if x == E::ZERO {
            return false;
        }
        for (a, &w) in a.iter_mut().zip(w) {
            *a = x.fused(w, *a);
        }
        true
    }

    fn backward<E: Real>(
        dy: &FlexTensor,
        [x, w, c, v]: [&FlexTensor; 4],
        steps: &NadeSteps,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (rows, hidden, (inputs, outputs)) = (size(x, 0), size(c, 0), steps.totals());
        let (dy, x) = (elements::<E>(dy), elements::<E>(x));
        let gradients: Vec<Part<E>> = parts::<E>(w, c, v)
            .par_iter()
            .map(|part| {
                vectorized(
                    #[inline(always)]
                    || part_backward(part, dy, x, rows, steps),
                )
            })
            .collect();
        let join = |matrix_rows: usize, of: fn(&Part<E>) -> &[E]| {
            let mut whole = Vec::with_capacity(matrix_rows * hidden);
            for row in 0..matrix_rows {
                for part in &gradients {
                    whole.extend_from_slice(&of(part)[row * part.units..(row + 1) * part.units]);
                }
            }
            whole
        };
        (
            tensor(join(inputs, |part| &part.w), [inputs, hidden]),
            tensor(join(1, |part| &part.c), [hidden]),
            tensor(join(outputs, |part| &part.v), [outputs, hidden]),
        )
    }

    /// Steps run from last to first for all rows together, so that each row of `W` and `V` is touched once a step.
    /// `a` runs back down by subtracting what each step had added.
    #[inline(always)]
    fn part_backward<E: Real>(part: &Part<E>, dy: &[E], x: &[E], rows: usize, steps: &NadeSteps) -> Part<E> {
        let (inputs, outputs) = steps.totals();
        let units = part.units;
        let mut a = vec![E::ZERO; rows * units];
        for (row, a) in a.chunks_exact_mut(units).enumerate() {
            a.copy_from_slice(&part.c);
            for input in 0..inputs {
                add_input(x[row * inputs + input], &part.w[input * units..(input + 1) * units], a);
            }
        }
        let mut h: Vec<E> = a.clone();
        for h in &mut h {
            *h = h.sigmoid();
        }
        let (mut da, mut dh) = (vec![E::ZERO; rows * units], vec![E::ZERO; units]);
        let (mut dw, mut dv) = (vec![E::ZERO; inputs * units], vec![E::ZERO; outputs * units]);
        for (taken, given) in steps.ranges().rev() {
            for row in 0..rows {
                let at = row * units..(row + 1) * units;
                let (a, h, da) = (&mut a[at.clone()], &mut h[at.clone()], &mut da[at]);
                let mut changed = false;
                for input in taken.clone() {
                    let value = x[row * inputs + input];
                    changed |= add_input(-value, &part.w[input * units..(input + 1) * units], a);
                    add_input(value, da, &mut dw[input * units..(input + 1) * units]);
                }
                if changed {
                    for (h, &a) in h.iter_mut().zip(a.iter()) {
                        *h = a.sigmoid();
                    }
                }
                dh.fill(E::ZERO);
                for output in given.clone() {
                    let slope = dy[row * outputs + output];
                    add_input(slope, &part.v[output * units..(output + 1) * units], &mut dh);
                    add_input(slope, h, &mut dv[output * units..(output + 1) * units]);
                }
                for ((da, &dh), &h) in da.iter_mut().zip(&dh).zip(h.iter()) {
                    *da += dh * h * (E::ONE - h);
                }
            }
        }
        let mut dc = vec![E::ZERO; units];
        for da in da.chunks_exact(units) {
            add_input(E::ONE, da, &mut dc);
        }
        Part { units, w: dw, c: dc, v: dv }
    }

    #[derive(Debug)]
    struct NadeBackward;

    impl<B: NadeOps> Backward<B, 3> for NadeBackward {
        type State = ([FloatTensor<B>; 4], NadeSteps);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let ([x, w, c, v], steps) = ops.state;
            let dy = grads.consume::<B>(&ops.node);
            let (dw, dc, dv) = B::nade_gradients(dy, x, w, c, v, steps);
            for (node, gradient) in ops.parents.into_iter().zip([dw, dc, dv]) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
    }

    impl<B: NadeOps, C: CheckpointStrategy> NadeOps for Autodiff<B, C> {
        fn nade(
            x: FloatTensor<Self>,
            w: FloatTensor<Self>,
            c: FloatTensor<Self>,
            v: FloatTensor<Self>,
            steps: NadeSteps,
        ) -> FloatTensor<Self> {
            let nodes = [w.node(), c.node(), v.node()];
            let state = [x.into_primitive(), w.into_primitive(), c.into_primitive(), v.into_primitive()];
            let [x, w, c, v] = state.clone();
            let y = B::nade(x, w, c, v, steps.clone());
            match NadeBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((state, steps), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn nade_gradients(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: NadeSteps,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            unreachable!("Burn has no second derivatives")
        }
    }
}
