//! The register tile: sums of several outputs at several vectors of positions, held in registers over all inputs and
//! taps, then written out.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::Simd;

use crate::activation::{Activation, apply};
use crate::real::Real;
use crate::vector::{lanes, load_unchecked, store};

/// Vectors of positions in a tile.
pub(super) const VECTORS: usize = 3;

/// Outputs in a tile: eight where there are 32 registers (8 x 3 sums, 3 inputs, 1 weight), else four.
pub(super) const fn block<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 8 } else { 4 }
}

/// Consecutive positions of the source that fill a vector, and where their results go.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) position: usize,
    pub(super) to: Lanes,
}

/// The targets of a vector's lanes.
#[derive(Clone, Debug)]
pub(super) enum Lanes {
    /// Consecutive pixels of an image, from this one on.
    Whole {
        image: usize,
        pixel: usize,
    },
    Runs(Vec<Run>),
}

/// Some lanes of a vector that belong to consecutive pixels of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) lane: usize,
    pub(super) length: usize,
    pub(super) image: usize,
    pub(super) pixel: usize,
}

/// What a tile reads: the sum of an output at a position is that of `filter[k] * values[offsets[k] + position]` over the
/// inputs and taps `k`.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, E> {
    values: &'a [E],
    offsets: &'a [usize],
    /// The greatest offset.
    reach: usize,
}

impl<'a, E> Source<'a, E> {
    pub(super) fn new(values: &'a [E], offsets: &'a [usize]) -> Self {
        Self { values, offsets, reach: offsets.iter().copied().max().unwrap_or(0) }
    }
}

/// The filters of outputs, each as long as the source has offsets.
#[derive(Clone, Copy)]
pub(super) struct Filters<'a, E> {
    values: &'a [E],
    /// Where each begins; where there are none, one behind the other.
    starts: Option<&'a [usize]>,
}

impl<'a, E> Filters<'a, E> {
    /// One behind the other.
    pub(super) fn packed(values: &'a [E]) -> Self {
        Self { values, starts: None }
    }

    /// Those that begin at these places, and may overlap.
    pub(super) fn at(values: &'a [E], starts: &'a [usize]) -> Self {
        Self { values, starts: Some(starts) }
    }

    #[inline(always)]
    fn of(self, output: usize, length: usize) -> &'a [E] {
        let start = match self.starts {
            Some(starts) => starts[output],
            None => output * length,
        };
        &self.values[start..start + length]
    }
}

/// Where a tile writes: `values[image * image_stride + output * pixels + pixel]`, pixels `step` apart.
pub(super) struct Target<'a, E> {
    pub(super) values: &'a mut [MaybeUninit<E>],
    pub(super) outputs: usize,
    pub(super) pixels: usize,
    pub(super) step: usize,
    pub(super) activation: Option<Activation>,
}

/// Computes all outputs at the positions of `spans`; `bias` has one value for each output, or none.
#[inline(always)]
pub(super) fn multiply_spans<S: Simd, E: Real>(
    simd: S,
    filters: Filters<E>,
    bias: &[E],
    source: Source<E>,
    spans: &[Span],
    target: &mut Target<E>,
) {
    if block::<S>() == 8 {
        blocks::<S, E, 8>(simd, filters, bias, source, spans, target);
    } else {
        blocks::<S, E, 4>(simd, filters, bias, source, spans, target);
    }
}

#[inline(always)]
fn blocks<S: Simd, E: Real, const M: usize>(
    simd: S,
    filters: Filters<E>,
    bias: &[E],
    source: Source<E>,
    spans: &[Span],
    target: &mut Target<E>,
) {
    for first in (0..target.outputs).step_by(M) {
        let outputs = first..(first + M).min(target.outputs);
        // Few outputs, as the last layer of a picture has, get a tile of their own: in a whole one most sums would be in vain.
        match outputs.len() {
            1 => one_block::<S, E, 1>(simd, filters, bias, source, spans, outputs, target),
            2 => one_block::<S, E, 2>(simd, filters, bias, source, spans, outputs, target),
            3 | 4 => one_block::<S, E, 4>(simd, filters, bias, source, spans, outputs, target),
            _ => one_block::<S, E, M>(simd, filters, bias, source, spans, outputs, target),
        }
    }
}

/// Some outputs, at most `M`, at the positions of one to three spans.
#[inline(always)]
fn one_block<S: Simd, E: Real, const M: usize>(
    simd: S,
    filters: Filters<E>,
    bias: &[E],
    source: Source<E>,
    spans: &[Span],
    outputs: Range<usize>,
    target: &mut Target<E>,
) {
    let length = source.offsets.len();
    // Outputs beyond the last are the last again, and are not written.
    let (mut rows, mut start) = ([&filters.values[..0]; M], [E::ZERO; M]);
    for m in 0..M {
        let output = (outputs.start + m).min(target.outputs - 1);
        rows[m] = filters.of(output, length);
        start[m] = bias.get(output).copied().unwrap_or(E::ZERO);
    }
    match spans {
        [a, b, c] => tile::<S, E, M, 3>(simd, rows, start, source, [a, b, c], outputs, target),
        [a, b] => tile::<S, E, M, 2>(simd, rows, start, source, [a, b], outputs, target),
        [a] => tile::<S, E, M, 1>(simd, rows, start, source, [a], outputs, target),
        _ => unreachable!("one to {VECTORS} spans in a tile"),
    }
}

/// One tile: the outputs' `filters`, and the values that their sums begin at.
#[inline(always)]
pub(super) fn tile<S: Simd, E: Real, const M: usize, const V: usize>(
    simd: S,
    filters: [&[E]; M],
    start: [E; M],
    source: Source<E>,
    spans: [&Span; V],
    outputs: Range<usize>,
    target: &mut Target<E>,
) {
    // Loops throughout: closures given to `map` may be compiled without the instruction set.
    let mut positions = [0; V];
    let mut sums = [[E::splat(simd, E::ZERO); V]; M];
    let mut rows = filters;
    let length = source.offsets.len();
    for m in 0..M {
        rows[m] = &filters[m][..length];
        for v in 0..V {
            sums[m][v] = E::splat(simd, start[m]);
        }
    }
    for v in 0..V {
        positions[v] = spans[v].position;
        let end = source.reach + positions[v] + lanes::<S, E>();
        assert!(end <= source.values.len(), "a span within the source");
    }
    for k in 0..length {
        let mut x = [E::splat(simd, E::ZERO); V];
        for v in 0..V {
            // SAFETY: no offset is beyond `reach`, from which on the assertion above leaves a vector at each position; the
            // fields of `Source` are set together, by `new`.
            #[expect(unsafe_code, reason = "a check for each vector and tap would take as long as the sums")]
            let vector = unsafe { load_unchecked::<S, E>(source.values, source.offsets[k] + positions[v]) };
            x[v] = vector;
        }
        for m in 0..M {
            let weight = E::splat(simd, rows[m][k]);
            for v in 0..V {
                sums[m][v] = E::multiply_add(simd, x[v], weight, sums[m][v]);
            }
        }
    }
    if let Some(kind) = target.activation {
        // A copy, so that the sums themselves stay in registers above.
        let mut activated = sums;
        apply(kind, bytemuck::cast_slice_mut::<_, E>(activated.as_flattened_mut()));
        sums = activated;
    }
    let count = outputs.len();
    let base = outputs.start * target.pixels;
    let mut places = [0; V];
    let mut whole = target.step == 1;
    for v in 0..V {
        match spans[v].to {
            Lanes::Whole { image, pixel } => places[v] = image * target.outputs * target.pixels + pixel,
            Lanes::Runs(_) => whole = false,
        }
    }
    if whole {
        for m in 0..M {
            if m < count {
                for v in 0..V {
                    store::<S, E>(&mut target.values[base + m * target.pixels + places[v]..], sums[m][v]);
                }
            }
        }
    } else {
        // A copy again.
        let sums = sums;
        let sums = bytemuck::cast_slice::<_, E>(sums.as_flattened());
        target.write(sums, &spans, count, lanes::<S, E>(), base);
    }
}

impl<E: Real> Target<'_, E> {
    /// Writes sums, `[output][span][lane]`, to where they belong.
    #[inline(never)]
    fn write(&mut self, sums: &[E], spans: &[&Span], count: usize, lanes: usize, base: usize) {
        for (row, sums) in sums.chunks_exact(spans.len() * lanes).enumerate().take(count) {
            let base = base + row * self.pixels;
            for (span, sums) in spans.iter().zip(sums.chunks_exact(lanes)) {
                match &span.to {
                    &Lanes::Whole { image, pixel } => {
                        self.scatter(Run { lane: 0, length: lanes, image, pixel }, sums, base);
                    }
                    Lanes::Runs(runs) => {
                        for &run in runs {
                            self.scatter(run, sums, base);
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn scatter(&mut self, run: Run, sums: &[E], base: usize) {
        let at = run.image * self.outputs * self.pixels + base + run.pixel;
        let sums = &sums[run.lane..run.lane + run.length];
        if self.step == 1 {
            copy_short(&mut self.values[at..at + run.length], sums);
        } else {
            for (value, &sum) in self.values[at..].iter_mut().step_by(self.step).zip(sums) {
                value.write(sum);
            }
        }
    }
}

/// Copies a few values by two overlapping moves, without a call.
#[inline(always)]
fn copy_short<E: Copy>(to: &mut [MaybeUninit<E>], from: &[E]) {
    let length = from.len();
    match length {
        16.. => {
            to.write_copy_of_slice(from);
        }
        8.. => {
            to[..8].write_copy_of_slice(&from[..8]);
            to[length - 8..].write_copy_of_slice(&from[length - 8..]);
        }
        4.. => {
            to[..4].write_copy_of_slice(&from[..4]);
            to[length - 4..].write_copy_of_slice(&from[length - 4..]);
        }
        _ => {
            for (to, &from) in to.iter_mut().zip(from) {
                to.write(from);
            }
        }
    }
}
