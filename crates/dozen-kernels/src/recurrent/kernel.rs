//! The layer on the CPU, with its backward: back-propagation through time (Rumelhart, Hinton and Williams 1986; Werbos 1990).

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panels::Panels;
use super::sweep::{Backwards, ByStep, ByStepMut, Forwards};
use super::{Cell, Steps};
use crate::host::{by_type, contiguous, elements, size, tensor};
use crate::real::{Block, Real, architecture, matmul};
use crate::vector::lanes;

/// What is not a tensor.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) cell: Cell,
    pub(super) steps: Steps,
    pub(super) reverse: bool,
}

#[backend_extension(Flex, Autodiff)]
pub(super) trait RecurrentOps: Backend {
    /// The hidden states with the last states below them; and the gates and the extra values that the way back needs.
    fn recurrent(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        state: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// The gradients of `x`, `weight`, `bias` and `state`.
    fn recurrent_gradients(
        output_gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        extra: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        state: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

pub(super) fn run(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    state: Tensor<2>,
    layer: Layer,
) -> Tensor<2> {
    let (both, _, _) = <Dispatch as RecurrentOps>::recurrent(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        state.into_dispatch(),
        layer,
    );
    Tensor::from_dispatch(both)
}

impl RecurrentOps for Flex {
    fn recurrent(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        state: FlexTensor,
        layer: Layer,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, weight, bias, state) =
            (contiguous(x), contiguous(weight), contiguous(bias), contiguous(state));
        by_type!(&x, forward([&x, &weight, &bias, &state], &layer))
    }

    fn recurrent_gradients(
        output_gradient: FlexTensor,
        output: FlexTensor,
        gates: FlexTensor,
        extra: FlexTensor,
        weight: FlexTensor,
        state: FlexTensor,
        layer: Layer,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let (dy, y) = (contiguous(output_gradient), contiguous(output));
        let (weight, state) = (contiguous(weight), contiguous(state));
        by_type!(&y, backward(&dy, &y, [&gates, &extra, &weight, &state], &layer))
    }
}

/// How many vectors' lanes panels are to have.
struct Lanes<E>(std::marker::PhantomData<E>);

impl<E: Real> WithSimd for Lanes<E> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        lanes::<S, E>()
    }
}

/// Fewer multiplications than this in a step of all sequences are not worth another thread.
const WORTH_A_THREAD: usize = 1 << 17;

impl Layer {
    /// Ranges of sequences with about as many steps each, one for each thread.
    fn groups(&self, work_of_a_row: usize) -> Vec<std::ops::Range<usize>> {
        let batch = self.steps.batch();
        let most = batch * work_of_a_row / WORTH_A_THREAD;
        let count = rayon::current_num_threads().min(most).clamp(1, batch.max(1));
        let rows = self.steps.rows();
        let (mut groups, mut start, mut passed) = (Vec::new(), 0, 0);
        for sequence in 0..batch {
            passed += self.steps.length(sequence);
            if passed * count >= rows * (groups.len() + 1) {
                groups.push(start..sequence + 1);
                start = sequence + 1;
            }
        }
        groups
    }

    /// For each group the rows of its sequences at each step; rows have `columns` values, or none have any.
    fn split<'v, E>(
        &self,
        values: &'v [E],
        columns: usize,
        groups: &[std::ops::Range<usize>],
    ) -> Vec<ByStep<'v, E>> {
        let part = |group: &std::ops::Range<usize>| {
            let rows = |step: usize| {
                let range = self.steps.step(step);
                let end = (range.start + group.end).min(range.end);
                let start = (range.start + group.start).min(end);
                if values.is_empty() { &values[..0] } else { &values[start * columns..end * columns] }
            };
            (0..self.steps.longest()).map(rows).collect()
        };
        groups.iter().map(part).collect()
    }

    fn split_mut<'v, E>(
        &self,
        values: &'v mut [E],
        columns: usize,
        groups: &[std::ops::Range<usize>],
    ) -> Vec<ByStepMut<'v, E>> {
        let mut parts: Vec<ByStepMut<'v, E>> = groups.iter().map(|_| Vec::new()).collect();
        let empty = values.is_empty();
        let mut rest = values;
        for step in 0..self.steps.longest() {
            let rows = self.steps.step(step).len();
            for (part, group) in parts.iter_mut().zip(groups) {
                let count = if empty { 0 } else { group.end.min(rows).saturating_sub(group.start) };
                let (own, after) = rest.split_at_mut(count * columns);
                part.push(own);
                rest = after;
            }
        }
        parts
    }
}

/// Each group's part of a matrix with a row for each sequence.
fn split_states<'v, E>(
    mut values: &'v mut [E],
    columns: usize,
    groups: &[std::ops::Range<usize>],
) -> Vec<&'v mut [E]> {
    let empty = values.is_empty();
    let mut parts = Vec::new();
    for group in groups {
        let (own, rest) = values.split_at_mut(if empty { 0 } else { group.len() * columns });
        parts.push(own);
        values = rest;
    }
    parts
}

fn forward<E: Real>(
    [x, weight, bias, state]: [&FlexTensor; 4],
    layer: &Layer,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let Layer { cell, steps, reverse } = layer;
    let (hidden, rows, batch) = (size(weight, 0), steps.rows(), steps.batch());
    let gates_width = cell.gates() * hidden;
    let weights = elements::<E>(weight);
    let element = |row: usize, column: usize| weights[row * gates_width + column];
    let lanes = architecture().dispatch(Lanes::<E>(std::marker::PhantomData));
    let panels = Panels::new(lanes, hidden, (cell.gates(), hidden), element);
    let order: Vec<usize> = steps.order(*reverse).collect();
    let kept = |columns: usize| vec![E::ZERO; rows * columns];
    let mut both = kept(hidden);
    let mut gates = kept(if cell.gates() > 1 { gates_width } else { 0 });
    let mut extra = kept(if cell.gates() > 1 { hidden } else { 0 });
    let mut states = elements::<E>(state).to_vec();
    let groups = layer.groups(hidden * gates_width);
    {
        let (h, c) = states.split_at_mut(batch * hidden);
        let mut work: Vec<Forwards<E>> = Vec::new();
        let parts = layer
            .split(elements(x), gates_width, &groups)
            .into_iter()
            .zip(layer.split_mut(&mut both, hidden, &groups))
            .zip(layer.split_mut(&mut gates, gates_width, &groups))
            .zip(layer.split_mut(&mut extra, hidden, &groups))
            .zip(split_states(h, hidden, &groups))
            .zip(split_states(c, hidden, &groups));
        for (((((x, y), gates), extra), h), c) in parts {
            let (order, panels, bias) = (&order[..], &panels, elements::<E>(bias));
            work.push(Forwards { cell: *cell, hidden, order, panels, bias, x, y, gates, extra, h, c });
        }
        work.into_par_iter().for_each(|work| architecture().dispatch(work));
    }
    both.extend(states);
    let all = both.len() / hidden.max(1);
    let (gates_len, extra_len) = (gates.len(), extra.len());
    (tensor(both, [all, hidden]), tensor(gates, [gates_len]), tensor(extra, [extra_len]))
}

fn backward<E: Real>(
    dy: &FlexTensor,
    y: &FlexTensor,
    [gates, extra, weight, state]: [&FlexTensor; 4],
    layer: &Layer,
) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
    let Layer { cell, steps, reverse } = layer;
    let (hidden, rows, batch) = (size(weight, 0), steps.rows(), steps.batch());
    let depth = cell.gates() * hidden;
    let weights = elements::<E>(weight);
    let lanes = architecture().dispatch(Lanes::<E>(std::marker::PhantomData));
    let panels = Panels::new(lanes, depth, (1, hidden), |row, column| weights[column * depth + row]);
    let order: Vec<usize> = steps.order(*reverse).collect();
    let (y, dy) = (elements::<E>(y), elements::<E>(dy));
    let mut d_states = dy[rows * hidden..].to_vec();
    let mut dx = vec![E::ZERO; rows * depth];
    let mut da = vec![E::ZERO; if *cell == Cell::Gru { rows * depth } else { 0 }];
    let states = elements::<E>(state);
    let groups = layer.groups(hidden * depth);
    {
        let (dh, dc) = d_states.split_at_mut(batch * hidden);
        let (h, c) = states.split_at(batch * hidden);
        let parts = layer
            .split(&dy[..rows * hidden], hidden, &groups)
            .into_iter()
            .zip(layer.split(&y[..rows * hidden], hidden, &groups))
            .zip(layer.split(elements(gates), depth, &groups))
            .zip(layer.split(elements(extra), hidden, &groups))
            .zip(layer.split_mut(&mut dx, depth, &groups))
            .zip(layer.split_mut(&mut da, depth, &groups))
            .zip(split_states(dh, hidden, &groups))
            .zip(split_states(dc, hidden, &groups))
            .zip(&groups);
        let mut work: Vec<Backwards<E>> = Vec::new();
        for ((((((((dy, y), gates), extra), dx), da), dh), dc), group) in parts {
            let own = group.start * hidden..group.end * hidden;
            let (h, c) = (&h[own.clone()], if c.is_empty() { c } else { &c[own] });
            let (order, panels) = (&order[..], &panels);
            work.push(Backwards {
                cell: *cell,
                hidden,
                order,
                panels,
                dy,
                y,
                gates,
                extra,
                h,
                c,
                dh,
                dc,
                dx,
                da,
            });
        }
        work.into_par_iter().for_each(|work| architecture().dispatch(work));
    }
    let gradients = if da.is_empty() { &dx } else { &da };
    let before = states_before(y, states, hidden, layer);
    let mut d_weight = vec![E::ZERO; hidden * depth];
    matmul(
        (&mut d_weight, Block::whole(hidden, depth)),
        (&before, Block::whole(rows, hidden).transposed()),
        (gradients, Block::whole(rows, depth)),
        false,
    );
    let mut d_bias = vec![E::ZERO; depth];
    for row in gradients.chunks_exact(depth) {
        d_bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += *value);
    }
    let d_state = tensor(d_states, [cell.states() * batch, hidden]);
    (tensor(dx, [rows, depth]), tensor(d_weight, [hidden, depth]), tensor(d_bias, [depth]), d_state)
}

/// The hidden state that each row came from.
fn states_before<E: Real>(y: &[E], first: &[E], hidden: usize, layer: &Layer) -> Vec<E> {
    let steps = &layer.steps;
    let mut before = Vec::with_capacity(steps.rows() * hidden);
    for step in 0..steps.longest() {
        let rows = steps.step(step).len();
        let source =
            if layer.reverse { Some(step + 1).filter(|s| *s < steps.longest()) } else { step.checked_sub(1) };
        let from = source.map_or(0..0, |source| steps.step(source));
        let there = from.len().min(rows);
        before.extend_from_slice(&y[from.start * hidden..(from.start + there) * hidden]);
        before.extend_from_slice(&first[there * hidden..rows * hidden]);
    }
    before
}

#[derive(Debug)]
struct RecurrentBackward;

impl<B: RecurrentOps> Backward<B, 4> for RecurrentBackward {
    type State = ([FloatTensor<B>; 5], Layer);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([y, gates, extra, weight, state], layer) = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        let (dx, d_weight, d_bias, d_state) =
            B::recurrent_gradients(dy, y, gates, extra, weight, state, layer);
        for (node, gradient) in ops.parents.into_iter().zip([dx, d_weight, d_bias, d_state]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: RecurrentOps, C: CheckpointStrategy> RecurrentOps for Autodiff<B, C> {
    fn recurrent(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        state: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), weight.node(), bias.node(), state.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let (bias, state) = (bias.into_primitive(), state.into_primitive());
        let (y, gates, extra) = B::recurrent(x, weight.clone(), bias, state.clone(), layer.clone());
        let y = match RecurrentBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let kept = [y.clone(), gates.clone(), extra.clone(), weight, state];
                prep.finish((kept, layer), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, Self::from_inner(gates), Self::from_inner(extra))
    }

    fn recurrent_gradients(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("Burn has no second derivatives")
    }
}
