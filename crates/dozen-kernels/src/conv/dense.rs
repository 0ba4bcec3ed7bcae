//! Convolutions whose outputs each read several channels: dense and grouped, and their gradients for the input.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::plan::{Class, Plan, of_all_inputs};
use super::tile::{Filters, Lanes, Run, Source, Span, Target, VECTORS, block, multiply_spans};
use crate::activation::Activation;
use crate::real::{Real, architecture};
use crate::vector::lanes;

/// What a convolution reads and writes: `[batch, groups * inputs, ...]` to `[batch, groups * outputs, ...]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Channels of the source in a group.
    pub(super) inputs: usize,
    /// Channels of the target in a group.
    pub(super) outputs: usize,
}

/// What is done beside a convolution.
#[derive(Clone, Copy)]
pub(super) struct Around<'a, E> {
    /// A factor for each input channel of each image, or empty.
    pub(super) scale: &'a [E],
    /// A value for each output channel, or empty.
    pub(super) bias: &'a [E],
    pub(super) activation: Option<Activation>,
}

/// Values of a packed grid: half of a second cache.
pub(super) const GRID: usize = 1 << 17;

/// Sums of at least this length are worth positions that are computed in vain, to have fewer vectors.
const LONG_SUM: usize = 128;

/// `y = f(W * x + b)` by the plan, without a scale. Writes all of `y`.
pub(super) fn convolve<E: Real>(
    plan: &Plan,
    sizes: Sizes,
    x: &[E],
    weights: Weights<E>,
    around: Around<E>,
    y: &mut [MaybeUninit<E>],
) {
    let pixels = plan.target_pixels();
    let filters: Vec<Cow<[E]>> = plan.classes().map(|class| weights.class(plan, class, sizes)).collect();
    // One piece for each image and group, cut further where there are fewer pieces than threads want.
    let pieces = sizes.batch * sizes.groups;
    let chunk = outputs_per_task(sizes.outputs, pieces);
    let source = sizes.inputs * plan.source_pixels();
    let tasks: Vec<Task<E>> = y
        .chunks_mut((sizes.outputs * pixels).max(1))
        .enumerate()
        .flat_map(|(piece, y)| {
            y.chunks_mut(chunk * pixels).enumerate().map(move |(cut, y)| (piece, cut * chunk, y))
        })
        .map(|(piece, first, y)| {
            let group = piece % sizes.groups;
            let outputs = first..(first + chunk).min(sizes.outputs);
            let biases = group * sizes.outputs..(group + 1) * sizes.outputs;
            Task {
                plan,
                inputs: sizes.inputs,
                x: &x[piece * source..(piece + 1) * source],
                filters: &filters,
                first_filter: group * sizes.outputs + first,
                bias: around.bias.get(biases).map_or(&[], |bias| &bias[outputs.clone()]),
                outputs,
                activation: around.activation,
                y,
            }
        })
        .collect();
    tasks.into_par_iter().for_each(|task| architecture().dispatch(task));
}

/// Outputs of a task, in whole tiles, so that there is a task for each thread even where there are fewer pieces.
pub(super) fn outputs_per_task(outputs: usize, pieces: usize) -> usize {
    let block = architecture().dispatch(BlockSize);
    let blocks = outputs.div_ceil(block);
    let cuts = rayon::current_num_threads().div_ceil(pieces.max(1)).clamp(1, blocks.max(1));
    blocks.div_ceil(cuts) * block
}

/// How many outputs a tile has under the instruction set.
struct BlockSize;

impl WithSimd for BlockSize {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        block::<S>()
    }
}

/// Weights as they lie in memory.
#[derive(Clone, Copy)]
pub(super) enum Weights<'a, E> {
    /// `[group][output][input][tap]`.
    Forward(&'a [E]),
    /// Those of the convolution whose inputs are now outputs: `[group][input][output][tap]`.
    Transposed(&'a [E]),
}

impl<'a, E: Real> Weights<'a, E> {
    /// Those of the taps of one class, `[group][output][input][tap]`.
    pub(super) fn class(self, plan: &Plan, class: (usize, usize), sizes: Sizes) -> Cow<'a, [E]> {
        let (weights, outputs) = match self {
            Self::Forward(weights) => return Cow::Borrowed(weights),
            Self::Transposed(weights) => (weights, sizes.outputs),
        };
        let all = weights.len() / (sizes.groups * sizes.inputs * outputs).max(1);
        let taps: Vec<usize> = plan.taps(class, 1).into_iter().map(|(tap, _)| tap).collect();
        let mut turned = Vec::with_capacity(sizes.groups * outputs * sizes.inputs * taps.len());
        for group in weights.chunks_exact((sizes.inputs * outputs * all).max(1)) {
            for output in 0..outputs {
                for input in group.chunks_exact(outputs * all) {
                    let filter = &input[output * all..(output + 1) * all];
                    turned.extend(taps.iter().map(|&tap| filter[tap]));
                }
            }
        }
        Cow::Owned(turned)
    }
}

/// Some outputs of one group of one image.
struct Task<'a, E: Clone> {
    plan: &'a Plan,
    inputs: usize,
    x: &'a [E],
    /// Of each class, those of all groups.
    filters: &'a [Cow<'a, [E]>],
    /// The first output in `filters`.
    first_filter: usize,
    bias: &'a [E],
    outputs: Range<usize>,
    activation: Option<Activation>,
    y: &'a mut [MaybeUninit<E>],
}

impl<E: Real> WithSimd for Task<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows =
            (GRID / (self.inputs * self.plan.plane(1)).max(1)).clamp(1, self.plan.rows.positions.max(1));
        let mut grid = vec![E::ZERO; self.inputs * self.plan.plane(rows) + lanes::<S, E>()];
        for first in (0..self.plan.rows.positions).step_by(rows) {
            self.band(simd, first..(first + rows).min(self.plan.rows.positions), &mut grid);
        }
    }
}

impl<E: Real> Task<'_, E> {
    /// The target pixels of some rows of positions.
    #[inline(always)]
    fn band<S: Simd>(&mut self, simd: S, rows: Range<usize>, grid: &mut [E]) {
        let plan = self.plan;
        let plane = plan.plane(rows.len());
        let source = plan.source_pixels();
        grid.fill(E::ZERO);
        for (input, grid) in grid.chunks_exact_mut(plane).take(self.inputs).enumerate() {
            plan.pack(&self.x[input * source..][..source], rows.clone(), grid);
        }
        for (class, filters) in plan.classes().zip(self.filters) {
            let taps = plan.offsets(class, rows.len());
            let offsets = of_all_inputs(&taps, self.inputs, plane);
            let filters = Filters::packed(&filters[self.first_filter * offsets.len()..]);
            let long = offsets.len() >= LONG_SUM;
            let spans = plan.spans(class, rows.clone(), lanes::<S, E>(), long);
            let source = Source::new(grid, &offsets);
            let mut target = Target {
                values: self.y,
                outputs: self.outputs.len(),
                pixels: plan.target_pixels(),
                step: plan.columns.classes[class.1].step,
                activation: self.activation,
            };
            for spans in spans.chunks(VECTORS) {
                multiply_spans(simd, filters, self.bias, source, spans, &mut target);
            }
        }
    }
}

impl Plan {
    /// The positions of a class in some rows, as vectors.
    ///
    /// Rows at least a vector wide are cut into vectors each, the last of which may overlap the one before; narrower
    /// ones, and where `dense` asks for the fewest vectors, run on over the grid's pitch, past the ends of rows.
    pub(super) fn spans(
        &self,
        class: (usize, usize),
        rows: Range<usize>,
        lanes: usize,
        dense: bool,
    ) -> Vec<Span> {
        let (row_class, column_class) = (&self.rows.classes[class.0], &self.columns.classes[class.1]);
        let valid = row_class.positions.start.max(rows.start)..row_class.positions.end.min(rows.end);
        let columns = column_class.positions.clone();
        if valid.is_empty() || columns.is_empty() {
            return Vec::new();
        }
        let pixel = |row: usize, column: usize, class: &Class| {
            row_class.target(row) * self.columns.target + class.target(column)
        };
        let at = |row: usize, column: usize| (row - rows.start) * self.pitch() + column;
        let width = columns.len();
        if width >= lanes && (!dense || width.is_multiple_of(lanes)) {
            let starts = (0..width.div_ceil(lanes)).map(|v| columns.start + (v * lanes).min(width - lanes));
            return valid
                .flat_map(|row| starts.clone().map(move |column| (row, column)))
                .map(|(row, column)| Span {
                    position: at(row, column),
                    to: Lanes::Whole { image: 0, pixel: pixel(row, column, column_class) },
                })
                .collect();
        }
        let (first, last) = (at(valid.start, columns.start), at(valid.end - 1, columns.end - 1));
        (first..=last)
            .step_by(lanes)
            .map(|position| {
                let mut runs = Vec::new();
                let mut lane = 0;
                while lane < lanes && position + lane <= last {
                    let (row, column) = ((position + lane) / self.pitch(), (position + lane) % self.pitch());
                    let length = (self.pitch() - column).min(lanes - lane);
                    let start = column.max(columns.start);
                    let end = (column + length).min(columns.end);
                    if start < end {
                        runs.push(Run {
                            lane: lane + start - column,
                            length: end - start,
                            image: 0,
                            pixel: pixel(row + rows.start, start, column_class),
                        });
                    }
                    lane += length;
                }
                Span { position, to: Lanes::Runs(runs) }
            })
            .collect()
    }
}
