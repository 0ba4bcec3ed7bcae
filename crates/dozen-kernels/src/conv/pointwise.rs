//! The 1 x 1 convolution at stride 1: at each pixel a matrix times its channels.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dense::{BlockSize, Sizes};
use super::tile::{Lanes, Run, Source, Span, Target, VECTORS, multiply_spans};
use crate::activation::Activation;
use crate::real::{Real, architecture};
use crate::vector::{lanes, load, values};

/// Fewer pixels than this leave vectors half empty; several images are then taken as one.
const PIXELS: usize = 192;

/// Input values that a task copies side by side at a time: half of a second cache.
const COLUMNS: usize = 1 << 17;

/// `y = f(W x + b)` at each of an image's `pixels`, `weights` being `[output][input]`; groups must be one. Writes all of
/// `y`.
pub(super) fn mix_channels<E: Real>(
    sizes: Sizes,
    pixels: usize,
    x: &[E],
    weights: &[E],
    bias: &[E],
    activation: Option<Activation>,
    y: &mut [MaybeUninit<E>],
) {
    let block = architecture().dispatch(BlockSize);
    let threads = rayon::current_num_threads();
    let together = PIXELS.div_ceil(pixels.max(1)).min(sizes.batch / threads).max(1);
    let pieces = sizes.batch.div_ceil(together);
    let blocks = sizes.outputs.div_ceil(block);
    // Outputs are cut only where an image is a piece of its own.
    let cuts = if together > 1 { 1 } else { (4 * threads).div_ceil(pieces.max(1)).clamp(1, blocks.max(1)) };
    let chunk = blocks.div_ceil(cuts) * block;
    let tasks: Vec<Task<E>> = y
        .chunks_mut((together * sizes.outputs * pixels).max(1))
        .zip(x.chunks((together * sizes.inputs * pixels).max(1)))
        .flat_map(|(y, x)| {
            let cut = if together > 1 { y.len() } else { chunk * pixels };
            y.chunks_mut(cut.max(1)).enumerate().map(move |(cut, y)| (x, cut * chunk, y))
        })
        .map(|(x, first, y)| {
            let outputs = first..(first + chunk).min(sizes.outputs);
            Task {
                pixels,
                inputs: sizes.inputs,
                x,
                filters: &weights[outputs.start * sizes.inputs..],
                bias: bias.get(outputs.clone()).unwrap_or(&[]),
                outputs,
                activation,
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
    filters: &'a [E],
    bias: &'a [E],
    outputs: Range<usize>,
    activation: Option<Activation>,
    y: &'a mut [MaybeUninit<E>],
}

impl<E: Real> WithSimd for Task<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = lanes::<S, E>();
        let images = self.x.len() / (self.inputs * self.pixels).max(1);
        let total = images * self.pixels;
        // As many tiles at a time as the second cache holds inputs of.
        let tiles = (COLUMNS / (self.inputs * VECTORS * lanes)).clamp(1, 8);
        let width = tiles * VECTORS * lanes;
        let mut columns = vec![E::ZERO; self.inputs * width];
        let offsets: Vec<usize> = (0..self.inputs).map(|input| input * width).collect();
        let mut target = Target {
            values: self.y,
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
            gather::<S, E>(self.x, self.pixels, self.inputs, &spans, &mut columns);
            let source = Source { values: &columns, offsets: &offsets };
            for spans in spans.chunks(VECTORS) {
                multiply_spans(simd, self.filters, self.bias, source, spans, &mut target);
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

/// Copies the channels of the spans' pixels side by side: `[input][position]`.
#[inline(always)]
fn gather<S: Simd, E: Real>(x: &[E], pixels: usize, inputs: usize, spans: &[Span], columns: &mut [E]) {
    let image_size = inputs * pixels;
    let width = columns.len() / inputs.max(1);
    for (input, columns) in columns.chunks_exact_mut(width).enumerate() {
        let channel = &x[input * pixels..];
        for (span, columns) in spans.iter().zip(columns.chunks_exact_mut(lanes::<S, E>())) {
            match &span.to {
                Lanes::Whole { image, pixel } => {
                    let vector = load::<S, E>(&channel[image * image_size + pixel..]);
                    columns.copy_from_slice(values::<S, E>(&vector));
                }
                Lanes::Runs(runs) => {
                    for run in runs {
                        let from = &channel[run.image * image_size + run.pixel..][..run.length];
                        columns[run.lane..run.lane + run.length].copy_from_slice(from);
                    }
                }
            }
        }
    }
}
