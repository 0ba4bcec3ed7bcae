//! Inference of networks made of inverted bottlenecks with squeeze-and-excite (MobileNets, EfficientNets), on a CPU.
//!
//! Between layers an image lies in blocks of sixteen channels ([`BlockedImage`]), so that each loop runs over a vector of channels, whatever the width of the image:
//! the 1 x 1 convolutions multiply a panel of weights with a few pixels in registers, without packing an input; a depthwise convolution needs no vector across the
//! ends of lines; the expansion before it is made a block of channels and a band of lines at a time, and never leaves the second cache. Squeeze-and-excite's means are
//! summed while the depthwise convolution writes, its factors are multiplied into the weights of the projection, or into the values where those are fewer.

mod blocked;
mod depthwise;
mod pointwise;
mod swish;

use std::time::Instant;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use self::blocked::{BLOCK, Lanes};
use self::depthwise::Lines;
use self::pointwise::{Columns, Place, multiply};
use self::swish::Swish;
use crate::conv::Convolution;
use crate::function::{Identity, Sigmoid, Silu};
use crate::real::architecture;
use crate::vector::{Vectorized, lanes};

pub use self::blocked::{BlockedImage, Workspace};
pub use self::depthwise::Depthwise;
pub use self::pointwise::Pointwise;

/// The first convolution: of planar values, with SiLU.
#[derive(Clone, Debug)]
pub struct Stem {
    taps: usize,
    stride: usize,
    channels: usize,
    weights: Pointwise,
}

impl Stem {
    /// Of `weights` as `[output][channel][tap line][tap column]`, and a bias for each output.
    pub fn new(weights: &[f32], bias: &[f32], taps: usize, stride: usize) -> Self {
        let weights = Pointwise::new(weights, bias);
        Self { taps, stride, channels: weights.inputs / (taps * taps), weights }
    }

    /// `silu(W x + b)` of an image, `x` being `[channel][line][column]`, with zeros before and after the lines and the columns.
    pub fn forward(
        &self,
        x: &[f32],
        sides: [usize; 2],
        padding: [[usize; 2]; 2],
        threads: usize,
        workspace: &mut Workspace,
    ) -> BlockedImage {
        let geometry = Convolution { stride: self.stride, padding, ..Convolution::default() };
        let outputs = geometry.outputs(sides, [self.taps; 2]);
        let mut y = workspace.image(self.weights.outputs, outputs);
        let lines = outputs[0].div_ceil(threads);
        let mut pieces: Vec<Vec<&mut [Lanes]>> = Vec::new();
        for block in y.values.chunks_exact_mut(outputs[0] * outputs[1]) {
            for (piece, lines) in block.chunks_mut(lines * outputs[1]).enumerate() {
                if pieces.len() <= piece {
                    pieces.push(Vec::new());
                }
                pieces[piece].push(lines);
            }
        }
        let work = |(piece, y): (usize, Vec<&mut [Lanes]>)| {
            let first = piece * lines;
            architecture().dispatch(StemLines { stem: self, x, sides, padding, first, width: outputs[1], y });
        };
        match threads {
            1 => pieces.into_iter().enumerate().for_each(work),
            _ => pieces.into_par_iter().enumerate().for_each(work),
        }
        y
    }
}

/// Some lines of the first convolution's outputs, in all blocks of channels.
struct StemLines<'a> {
    stem: &'a Stem,
    x: &'a [f32],
    sides: [usize; 2],
    padding: [[usize; 2]; 2],
    first: usize,
    width: usize,
    y: Vec<&'a mut [Lanes]>,
}

impl WithSimd for StemLines<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let inputs = self.stem.weights.inputs;
        let mut columns = vec![Lanes::ZERO; inputs.div_ceil(BLOCK) * self.width];
        let lines = self.y[0].len() / self.width;
        for line in 0..lines {
            self.gather(self.first + line, &mut columns);
            let x = Columns { values: &columns, pixels: self.width, first: 0 };
            for (block, y) in self.y.iter_mut().enumerate() {
                let y = &mut y[line * self.width..][..self.width];
                let place = Place { at: 0, column: 0, width: usize::MAX, gap: 0 };
                multiply(simd, x, self.stem.weights.panel(block), self.width, Swish, place, y);
            }
        }
    }
}

impl StemLines<'_> {
    /// What the outputs of a line see, `[block of taps][output]`.
    fn gather(&self, line: usize, columns: &mut [Lanes]) {
        let Stem { taps, stride, channels, .. } = *self.stem;
        let [height, width] = self.sides;
        for tap in 0..channels * taps * taps {
            let [channel, down, right] = [tap / (taps * taps), tap / taps % taps, tap % taps];
            let columns = &mut columns[tap / BLOCK * self.width..][..self.width];
            let lane = tap % BLOCK;
            let from = (line * stride + down).checked_sub(self.padding[0][0]).filter(|line| *line < height);
            let Some(from) = from else {
                for lanes in columns {
                    lanes.0[lane] = 0.0;
                }
                continue;
            };
            let source = &self.x[(channel * height + from) * width..][..width];
            for (output, lanes) in columns.iter_mut().enumerate() {
                let at = (output * stride + right).wrapping_sub(self.padding[1][0]);
                lanes.0[lane] = source.get(at).copied().unwrap_or(0.0);
            }
        }
    }
}

/// An inverted bottleneck (Sandler et al. 2018, section 3.3) with squeeze-and-excite (Hu et al. 2018): batch normalisation folded into its convolutions, SiLU after the expansion and
/// the depthwise convolution.
#[derive(Clone, Debug)]
pub struct MbConv {
    /// To more channels, where there are more.
    pub expand: Option<Pointwise>,
    /// Each channel by itself.
    pub depthwise: Depthwise,
    /// From the channels' means.
    pub reduce: Pointwise,
    /// To a factor for each channel.
    pub excite: Pointwise,
    /// To the channels after the block, without an activation.
    pub project: Pointwise,
    /// Whether the input is added to the output.
    pub skip: bool,
}

/// The parts of a block, each of which is done before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The expansion and the depthwise convolution.
    Depthwise,
    /// Squeeze-and-excite.
    Excite,
    /// The projection.
    Project,
}

impl MbConv {
    /// The block's output, made with as many threads as given; zeros before and after the lines and the columns are those of the depthwise convolution. Whoever wants
    /// to know how long a part takes is told when it is done.
    pub fn forward(
        &self,
        x: BlockedImage,
        padding: [[usize; 2]; 2],
        threads: usize,
        workspace: &mut Workspace,
        done: &mut dyn FnMut(Part),
    ) -> BlockedImage {
        let (middle, sums) = self.middle(&x, padding, threads, workspace);
        done(Part::Depthwise);
        let factors = self.factors(sums, middle.pixels());
        done(Part::Excite);
        let residual = self.skip.then_some(&x);
        let y = self.project.mix(middle, Some(&factors), residual, Identity, threads, workspace);
        done(Part::Project);
        workspace.give(x);
        y
    }

    /// What the depthwise convolution gives, and the sum of each of its channels.
    fn middle(
        &self,
        x: &BlockedImage,
        padding: [[usize; 2]; 2],
        threads: usize,
        workspace: &mut Workspace,
    ) -> (BlockedImage, Vec<Lanes>) {
        let depthwise = &self.depthwise;
        let sides = depthwise.outputs(x.sides(), padding);
        let mut y = workspace.image(depthwise.channels, sides);
        let blocks = y.blocks();
        // Blocks are shared out whole where that is even, else each in parts of some lines.
        let parts = if blocks.is_multiple_of(threads) { 1 } else { threads.min(sides[0]) };
        let lines = sides[0].div_ceil(parts);
        let mut units: Vec<Lines<'_>> = Vec::with_capacity(blocks * parts);
        for (block, y) in y.values.chunks_exact_mut(sides[0] * sides[1]).enumerate() {
            for (part, y) in y.chunks_mut(lines * sides[1]).enumerate() {
                let expand = self.expand.as_ref().map(|expand| expand.panel(block));
                units.push(Lines {
                    depthwise,
                    x: &x.values,
                    sides: x.sides(),
                    padding,
                    expand,
                    block,
                    first: part * lines,
                    y,
                });
            }
        }
        let work = |unit: Lines<'_>| (unit.block, unit.run());
        let done: Vec<(usize, Lanes)> = match threads {
            1 => units.into_iter().map(work).collect(),
            _ => units.into_par_iter().map(work).collect(),
        };
        let mut sums = vec![Lanes::ZERO; blocks];
        for (block, lanes) in done {
            sums[block].add(lanes);
        }
        (y, sums)
    }

    /// The factor of each channel: `sigmoid(excite(silu(reduce(mean))))`.
    fn factors(&self, mut sums: Vec<Lanes>, pixels: usize) -> Vec<Lanes> {
        for value in sums.iter_mut().flat_map(|lanes| &mut lanes.0) {
            *value /= pixels as f32;
        }
        self.excite.of_vector(&self.reduce.of_vector(&sums, Silu), Sigmoid)
    }
}

/// Multiply-adds a second that one thread does when all its values are in registers: what the layers can be compared with.
pub fn multiply_adds_per_second() -> f64 {
    const ROUNDS: usize = 1 << 20;
    struct Loop;
    impl WithSimd for Loop {
        type Output = f32;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let factor = f32::splat(simd, 0.999_9);
            let mut sums = [f32::splat(simd, 1.0); 12];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = f32::multiply_add(simd, *sum, factor, factor);
                }
            }
            let mut total = 0.0;
            for sum in sums {
                total += f32::total(simd, sum);
            }
            total
        }
    }
    struct Width;
    impl WithSimd for Width {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            lanes::<S, f32>()
        }
    }
    let width = architecture().dispatch(Width);
    let best = (0..5).map(|_| {
        let started = Instant::now();
        std::hint::black_box(architecture().dispatch(Loop));
        started.elapsed().as_secs_f64()
    });
    (ROUNDS * 12 * width) as f64 / best.fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests;
