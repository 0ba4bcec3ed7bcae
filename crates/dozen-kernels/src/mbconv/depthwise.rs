//! The expansion and the depthwise convolution after it, a block of channels at a time, so that what the one writes is in the first caches when the other reads it.

use std::cell::RefCell;

use pulp::{Simd, WithSimd};

use super::blocked::{BLOCK, Lanes, in_blocks};
use super::pointwise::{Columns, Panel, Place, multiply};
use super::swish::Swish;
use crate::conv::Convolution;
use crate::function::Function;
use crate::real::architecture;
use crate::vector::{Vectorized, lanes};

/// The weights of a depthwise convolution, packed for inference.
#[derive(Clone, Debug)]
pub struct Depthwise {
    pub(super) channels: usize,
    pub(super) taps: usize,
    pub(super) stride: usize,
    /// `[block of channels][tap]`.
    weights: Vec<Lanes>,
    /// A block of channels each.
    bias: Vec<Lanes>,
}

impl Depthwise {
    /// Of `weights` as `[channel][tap line][tap column]`, and a bias for each channel.
    ///
    /// # Panics
    /// When the weights are not as many as taps and channels.
    pub fn new(weights: &[f32], bias: &[f32], taps: usize, stride: usize) -> Self {
        let channels = bias.len();
        assert_eq!(weights.len(), channels * taps * taps, "a weight for each tap of each channel");
        Self {
            channels,
            taps,
            stride,
            weights: in_blocks(weights, taps * taps),
            bias: bias.chunks(BLOCK).map(Lanes::from_slice).collect(),
        }
    }

    /// Height and width of the outputs.
    pub(super) fn outputs(&self, sides: [usize; 2], padding: [[usize; 2]; 2]) -> [usize; 2] {
        Convolution { stride: self.stride, padding, ..Convolution::default() }.outputs(sides, [self.taps; 2])
    }
}

/// Bytes of expanded values that are kept at a time: a quarter of the second cache.
const KEPT: usize = 1 << 17;

/// Some lines of one block of channels.
pub(super) struct Lines<'a> {
    pub(super) depthwise: &'a Depthwise,
    /// What is expanded, or taken as it is.
    pub(super) x: &'a [Lanes],
    pub(super) sides: [usize; 2],
    /// Zeros before and after the lines, and before and after the columns.
    pub(super) padding: [[usize; 2]; 2],
    /// The expansion to this block.
    pub(super) expand: Option<Panel<'a>>,
    pub(super) block: usize,
    /// The first line of outputs.
    pub(super) first: usize,
    pub(super) y: &'a mut [Lanes],
}

impl Lines<'_> {
    /// Writes the outputs, and returns the sum of each channel over them.
    pub(super) fn run(self) -> Lanes {
        thread_local!(static KEPT_LINES: RefCell<Vec<Lanes>> = const { RefCell::new(Vec::new()) });
        KEPT_LINES.with_borrow_mut(|kept| architecture().dispatch(Run { lines: self, kept }))
    }
}

struct Run<'a, 'b> {
    lines: Lines<'a>,
    kept: &'b mut Vec<Lanes>,
}

impl WithSimd for Run<'_, '_> {
    type Output = Lanes;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Lanes {
        match const { lanes::<S, f32>() } {
            16 => self.bands::<S, 8, 1>(simd),
            8 => self.bands::<S, 4, 2>(simd),
            4 => self.bands::<S, 4, 4>(simd),
            _ => self.bands::<S, 1, BLOCK>(simd),
        }
    }
}

impl Run<'_, '_> {
    /// Bands of output lines: `M` outputs at a time in `V` vectors each.
    #[inline(always)]
    fn bands<S: Simd, const M: usize, const V: usize>(self, simd: S) -> Lanes {
        let Self { lines, kept } = self;
        let Depthwise { taps, stride, .. } = *lines.depthwise;
        let [left, right] = lines.padding[1];
        let [_, width] = lines.depthwise.outputs(lines.sides, lines.padding);
        let row = lines.sides[1] + left + right;
        let rows = lines.y.len() / width;
        let room = (KEPT / (size_of::<Lanes>() * row)).max(taps);
        let band = ((room - taps) / stride + 1).min(rows.max(1));
        kept.clear();
        kept.resize(((band - 1) * stride + taps) * row, Lanes::ZERO);
        let weights = &lines.depthwise.weights[lines.block * taps * taps..][..taps * taps];
        let bias = &lines.depthwise.bias[lines.block];
        let mut sums = Lanes::ZERO;
        // Lines that two bands next to each other both need.
        let overlap = taps.saturating_sub(stride);
        for start in (0..rows).step_by(band) {
            let end = (start + band).min(rows);
            // Lines count from the first zero above the image.
            let needed = (lines.first + start) * stride..(lines.first + end - 1) * stride + taps;
            let mut from = needed.start;
            if start > 0 {
                let end = kept.len();
                kept.copy_within(end - overlap * row..end, 0);
                from += overlap;
            }
            lines.fill(simd, kept, needed.start, from..needed.end);
            for line in start..end {
                let top = (line - start) * stride;
                let source = &kept[top * row..(top + taps) * row];
                let out = &mut lines.y[line * width..(line + 1) * width];
                depthwise_line::<S, M, V>(simd, source, row, weights, bias, [taps, stride], out, &mut sums);
            }
        }
        sums
    }
}

impl Lines<'_> {
    /// Expands the lines `wanted` of the padded image to where they belong in what is kept from line `start` on.
    #[inline(always)]
    fn fill<S: Simd>(&self, simd: S, kept: &mut [Lanes], start: usize, wanted: std::ops::Range<usize>) {
        let [[above, _], [left, right]] = self.padding;
        let row = self.sides[1] + left + right;
        let [height, width] = self.sides;
        for line in wanted.clone() {
            if line < above || line >= above + height {
                kept[(line - start) * row..(line - start + 1) * row].fill(Lanes::ZERO);
            }
        }
        let (top, bottom) = (wanted.start.max(above), wanted.end.min(above + height));
        if top >= bottom {
            return;
        }
        let first = (top - above) * width;
        let count = (bottom - top) * width;
        let at = (top - start) * row + left;
        if let Some(panel) = self.expand {
            let x = Columns { values: self.x, pixels: height * width, first };
            let place = Place { at, column: 0, width, gap: row - width };
            multiply(simd, x, panel, count, Swish, place, kept);
            return;
        }
        let block = &self.x[self.block * height * width..][..height * width];
        for (line, from) in block[first..first + count].chunks_exact(width).enumerate() {
            kept[at + line * row..][..width].copy_from_slice(from);
        }
    }
}

/// One line of outputs.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all of one loop")]
fn depthwise_line<S: Simd, const M: usize, const V: usize>(
    simd: S,
    source: &[Lanes],
    row: usize,
    weights: &[Lanes],
    bias: &Lanes,
    [taps, stride]: [usize; 2],
    out: &mut [Lanes],
    sums: &mut Lanes,
) {
    let mut done = 0;
    while done + M <= out.len() {
        outputs::<S, M, V>(simd, source, row, weights, bias, [taps, stride], done, out, sums);
        done += M;
    }
    while done + 2 <= out.len() {
        outputs::<S, 2, V>(simd, source, row, weights, bias, [taps, stride], done, out, sums);
        done += 2;
    }
    if done < out.len() {
        outputs::<S, 1, V>(simd, source, row, weights, bias, [taps, stride], done, out, sums);
    }
}

/// `M` outputs from column `first` on.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all of one loop")]
fn outputs<S: Simd, const M: usize, const V: usize>(
    simd: S,
    source: &[Lanes],
    row: usize,
    weights: &[Lanes],
    bias: &Lanes,
    [taps, stride]: [usize; 2],
    first: usize,
    out: &mut [Lanes],
    sums: &mut Lanes,
) {
    let mut totals = [bias.vectors::<S, V>(simd); M];
    let span = (M - 1) * stride + 1;
    for (line, weights) in source.chunks_exact(row).zip(weights.chunks_exact(taps)) {
        for (tap, weights) in weights.iter().enumerate() {
            let w = weights.vectors::<S, V>(simd);
            let pixels = &line[first * stride + tap..][..span];
            for m in 0..M {
                let x = pixels[m * stride].vectors::<S, V>(simd);
                for v in 0..V {
                    totals[m][v] = f32::multiply_add(simd, x[v], w[v], totals[m][v]);
                }
            }
        }
    }
    // A copy, so that the sums themselves stay in registers above.
    let totals = totals;
    for (m, totals) in totals.iter().enumerate() {
        let mut lanes = Lanes::of_vectors::<S, V>(totals);
        for value in &mut lanes.0 {
            *value = Swish.value(*value);
        }
        sums.add(lanes);
        out[first + m] = lanes;
    }
}
