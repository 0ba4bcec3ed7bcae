//! The 1 x 1 convolution: sums of a few pixels at a block of outputs, held in registers over all inputs.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::blocked::{BLOCK, BlockedImage, Lanes, Workspace, in_blocks};
use super::swish::Swish;
use crate::function::{Function, Identity};
use crate::real::architecture;
use crate::vector::{Vectorized, lanes};

/// A matrix and a bias, packed for inference: `y = f(W x + b)` at each pixel.
#[derive(Clone, Debug)]
pub struct Pointwise {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `[block of outputs][input][output of the block]`.
    panels: Vec<Lanes>,
    /// A block of outputs each.
    bias: Vec<Lanes>,
}

impl Pointwise {
    /// Of `weights` as `[output][input]`, and a bias for each output.
    ///
    /// # Panics
    /// When the weights are not as many as inputs times outputs.
    pub fn new(weights: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weights.len() / outputs.max(1);
        assert_eq!(weights.len(), inputs * outputs, "a weight for each input of each output");
        Self {
            inputs,
            outputs,
            panels: in_blocks(weights, inputs),
            bias: bias.chunks(BLOCK).map(Lanes::from_slice).collect(),
        }
    }

    pub(super) fn blocks(&self) -> usize {
        self.bias.len()
    }

    /// The weights and the bias of a block of outputs.
    pub(super) fn panel(&self, block: usize) -> Panel<'_> {
        Panel { weights: &self.panels[block * self.inputs..][..self.inputs], bias: &self.bias[block] }
    }

    /// The same with the weights of each input multiplied by a factor.
    fn scaled(&self, factors: &[Lanes]) -> Self {
        let factors: &[f32] = bytemuck::cast_slice(factors);
        let mut panels = self.panels.clone();
        for panel in panels.chunks_exact_mut(self.inputs.max(1)) {
            for (lanes, factor) in panel.iter_mut().zip(factors) {
                lanes.multiply(Lanes([*factor; BLOCK]));
            }
        }
        Self { panels, bias: self.bias.clone(), ..*self }
    }

    /// `W x + b` at each pixel, or the SiLU of it, in as many pieces at once as `threads`.
    pub fn forward(
        &self,
        x: BlockedImage,
        silu: bool,
        threads: usize,
        workspace: &mut Workspace,
    ) -> BlockedImage {
        // Each function is compiled for each instruction set and tile; these two are what networks need.
        if silu {
            self.mix(x, None, None, Swish, threads, workspace)
        } else {
            self.mix(x, None, None, Identity, threads, workspace)
        }
    }

    /// `W x + b` of rows, `[row][input]` to `[row][output]`.
    pub fn of_rows(&self, rows: &[f32], threads: usize) -> Vec<f32> {
        let count = rows.len() / self.inputs.max(1);
        let mut x = Workspace::default().image(self.inputs, [1, count]);
        for (row, values) in rows.chunks_exact(self.inputs.max(1)).enumerate() {
            for (block, values) in values.chunks(BLOCK).enumerate() {
                x.values[block * count + row] = Lanes::from_slice(values);
            }
        }
        let y = self.forward(x, false, threads, &mut Workspace::default());
        let row =
            |row: usize| (0..self.outputs).map(move |output| (output / BLOCK * count + row, output % BLOCK));
        (0..count).flat_map(row).map(|(at, lane)| y.values[at].0[lane]).collect()
    }

    /// `f(W s x + b) + r` at each pixel, with a factor `s` for each input and a residual `r` where they are given; in as many pieces at once as `threads`.
    pub(super) fn mix<F: Function>(
        &self,
        mut x: BlockedImage,
        factors: Option<&[Lanes]>,
        residual: Option<&BlockedImage>,
        f: F,
        threads: usize,
        workspace: &mut Workspace,
    ) -> BlockedImage {
        let mut owned = None;
        if let Some(factors) = factors {
            // Whichever is less: the weights, or the values.
            if self.outputs < x.pixels() {
                owned = Some(self.scaled(factors));
            } else {
                let pixels = x.pixels().max(1);
                for (block, factors) in x.values.chunks_exact_mut(pixels).zip(factors) {
                    for lanes in block {
                        lanes.multiply(*factors);
                    }
                }
            }
        }
        let layer = owned.as_ref().unwrap_or(self);
        let mut y = workspace.image(self.outputs, x.sides());
        let pixels = x.pixels();
        let work = |units: Vec<Unit<'_>>| {
            for unit in units {
                let residual = residual.map(|image| &image.values[unit.block * pixels + unit.first..]);
                architecture().dispatch(Multiply {
                    x: Columns { values: &x.values, pixels, first: unit.first },
                    panel: layer.panel(unit.block),
                    residual,
                    f,
                    y: unit.y,
                });
            }
        };
        let pieces = units(&mut y, self.inputs, threads);
        match threads {
            1 => pieces.into_iter().for_each(work),
            _ => pieces.into_par_iter().for_each(work),
        }
        workspace.give(x);
        y
    }

    /// `f(W x + b)` of one vector.
    pub(super) fn of_vector<F: Function>(&self, x: &[Lanes], f: F) -> Vec<Lanes> {
        let mut y = vec![Lanes::ZERO; self.blocks()];
        for (block, y) in y.chunks_exact_mut(1).enumerate() {
            let x = Columns { values: x, pixels: 1, first: 0 };
            architecture().dispatch(Multiply { x, panel: self.panel(block), residual: None, f, y });
        }
        y
    }
}

/// Some pixels of one block of outputs.
struct Unit<'a> {
    block: usize,
    first: usize,
    y: &'a mut [Lanes],
}

/// Bytes of inputs that are read for all blocks of outputs before the next: a part of the second cache.
const INPUTS: usize = 1 << 17;

/// The outputs in pieces of equal work. Where the image is larger than the weights, each piece has some pixels, and else some outputs.
fn units(y: &mut BlockedImage, inputs: usize, threads: usize) -> Vec<Vec<Unit<'_>>> {
    let (blocks, pixels) = (y.blocks(), y.pixels());
    let by_pixels = pixels > y.channels;
    let length = pixels.div_ceil(threads).max(1);
    let cut = if by_pixels { length.min((INPUTS / (4 * inputs)).next_multiple_of(12)) } else { length };
    let parts = pixels.div_ceil(cut);
    let mut units: Vec<Unit<'_>> = y
        .values
        .chunks_exact_mut(pixels.max(1))
        .enumerate()
        .flat_map(|(block, y)| {
            y.chunks_mut(cut).enumerate().map(move |(part, y)| Unit { block, first: part * cut, y })
        })
        .collect();
    if by_pixels {
        units.sort_by_key(|unit| (unit.first, unit.block));
    }
    let each = (blocks * parts).div_ceil(threads).max(1);
    let mut pieces = Vec::with_capacity(threads);
    while !units.is_empty() {
        let rest = units.split_off(each.min(units.len()));
        pieces.push(std::mem::replace(&mut units, rest));
    }
    pieces
}

/// Pixels of an image from one on.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    /// `[block of channels][pixel]`.
    pub(super) values: &'a [Lanes],
    pub(super) pixels: usize,
    pub(super) first: usize,
}

/// The weights of a block of outputs, one of [`Lanes`] for each input.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) weights: &'a [Lanes],
    pub(super) bias: &'a Lanes,
}

/// One unit of work.
struct Multiply<'a, F> {
    x: Columns<'a>,
    panel: Panel<'a>,
    residual: Option<&'a [Lanes]>,
    f: F,
    y: &'a mut [Lanes],
}

impl<F: Function> WithSimd for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let count = self.y.len();
        let place = Place { at: 0, column: 0, width: usize::MAX, gap: 0 };
        multiply(simd, self.x, self.panel, count, self.f, place, self.y);
        if let Some(residual) = self.residual {
            for (y, residual) in self.y.iter_mut().zip(residual) {
                y.add(*residual);
            }
        }
    }
}

/// Where the next pixel goes: lines of `width` pixels with a gap between them.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) column: usize,
    pub(super) width: usize,
    pub(super) gap: usize,
}

impl Place {
    #[inline(always)]
    fn next(&mut self) -> usize {
        let at = self.at;
        self.at += 1;
        self.column += 1;
        if self.column == self.width {
            self.column = 0;
            self.at += self.gap;
        }
        at
    }
}

/// `f(W x + b)` of `count` pixels.
#[inline(always)]
pub(super) fn multiply<S: Simd, F: Function>(
    simd: S,
    x: Columns<'_>,
    panel: Panel<'_>,
    count: usize,
    f: F,
    place: Place,
    y: &mut [Lanes],
) {
    let last = panel.weights.len().saturating_sub(1) / DEPTH;
    for (part, weights) in panel.weights.chunks(DEPTH).enumerate() {
        let values = &x.values[part * (DEPTH / BLOCK) * x.pixels..];
        let (x, panel) = (Columns { values, ..x }, Panel { weights, ..panel });
        let sum = Sum { x, panel, begun: part > 0, ends: part == last };
        sized(simd, sum, count, f, place, y);
    }
}

/// Inputs at a time: their weights fill half of the first cache, and stay there for all pixels.
const DEPTH: usize = 256;

/// What is summed.
#[derive(Clone, Copy)]
struct Sum<'a> {
    x: Columns<'a>,
    panel: Panel<'a>,
    /// Whether the sums of earlier inputs are in the outputs already.
    begun: bool,
    /// Whether these are the last inputs, after which comes the function.
    ends: bool,
}

#[inline(always)]
fn sized<S: Simd, F: Function>(simd: S, sum: Sum<'_>, count: usize, f: F, place: Place, y: &mut [Lanes]) {
    // As many sums as there are registers for, of a vector or several to a block.
    // Known for each instruction set when it is compiled, so that the other ways are not.
    match const { lanes::<S, f32>() } {
        16 => tiles::<S, F, 12, 1>(simd, sum, count, f, place, y),
        8 => tiles::<S, F, 6, 2>(simd, sum, count, f, place, y),
        4 => tiles::<S, F, 6, 4>(simd, sum, count, f, place, y),
        _ => tiles::<S, F, 2, BLOCK>(simd, sum, count, f, place, y),
    }
}

#[inline(always)]
fn tiles<S: Simd, F: Function, const M: usize, const V: usize>(
    simd: S,
    sum: Sum<'_>,
    count: usize,
    f: F,
    mut place: Place,
    y: &mut [Lanes],
) {
    let mut done = 0;
    while done + M <= count {
        tile::<S, F, M, V>(simd, sum, done, f, &mut place, y);
        done += M;
    }
    while done + 4 <= count {
        tile::<S, F, 4, V>(simd, sum, done, f, &mut place, y);
        done += 4;
    }
    while done + 2 <= count {
        tile::<S, F, 2, V>(simd, sum, done, f, &mut place, y);
        done += 2;
    }
    if done < count {
        tile::<S, F, 1, V>(simd, sum, done, f, &mut place, y);
    }
}

/// `M` pixels from `done` on.
#[inline(always)]
fn tile<S: Simd, F: Function, const M: usize, const V: usize>(
    simd: S,
    Sum { x, panel, begun, ends }: Sum<'_>,
    done: usize,
    f: F,
    place: &mut Place,
    y: &mut [Lanes],
) {
    let mut sums = [panel.bias.vectors::<S, V>(simd); M];
    if begun {
        let mut ahead = *place;
        for sums in &mut sums {
            *sums = y[ahead.next()].vectors(simd);
        }
    }
    let mut start = x.first + done;
    for weights in panel.weights.chunks(BLOCK) {
        let pixels: &[Lanes; M] = x.values[start..].first_chunk().expect("pixels of the image");
        start += x.pixels;
        for (k, weights) in weights.iter().enumerate() {
            let w = weights.vectors::<S, V>(simd);
            for m in 0..M {
                let value = f32::splat(simd, pixels[m].0[k % BLOCK]);
                for v in 0..V {
                    sums[m][v] = f32::multiply_add(simd, value, w[v], sums[m][v]);
                }
            }
        }
    }
    // A copy, so that the sums themselves stay in registers above.
    let done = sums;
    for sums in &done {
        let mut out = Lanes::of_vectors::<S, V>(sums);
        if ends {
            for value in &mut out.0 {
                *value = f.value(*value);
            }
        }
        y[place.next()] = out;
    }
}
