//! The layer on the CPU, with its backward: back-propagation through time (Rumelhart, Hinton and Williams 1986; Werbos 1990).

#![expect(clippy::type_complexity, reason = "Burn's macro wants its tuples written out")]

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::kept::Kept;
use super::panels::Panels;
use super::sweep::{Backwards, ByStep, ByStepMut, Forwards, Sweep};
use super::{Cell, Layer, Parameters};
use crate::host::{by_type, contiguous, elements, size, tensor};
use crate::real::{Block, Real, architecture, matmul, vectorized};

/// What is not a tensor.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    layer: Layer,
    normalized: bool,
    /// Whether there will be a way back.
    keep: bool,
}

#[backend_extension(Flex, Autodiff)]
pub(super) trait RecurrentOps: Backend {
    /// The hidden states with the last states below them; and what the way back needs. Without normalisation `scale` means
    /// nothing.
    fn recurrent(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        state: FloatTensor<Self>,
        setting: Setting,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// The gradients of `x`, `weight`, `bias`, `scale` and `state`.
    fn recurrent_gradients(
        output_gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        kept: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        state: FloatTensor<Self>,
        setting: Setting,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

pub(super) fn run(x: Tensor<2>, parameters: Parameters, state: Tensor<2>, layer: &Layer) -> Tensor<2> {
    let Parameters { weight, bias, scale } = parameters;
    let setting = Setting { layer: layer.clone(), normalized: scale.is_some(), keep: false };
    let (both, _) = <Dispatch as RecurrentOps>::recurrent(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.clone().into_dispatch(),
        scale.unwrap_or(bias).into_dispatch(),
        state.into_dispatch(),
        setting,
    );
    Tensor::from_dispatch(both)
}

impl RecurrentOps for Flex {
    fn recurrent(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        scale: FlexTensor,
        state: FlexTensor,
        setting: Setting,
    ) -> (FlexTensor, FlexTensor) {
        let [x, weight, bias, scale, state] = [x, weight, bias, scale, state].map(contiguous);
        by_type!(&x, forward([&x, &weight, &bias, &scale, &state], &setting))
    }

    fn recurrent_gradients(
        output_gradient: FlexTensor,
        output: FlexTensor,
        kept: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        state: FlexTensor,
        setting: Setting,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let [dy, y, weight, scale, state] = [output_gradient, output, weight, scale, state].map(contiguous);
        let [dx, d_weight, d_bias, d_scale, d_state] =
            by_type!(&y, backward([&dy, &y, &kept, &weight, &scale, &state], &setting));
        (dx, d_weight, d_bias, d_scale, d_state)
    }
}

/// Fewer multiplications than this in a step of all sequences are not worth another thread.
const WORTH_A_THREAD: usize = 1 << 17;

/// A range of sequences.
type Group = std::ops::Range<usize>;

impl Layer {
    /// Ranges of sequences with about as many steps each, one for each thread.
    fn groups(&self, work_of_a_row: usize) -> Vec<Group> {
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
    fn split<'v, E>(&self, values: &'v [E], columns: usize, groups: &[Group]) -> Vec<ByStep<'v, E>> {
        let part = |group: &Group| {
            let rows = |step: usize| {
                let range = self.steps.step(step);
                let end = (range.start + group.end).min(range.end);
                let start = (range.start + group.start).min(end);
                if values.is_empty() { values } else { &values[start * columns..end * columns] }
            };
            (0..self.steps.longest()).map(rows).collect()
        };
        groups.iter().map(part).collect()
    }

    fn split_mut<'v, E>(
        &self,
        values: &'v mut [E],
        columns: usize,
        groups: &[Group],
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

/// Each group's part of a matrix with a row for each sequence, or nothing of nothing.
fn split_states<'v, E>(values: &'v [E], columns: usize, groups: &[Group]) -> Vec<&'v [E]> {
    let part = |group: &Group| {
        if values.is_empty() { values } else { &values[group.start * columns..group.end * columns] }
    };
    groups.iter().map(part).collect()
}

fn split_states_mut<'v, E>(mut values: &'v mut [E], columns: usize, groups: &[Group]) -> Vec<&'v mut [E]> {
    let empty = values.is_empty();
    let mut parts = Vec::new();
    for group in groups {
        let (own, rest) = values.split_at_mut(if empty { 0 } else { group.len() * columns });
        parts.push(own);
        values = rest;
    }
    parts
}

/// The constants of a layer in the type that is computed in.
struct Constants<E> {
    factors: Vec<E>,
    zoneout: Vec<E>,
}

impl<E: Real> Constants<E> {
    fn of(layer: &Layer) -> Self {
        let converted = |values: &Option<std::sync::Arc<[f32]>>| {
            values.iter().flat_map(|values| values.iter().map(|value| E::of(f64::from(*value)))).collect()
        };
        Self { factors: converted(&layer.state_factors), zoneout: converted(&layer.zoneout) }
    }

    /// What each group's sweep goes by; `affine` is the scale of layer normalisation and the bias.
    fn sweeps<'a>(
        &'a self,
        layer: &Layer,
        hidden: usize,
        (order, panels): (&'a [usize], &'a Panels<E>),
        (scale, bias): (Option<&'a [E]>, &'a [E]),
        groups: &[Group],
    ) -> Vec<Sweep<'a, E>> {
        let (h, c) = self.zoneout.split_at(self.zoneout.len().min(layer.steps.rows() * hidden));
        let parts = split_states(&self.factors, hidden, groups)
            .into_iter()
            .zip(layer.split(h, hidden, groups))
            .zip(layer.split(c, hidden, groups));
        let sweep = |((factors, h), c)| Sweep {
            cell: layer.cell,
            hidden,
            order,
            panels,
            scale,
            bias,
            factors,
            zoneout: [h, c],
        };
        parts.map(sweep).collect()
    }
}

fn forward<E: Real>(
    [x, weight, bias, scale, state]: [&FlexTensor; 5],
    Setting { layer, normalized, keep }: &Setting,
) -> (FlexTensor, FlexTensor) {
    let Layer { cell, steps, .. } = layer;
    let (hidden, rows, batch) = (size(weight, 0), steps.rows(), steps.batch());
    let depth = cell.gates() * hidden;
    let order: Vec<usize> = steps.order(layer.reverse).collect();
    let panels = Panels::new(elements::<E>(weight), depth);
    let columns = Kept::columns(layer, hidden, *normalized);
    let mut both = vec![E::ZERO; rows * hidden];
    let mut kept = vec![E::ZERO; if *keep { rows * columns.total() } else { 0 }];
    let mut states = elements::<E>(state).to_vec();
    let groups = layer.groups(hidden * depth);
    let constants = Constants::of(layer);
    let affine = (normalized.then(|| elements::<E>(scale)), elements::<E>(bias));
    let sweeps = constants.sweeps(layer, hidden, (&order, &panels), affine, &groups);
    let (h, c) = states.split_at_mut(batch * hidden);
    let Kept { gates, extra, cells, normal, inverse } = columns.split_mut(rows, &mut kept);
    let split = |values, columns| layer.split_mut(values, columns, &groups);
    let kept_parts = Kept {
        gates: split(gates, depth),
        extra: split(extra, hidden),
        cells: split(cells, hidden),
        normal: split(normal, depth),
        inverse: split(inverse, 1),
    };
    let parts = layer.split(elements(x), depth, &groups).into_iter();
    let parts = parts.zip(sweeps);
    let parts = parts.zip(layer.split_mut(&mut both, hidden, &groups)).zip(kept_parts.by_group());
    let parts = parts.zip(split_states_mut(h, hidden, &groups)).zip(split_states_mut(c, hidden, &groups));
    let work: Vec<Forwards<E>> =
        parts.map(|(((((x, sweep), y), kept), h), c)| Forwards { sweep, x, y, kept, h, c }).collect();
    work.into_par_iter().for_each(|work| architecture().dispatch(work));
    both.extend(states);
    let (all, kept_len) = (both.len() / hidden.max(1), kept.len());
    (tensor(both, [all, hidden]), tensor(kept, [kept_len]))
}

fn backward<E: Real>(
    [dy, y, kept, weight, scale, state]: [&FlexTensor; 6],
    Setting { layer, normalized, .. }: &Setting,
) -> [FlexTensor; 5] {
    let Layer { cell, steps, .. } = layer;
    let (hidden, rows, batch) = (size(weight, 0), steps.rows(), steps.batch());
    let depth = cell.gates() * hidden;
    let order: Vec<usize> = steps.order(layer.reverse).collect();
    let panels = Panels::transposed(elements::<E>(weight), depth);
    let (y, dy) = (elements::<E>(y), elements::<E>(dy));
    let mut d_states = dy[rows * hidden..].to_vec();
    let some = |there: bool| vec![E::ZERO; if there { rows * depth } else { 0 }];
    let (mut dx, mut da, mut dp) = (some(true), some(*normalized || *cell == Cell::Gru), some(*normalized));
    let groups = layer.groups(hidden * depth);
    let constants = Constants::of(layer);
    let affine = (normalized.then(|| elements::<E>(scale)), &[][..]);
    let sweeps = constants.sweeps(layer, hidden, (&order, &panels), affine, &groups);
    let kept = Kept::columns(layer, hidden, *normalized).split(rows, elements::<E>(kept));
    {
        let (dh, dc) = d_states.split_at_mut(batch * hidden);
        let (h, c) = elements::<E>(state).split_at(batch * hidden);
        let split = |values, columns| layer.split(values, columns, &groups);
        let kept_parts = Kept {
            gates: split(kept.gates, depth),
            extra: split(kept.extra, hidden),
            cells: split(kept.cells, hidden),
            normal: split(kept.normal, depth),
            inverse: split(kept.inverse, 1),
        };
        let parts = split(&dy[..rows * hidden], hidden).into_iter().zip(split(&y[..rows * hidden], hidden));
        let parts = parts.zip(sweeps).zip(kept_parts.by_group());
        let parts = parts.zip(split_states(h, hidden, &groups)).zip(split_states(c, hidden, &groups));
        let parts =
            parts.zip(split_states_mut(dh, hidden, &groups)).zip(split_states_mut(dc, hidden, &groups));
        let parts = parts.zip(layer.split_mut(&mut dx, depth, &groups));
        let parts = parts.zip(layer.split_mut(&mut da, depth, &groups));
        let parts = parts.zip(layer.split_mut(&mut dp, depth, &groups));
        let work: Vec<Backwards<E>> = parts
            .map(|((((((((((dy, y), sweep), kept), h), c), dh), dc), dx), da), dp)| Backwards {
                sweep,
                dy,
                y,
                kept,
                h,
                c,
                dh,
                dc,
                dx,
                da,
                dp,
            })
            .collect();
        work.into_par_iter().for_each(|work| architecture().dispatch(work));
    }
    let through = [&dp, &da, &dx].into_iter().find(|gradients| !gradients.is_empty()).unwrap_or(&dx);
    let affine = if da.is_empty() { &dx } else { &da };
    let before = states_before(y, elements(state), hidden, layer, &constants.factors);
    let mut d_weight = vec![E::ZERO; hidden * depth];
    matmul(
        (&mut d_weight, Block::whole(hidden, depth)),
        (&before, Block::whole(rows, hidden).transposed()),
        (through, Block::whole(rows, depth)),
        false,
    );
    let d_bias = column_sums(affine, &[], depth);
    let d_scale = if *normalized { column_sums(affine, kept.normal, depth) } else { Vec::new() };
    let scales = d_scale.len();
    [
        tensor(dx, [rows, depth]),
        tensor(d_weight, [hidden, depth]),
        tensor(d_bias, [depth]),
        tensor(d_scale, [scales]),
        tensor(d_states, [cell.states() * batch, hidden]),
    ]
}

/// The sum of each column; with factors, of each value times its factor.
fn column_sums<E: Real>(values: &[E], factors: &[E], columns: usize) -> Vec<E> {
    let mut sums = vec![E::ZERO; columns];
    vectorized(
        #[inline(always)]
        || {
            for (row, values) in values.chunks_exact(columns).enumerate() {
                let sums = &mut sums[..columns];
                if factors.is_empty() {
                    for j in 0..columns {
                        sums[j] += values[j];
                    }
                } else {
                    let factors = &factors[row * columns..][..columns];
                    for j in 0..columns {
                        sums[j] = values[j].fused(factors[j], sums[j]);
                    }
                }
            }
        },
    );
    sums
}

/// What each row's product was taken of: the hidden state that it came from, times its factors.
fn states_before<E: Real>(y: &[E], first: &[E], hidden: usize, layer: &Layer, factors: &[E]) -> Vec<E> {
    let steps = &layer.steps;
    let mut before = Vec::with_capacity(steps.rows() * hidden);
    for step in 0..steps.longest() {
        let rows = steps.step(step).len();
        let source =
            if layer.reverse { Some(step + 1).filter(|s| *s < steps.longest()) } else { step.checked_sub(1) };
        let from = source.map_or(0..0, |source| steps.step(source));
        let there = from.len().min(rows);
        let at = before.len();
        before.extend_from_slice(&y[from.start * hidden..(from.start + there) * hidden]);
        before.extend_from_slice(&first[there * hidden..rows * hidden]);
        before[at..].iter_mut().zip(factors).for_each(|(value, factor)| *value *= *factor);
    }
    before
}

#[derive(Debug)]
struct RecurrentBackward;

impl<B: RecurrentOps> Backward<B, 5> for RecurrentBackward {
    type State = ([FloatTensor<B>; 5], Setting);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([y, kept, weight, scale, state], setting) = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        let [x, w, b, s, first] = ops.parents;
        // Without normalisation the scale is no parent of its own.
        let s = s.filter(|_| setting.normalized);
        let (dx, d_weight, d_bias, d_scale, d_state) =
            B::recurrent_gradients(dy, y, kept, weight, scale, state, setting);
        for (node, gradient) in [(x, dx), (w, d_weight), (b, d_bias), (s, d_scale), (first, d_state)] {
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
        scale: FloatTensor<Self>,
        state: FloatTensor<Self>,
        setting: Setting,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), weight.node(), bias.node(), scale.node(), state.node()];
        let prepared = RecurrentBackward.prepare::<C>(nodes).compute_bound().stateful();
        let keep = matches!(prepared, OpsKind::Tracked(_));
        let setting = Setting { keep, ..setting };
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let (scale, state) = (scale.into_primitive(), state.into_primitive());
        let (y, kept) = B::recurrent(x, weight.clone(), bias, scale.clone(), state.clone(), setting.clone());
        let y = match prepared {
            OpsKind::Tracked(prep) => {
                prep.finish(([y.clone(), kept.clone(), weight, scale, state], setting), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, Self::from_inner(kept))
    }

    fn recurrent_gradients(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Setting,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("Burn has no second derivatives")
    }
}
