//! The 1 x 1 convolution at stride 1: at each pixel a matrix times its channels.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dense::{Around, Sizes, outputs_per_task};
use super::tile::{Filters, Lanes, Run, Source, Span, Target, VECTORS, multiply_spans};
use crate::activation::Activation;
use crate::real::{Real, architecture};
use crate::vector::{lanes, load, values};

/// Fewer pixels than this leave vectors half empty; several images are then taken as one.
const PIXELS: usize = 192;

/// Input values that a task copies side by side at a time: half of a second cache.
const COLUMNS: usize = 1 << 17;

/// `y = f(W s x + b)` at each of an image's `pixels`, `weights` being `[output][input]`; groups must be one. Writes all of
/// `y`.
pub(super) fn mix_channels<E: Real>(
    sizes: Sizes,
    pixels: usize,
    x: &[E],
    weights: &[E],
    around: Around<E>,
    y: &mut [MaybeUninit<E>],
) {
    let threads = rayon::current_num_threads();
    let together = PIXELS.div_ceil(pixels.max(1)).min(sizes.batch / threads).max(1);
    let pieces = sizes.batch.div_ceil(together);
    // Outputs are cut only where an image is a piece of its own.
    let chunk = if together > 1 { sizes.outputs } else { outputs_per_task(sizes.outputs, pieces) };
    let tasks: Vec<Task<E>> = y
        .chunks_mut((together * sizes.outputs * pixels).max(1))
        .zip(x.chunks((together * sizes.inputs * pixels).max(1)))
        .enumerate()
        .flat_map(|(piece, (y, x))| {
            let cut = if together > 1 { y.len() } else { chunk * pixels };
            let scale = around.scale.get(piece * together * sizes.inputs..).unwrap_or(&[]);
            y.chunks_mut(cut.max(1)).enumerate().map(move |(cut, y)| (x, scale, cut * chunk, y))
        })
        .map(|(x, scale, first, y)| {
            let outputs = first..(first + chunk).min(sizes.outputs);
            Task {
                pixels,
                inputs: sizes.inputs,
                x,
                scale,
                filters: &weights[outputs.start * sizes.inputs..],
                bias: around.bias.get(outputs.clone()).unwrap_or(&[]),
                outputs,
                activation: around.activation,
                y,
            }
        })
        .collect();
    tasks.into_par_iter().for_each(|task| architecture().dispatch(task));
}

/// Some outputs of one image, or all outputs of some images.
struct Task<'a, E> {
    pixels: usize,
    inputs: usize,
    x: &'a [E],
    /// `[image][input]`, or empty.
    scale: &'a [E],
    filters: &'a [E],
    bias: &'a [E],
    outputs: Range<usize>,
    activation: Option<Activation>,
    y: &'a mut [MaybeUninit<E>],
}

impl<E: Real> WithSimd for Task<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = lanes::<S, E>();
        let images = self.x.len() / (self.inputs * self.pixels).max(1);
        let total = images * self.pixels;
        // As many tiles at a time as the second cache holds inputs of.
        let tiles = (COLUMNS / (self.inputs * VECTORS * lanes)).clamp(1, 8);
        let width = tiles * VECTORS * lanes;
        let mut columns = vec![E::ZERO; self.inputs * width];
        let offsets: Vec<usize> = (0..self.inputs).map(|input| input * width).collect();
        let mut target = Target {
            values: std::mem::take(&mut self.y),
            outputs: self.outputs.len(),
            pixels: self.pixels,
            step: 1,
            activation: self.activation,
        };
        for first in (0..total).step_by(width) {
            let end = (first + width).min(total);
            let spans: Vec<Span> = (first..end)
                .step_by(lanes)
                .map(|position| Span {
                    position: position - first,
                    to: targets(position..(position + lanes).min(end), self.pixels, lanes),
                })
                .collect();
            self.gather(simd, &spans, &mut columns);
            let source = Source::new(&columns, &offsets);
            for spans in spans.chunks(VECTORS) {
                multiply_spans(simd, Filters::packed(self.filters), self.bias, source, spans, &mut target);
            }
        }
    }
}

impl<E: Real> Task<'_, E> {
    /// Copies the channels of the spans' pixels side by side, `[input][position]`, and scales them.
    #[inline(always)]
    fn gather<S: Simd>(&self, simd: S, spans: &[Span], columns: &mut [E]) {
        let image_size = self.inputs * self.pixels;
        let width = columns.len() / self.inputs.max(1);
        let zero = E::splat(simd, E::ZERO);
        for (input, columns) in columns.chunks_exact_mut(width).enumerate() {
            let channel = &self.x[input * self.pixels..];
            let factor = |image: usize| self.scale.get(image * self.inputs + input).copied();
            for index in 0..spans.len() {
                let columns = &mut columns[index * lanes::<S, E>()..][..lanes::<S, E>()];
                match &spans[index].to {
                    &Lanes::Whole { image, pixel } => {
                        let mut vector = load::<S, E>(&channel[image * image_size + pixel..]);
                        if let Some(factor) = factor(image) {
                            vector = E::multiply_add(simd, vector, E::splat(simd, factor), zero);
                        }
                        columns.copy_from_slice(values::<S, E>(&vector));
                    }
                    Lanes::Runs(runs) => {
                        for run in runs {
                            let factor = factor(run.image).unwrap_or(E::ONE);
                            let from = &channel[run.image * image_size + run.pixel..][..run.length];
                            for (to, &from) in columns[run.lane..].iter_mut().zip(from) {
                                *to = from * factor;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The pixels of consecutive images at some positions.
fn targets(positions: Range<usize>, pixels: usize, lanes: usize) -> Lanes {
    let (image, pixel) = (positions.start / pixels, positions.start % pixels);
    if positions.len() == lanes && pixel + lanes <= pixels {
        return Lanes::Whole { image, pixel };
    }
    let mut runs = Vec::new();
    let mut position = positions.start;
    while position < positions.end {
        let (image, pixel) = (position / pixels, position % pixels);
        let length = (pixels - pixel).min(positions.end - position);
        runs.push(Run { lane: position - positions.start, length, image, pixel });
        position += length;
    }
    Lanes::Runs(runs)
}
