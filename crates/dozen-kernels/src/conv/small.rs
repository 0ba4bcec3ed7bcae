//! Convolutions of small maps. Where lines are shorter than a vector, vectors that run on past the ends of lines and of images
//! compute sums in vain. Here each column tap has a copy of the grid with just the pixels that it meets, a line of all
//! images after the other, so that all positions lie side by side.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dense::{Around, GRID, Sizes, Weights, outputs_per_task};
use super::plan::{Plan, of_all_inputs};
use super::tile::{Filters, Lanes, Run, Source, Span, Target, VECTORS, multiply_spans};
use crate::activation::Activation;
use crate::real::{Real, architecture};
use crate::vector::lanes;

/// Outputs from which on the copies are worth their time.
const MANY_OUTPUTS: usize = 32;

/// The vectors that are left must be this share of those of [`super::dense`] at most.
const FEWER: f64 = 0.85;

/// How many images a task lays side by side, enough for every thread to have one and not more than the second cache holds; `None` where the convolution is
/// not done faster so.
pub(super) fn images_together<E: Real>(plan: &Plan, sizes: Sizes) -> Option<usize> {
    let Sizes { batch, groups, inputs, outputs } = sizes;
    let plane = plan.classes().map(|class| plan.copies(class, 1)).max().unwrap_or(0);
    let fit = GRID / (inputs * plane).max(1);
    if groups != 1 || batch == 0 || outputs < MANY_OUTPUTS || fit == 0 {
        return None;
    }
    let images = (batch / rayon::current_num_threads()).clamp(1, fit);
    let lanes = architecture().dispatch(LaneCount(std::marker::PhantomData::<E>));
    let rows = plan.rows.positions;
    let (mut ours, mut theirs) = (0, 0);
    for class in plan.classes() {
        let taps = plan.offsets(class, rows).len();
        ours += taps
            * (images * plan.rows_and_columns(class).iter().map(Range::len).product::<usize>())
                .div_ceil(lanes);
        theirs += taps * images * plan.spans(class, 0..rows, lanes, true).len();
    }
    ((ours as f64) <= FEWER * theirs as f64).then_some(images)
}

/// How many values a vector has under the instruction set.
struct LaneCount<E>(std::marker::PhantomData<E>);

impl<E: Real> WithSimd for LaneCount<E> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        lanes::<S, E>()
    }
}

/// `y = f(W * x + b)` by the plan, without a scale, in one group, so many images side by side. Writes all of `y`.
pub(super) fn convolve<E: Real>(
    plan: &Plan,
    sizes: Sizes,
    images: usize,
    x: &[E],
    weights: Weights<E>,
    around: Around<E>,
    y: &mut [MaybeUninit<E>],
) {
    let Sizes { batch, inputs, outputs, .. } = sizes;
    let filters: Vec<Cow<[E]>> = plan.classes().map(|class| weights.class(plan, class, sizes)).collect();
    let (source, pixels) = (inputs * plan.source_pixels(), plan.target_pixels());
    // A single image may be cut further, where there are more threads than images.
    let chunk = if images > 1 { outputs } else { outputs_per_task(outputs, batch) };
    let tasks: Vec<Task<E>> = x
        .chunks(images * source)
        .zip(y.chunks_mut(images * outputs * pixels))
        .flat_map(|(x, y)| {
            let share = x.len() / source * chunk * pixels;
            y.chunks_mut(share).enumerate().map(move |(cut, y)| (x, cut * chunk, y))
        })
        .map(|(x, first, y)| {
            let outputs = first..(first + chunk).min(outputs);
            Task {
                plan,
                inputs,
                x,
                filters: &filters,
                bias: around.bias.get(outputs.clone()).unwrap_or(&[]),
                outputs,
                activation: around.activation,
                y,
            }
        })
        .collect();
    tasks.into_par_iter().for_each(|task| architecture().dispatch(task));
}

impl Plan {
    /// The positions of a class.
    fn rows_and_columns(&self, class: (usize, usize)) -> [Range<usize>; 2] {
        [self.rows.classes[class.0].positions.clone(), self.columns.classes[class.1].positions.clone()]
    }

    /// Values from one line of `images` images to the next, of a class.
    fn line(&self, class: (usize, usize), images: usize) -> usize {
        images * self.columns.classes[class.1].positions.len()
    }

    /// Values of one column tap's copy of a channel.
    fn copy(&self, class: (usize, usize), images: usize) -> usize {
        self.rows.phases * (self.rows.positions + self.rows.halo) * self.line(class, images)
    }

    /// Values of all copies of a channel for a class.
    fn copies(&self, class: (usize, usize), images: usize) -> usize {
        self.columns.taps_of(class.1).count() * self.copy(class, images)
    }
}

/// Some outputs of some images.
struct Task<'a, E: Clone> {
    plan: &'a Plan,
    inputs: usize,
    x: &'a [E],
    /// Of each class, those of all outputs.
    filters: &'a [Cow<'a, [E]>],
    bias: &'a [E],
    outputs: Range<usize>,
    activation: Option<Activation>,
    y: &'a mut [MaybeUninit<E>],
}

impl<E: Real> WithSimd for Task<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let plan = self.plan;
        let images = self.x.len() / (self.inputs * plan.source_pixels());
        let largest = plan.classes().map(|class| plan.copies(class, images)).max().unwrap_or(0);
        let mut grid = vec![E::ZERO; self.inputs * largest + lanes::<S, E>()];
        for (number, (class, filters)) in plan.classes().zip(self.filters).enumerate() {
            if number > 0 {
                grid.fill(E::ZERO);
            }
            if plan.rows_and_columns(class).iter().any(Range::is_empty) {
                continue;
            }
            let plane = plan.copies(class, images);
            pack(plan, class, self.inputs, images, self.x, &mut grid);
            let taps = plan.offsets_in_copies(class, images);
            let offsets = of_all_inputs(&taps, self.inputs, plane);
            let source = Source::new(&grid, &offsets);
            let mut target = Target {
                values: &mut *self.y,
                outputs: self.outputs.len(),
                pixels: plan.target_pixels(),
                step: plan.columns.classes[class.1].step,
                activation: self.activation,
            };
            let filters = Filters::packed(&filters[self.outputs.start * offsets.len()..]);
            for spans in plan.spans_side_by_side(class, images, lanes::<S, E>()).chunks(VECTORS) {
                multiply_spans(simd, filters, self.bias, source, spans, &mut target);
            }
        }
    }
}

/// Copies all channels of some images for the taps of a class; the padding must be zero there already.
#[inline(always)]
fn pack<E: Real>(plan: &Plan, class: (usize, usize), inputs: usize, images: usize, x: &[E], grid: &mut [E]) {
    let (height, line) = (plan.rows.positions + plan.rows.halo, plan.line(class, images));
    let columns = plan.columns.classes[class.1].positions.clone();
    let mut copies = grid.chunks_exact_mut(plan.copy(class, images).max(1));
    for input in 0..inputs {
        for tap in plan.columns.taps_of(class.1) {
            let copy = copies.next().expect("a copy for each input and tap");
            let (inside, first) = plan.columns.inside(tap.phase, columns.start + tap.offset, columns.len());
            if inside.is_empty() {
                continue;
            }
            for phase in 0..plan.rows.phases {
                let (inside_rows, first_row) = plan.rows.inside(phase, 0, height);
                for image in 0..images {
                    let channel =
                        &x[(image * inputs + input) * plan.source_pixels()..][..plan.source_pixels()];
                    for (index, row) in inside_rows.clone().enumerate() {
                        let from = plan.source_row(channel, first_row, index);
                        let at = (phase * height + row) * line + image * columns.len();
                        let to = &mut copy[at + inside.start..at + inside.end];
                        plan.columns.copy_inside(to, &from[first..]);
                    }
                }
            }
        }
    }
}

impl Plan {
    /// The offsets of a class' taps among the copies of a channel, in the order of [`Plan::taps`].
    fn offsets_in_copies(&self, class: (usize, usize), images: usize) -> Vec<usize> {
        let height = self.rows.positions + self.rows.halo;
        let (line, copy) = (self.line(class, images), self.copy(class, images));
        let columns = self.columns.taps_of(class.1).count();
        let of_row = |row: super::plan::Tap| {
            let offset = (row.phase * height + row.offset) * line;
            (0..columns).map(move |column| column * copy + offset)
        };
        self.rows.taps_of(class.0).flat_map(of_row).collect()
    }

    /// All positions of a class as vectors: lines of all images, one after the other.
    fn spans_side_by_side(&self, class: (usize, usize), images: usize, lanes: usize) -> Vec<Span> {
        let (row_class, column_class) = (&self.rows.classes[class.0], &self.columns.classes[class.1]);
        let [rows, columns] = self.rows_and_columns(class);
        let (width, line) = (columns.len(), self.line(class, images));
        let end = rows.end * line;
        let span = |position: usize| {
            let mut runs = Vec::new();
            let mut lane = 0;
            while lane < lanes && position + lane < end {
                let at = position + lane;
                let (row, image, column) = (at / line, at % line / width, at % width);
                let length = (width - column).min(lanes - lane);
                let pixel =
                    row_class.target(row) * self.columns.target + column_class.target(columns.start + column);
                runs.push(Run { lane, length, image, pixel });
                lane += length;
            }
            Span { position, to: Lanes::Runs(runs) }
        };
        (rows.start * line..end).step_by(lanes).map(span).collect()
    }
}

/// Positions that are summed at a time, at least, where there are as many images.
const SUMMED: usize = 256;

/// Values of the copies of a unit, which are read once, and of its gradients, which stay in the second cache.
const COPIES: usize = 1 << 20;

/// Positions of an image from which on [`super::weights`] has long rows of its own.
const LONG_ROW: usize = 512;

/// Inputs and taps whose products are turned at a time.
const TURNED: usize = 64;

/// Images whose products with the gradients of their outputs are summed at a time; `None` where that is better done otherwise. Of a batch that has as
/// many images there are at least `parts` such sums.
pub(super) fn images_summed<E: Real>(plan: &Plan, sizes: Sizes, parts: usize) -> Option<usize> {
    let lanes = architecture().dispatch(LaneCount(std::marker::PhantomData::<E>));
    let Sizes { batch, groups, inputs, outputs } = sizes;
    let positions = plan.target_pixels();
    if groups != 1 || outputs < lanes || plan.rows.positions * plan.pitch() > LONG_ROW || plan.is_pointwise()
    {
        return None;
    }
    let fit = (COPIES / (inputs * plan.copies((0, 0), 1)).max(1)).min(GRID / (outputs * positions).max(1));
    let images = batch.div_ceil(parts).max(SUMMED.div_ceil(positions.max(1))).min(fit).min(batch);
    (images > 0).then(|| batch.div_ceil(batch.div_ceil(images)))
}

/// Some images and the gradients of some of their outputs.
pub(super) struct Summed<'a, E> {
    pub(super) plan: &'a Plan,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) images: usize,
    /// `[image][input]...`.
    pub(super) x: &'a [E],
    /// Those of an image one behind the other.
    pub(super) dy: &'a [E],
    /// Values from the gradients of one image to those of the next.
    pub(super) apart: usize,
}

impl<E: Real> Summed<'_, E> {
    /// Adds `sum over images and positions of dy[output] x[input] under the tap` to `[output][input][tap]`: a tile holds some inputs and taps by
    /// some vectors of outputs.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&self, simd: S, sums: &mut [E]) {
        let (plan, class) = (self.plan, (0, 0));
        let lanes = lanes::<S, E>();
        let plane = plan.copies(class, self.images);
        let mut grid = vec![E::ZERO; self.inputs * plane];
        pack(plan, class, self.inputs, self.images, self.x, &mut grid);
        let width = self.outputs.next_multiple_of(lanes);
        let positions = self.images * plan.target_pixels();
        let gradients = self.turned(positions, width);
        let offsets: Vec<usize> = (0..positions).map(|position| position * width).collect();
        let source = Source::new(&gradients, &offsets);
        let taps = plan.offsets_in_copies(class, self.images);
        let rows = of_all_inputs(&taps, self.inputs, plane);
        let vectors: Vec<usize> = (0..width).step_by(lanes).collect();
        let mut products = vec![MaybeUninit::new(E::ZERO); TURNED * VECTORS * lanes];
        for vectors in vectors.chunks(VECTORS) {
            let span = |(number, &position): (usize, &usize)| Span {
                position,
                to: Lanes::Whole { image: 0, pixel: number * lanes },
            };
            let spans: Vec<Span> = vectors.iter().enumerate().map(span).collect();
            let outputs = vectors[0]..(vectors[0] + spans.len() * lanes).min(self.outputs);
            for (number, some) in rows.chunks(TURNED).enumerate() {
                let pixels = spans.len() * lanes;
                let mut target =
                    Target { values: &mut products, outputs: some.len(), pixels, step: 1, activation: None };
                multiply_spans(simd, Filters::at(&grid, some), &[], source, &spans, &mut target);
                // SAFETY: all values had one from the beginning.
                #[expect(unsafe_code, reason = "tiles write to memory that may be new")]
                let products = unsafe { products.assume_init_ref() };
                for (column, output) in outputs.clone().enumerate() {
                    let sums = &mut sums[output * rows.len() + number * TURNED..][..some.len()];
                    for (sum, products) in sums.iter_mut().zip(products.chunks_exact(pixels)) {
                        *sum += products[column];
                    }
                }
            }
        }
    }

    /// The gradients `[position][output]`, zero beyond the last output; positions are lines of all images, one after the other.
    #[inline(always)]
    fn turned(&self, positions: usize, width: usize) -> Vec<E> {
        let (pixels, columns) = (self.plan.target_pixels(), self.plan.columns.target);
        let mut turned = vec![E::ZERO; positions * width];
        for image in 0..self.images {
            for output in 0..self.outputs {
                let dy = &self.dy[image * self.apart + output * pixels..][..pixels];
                for (row, dy) in dy.chunks_exact(columns).enumerate() {
                    let first = (row * self.images + image) * columns * width + output;
                    for (to, &dy) in turned[first..].iter_mut().step_by(width).zip(dy) {
                        *to = dy;
                    }
                }
            }
        }
        turned
    }
}
