//! The convolution with a filter of its own for each channel, and its gradients.

use std::mem::MaybeUninit;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dense::Around;
use super::plan::Plan;
use super::tile::{Source, Span, Target, tile};
use crate::activation::Activation;
use crate::real::{Real, architecture};
use crate::vector::{lanes, load, load_unchecked};

/// `y = f(w * x + b)` by the plan, `weights[channel][tap]`, no scale. Writes all of `y`.
pub(super) fn convolve<E: Real>(
    plan: &Plan,
    channels: usize,
    x: &[E],
    weights: &[E],
    around: Around<E>,
    y: &mut [MaybeUninit<E>],
) {
    let rows = plan.rows.positions;
    let lanes = architecture().dispatch(Lanes::<E>(std::marker::PhantomData));
    let classes: Vec<Class> = plan
        .classes()
        .map(|class| {
            let (taps, offsets) = plan.taps(class, rows).into_iter().unzip();
            let step = plan.columns.classes[class.1].step;
            Class { taps, offsets, spans: plan.spans(class, 0..rows, lanes, false), step }
        })
        .collect();
    let taps = weights.len() / channels.max(1);
    let pixels = plan.target_pixels();
    let planes = y.par_chunks_mut(pixels.max(1)).zip(x.par_chunks(plan.source_pixels().max(1)));
    planes.enumerate().with_min_len(4).for_each_init(
        || vec![E::ZERO; plan.plane(rows) + lanes],
        |grid, (index, (y, x))| {
            let channel = index % channels;
            architecture().dispatch(Channel {
                plan,
                classes: &classes,
                x,
                weights: &weights[channel * taps..(channel + 1) * taps],
                bias: around.bias.get(channel).copied().unwrap_or(E::ZERO),
                activation: around.activation,
                grid,
                y,
            });
        },
    );
}

/// How many values a vector holds under the instruction set.
pub(super) struct Lanes<E>(pub(super) std::marker::PhantomData<E>);

impl<E: Real> WithSimd for Lanes<E> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        lanes::<S, E>()
    }
}

/// What the channels share in a class of target pixels.
struct Class {
    taps: Vec<usize>,
    offsets: Vec<usize>,
    spans: Vec<Span>,
    step: usize,
}

/// One channel of one image.
struct Channel<'a, E> {
    plan: &'a Plan,
    classes: &'a [Class],
    x: &'a [E],
    weights: &'a [E],
    bias: E,
    activation: Option<Activation>,
    grid: &'a mut [E],
    y: &'a mut [MaybeUninit<E>],
}

impl<E: Real> WithSimd for Channel<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let plane = self.plan.plane(self.plan.rows.positions);
        self.plan.pack(self.x, 0..self.plan.rows.positions, &mut self.grid[..plane]);
        let mut filters = Vec::new();
        let pixels = self.y.len();
        let mut target = Target { values: self.y, outputs: 1, pixels, step: 1, activation: self.activation };
        for class in self.classes {
            filters.clear();
            filters.extend(class.taps.iter().map(|&tap| self.weights[tap]));
            target.step = class.step;
            let source = Source::new(self.grid, &class.offsets);
            // Several vectors of sums hide the time of a multiplication; the last tile may repeat spans of the one before.
            let spans = &class.spans;
            let mut each = |spans: &[Span]| match spans {
                [a, b, c, d, e, f, g, h] => {
                    let spans = [a, b, c, d, e, f, g, h];
                    tile::<S, E, 1, 8>(simd, [&filters], [self.bias], source, spans, 0..1, &mut target);
                }
                [a, b, c] => {
                    tile::<S, E, 1, 3>(simd, [&filters], [self.bias], source, [a, b, c], 0..1, &mut target);
                }
                _ => {
                    for span in spans {
                        tile::<S, E, 1, 1>(simd, [&filters], [self.bias], source, [span], 0..1, &mut target);
                    }
                }
            };
            let width = if spans.len() >= 8 { 8 } else { 3 };
            for first in (0..spans.len()).step_by(width) {
                let first = first.min(spans.len().saturating_sub(width));
                each(&spans[first..(first + width).min(spans.len())]);
            }
        }
    }
}

/// `dw[channel][tap] = sum over images and positions of dy times x under the tap`, by the forward plan.
///
/// Channels in parallel, the images of a channel in order, so that the sum does not depend on the number of threads.
pub(super) fn weight_gradient<E: Real>(
    plan: &Plan,
    channels: usize,
    taps: usize,
    x: &[E],
    dy: &[E],
    dw: &mut [E],
) {
    let plane = plan.plane(plan.rows.positions);
    let spread = plan.rows.positions * plan.pitch();
    dw.par_chunks_mut(taps).enumerate().for_each_init(
        || (vec![E::ZERO; plane + spread], vec![E::ZERO; spread]),
        |(grid, spread), (channel, dw)| {
            architecture().dispatch(ChannelGradient { plan, channels, channel, x, dy, grid, spread, dw });
        },
    );
}

struct ChannelGradient<'a, E> {
    plan: &'a Plan,
    channels: usize,
    channel: usize,
    x: &'a [E],
    dy: &'a [E],
    grid: &'a mut [E],
    spread: &'a mut [E],
    dw: &'a mut [E],
}

impl<E: Real> WithSimd for ChannelGradient<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let plan = self.plan;
        let rows = plan.rows.positions;
        let plane = plan.plane(rows);
        let (source, target) = (plan.source_pixels(), rows * plan.columns.positions);
        let offsets = plan.offsets((0, 0), rows);
        for image in 0..self.x.len() / (self.channels * source).max(1) {
            let index = image * self.channels + self.channel;
            plan.pack(&self.x[index * source..][..source], 0..rows, &mut self.grid[..plane]);
            plan.spread(&self.dy[index * target..][..target], 0..rows, self.spread);
            let (nines, rest) = offsets.as_chunks::<9>();
            let (dw_nines, dw_rest) = self.dw.as_chunks_mut::<9>();
            for (offsets, dw) in nines.iter().zip(dw_nines) {
                dots::<S, E, 9>(simd, self.spread, self.grid, *offsets, dw);
            }
            for (offset, dw) in rest.iter().zip(dw_rest) {
                dots::<S, E, 1>(simd, self.spread, self.grid, [*offset], std::array::from_mut(dw));
            }
        }
    }
}

/// Adds to each output the product of `a` with `b` from each offset on.
#[inline(always)]
fn dots<S: Simd, E: Real, const N: usize>(simd: S, a: &[E], b: &[E], offsets: [usize; N], out: &mut [E; N]) {
    let lanes = lanes::<S, E>();
    let mut sums = [E::splat(simd, E::ZERO); N];
    let body = a.len() / lanes * lanes;
    for n in 0..N {
        assert!(offsets[n] + a.len() <= b.len(), "a row under each tap");
    }
    for start in (0..body).step_by(lanes) {
        let left = load::<S, E>(&a[start..]);
        for n in 0..N {
            // SAFETY: `start` and a vector lie within `a`, and `b` is at least as long from each offset on.
            #[expect(unsafe_code, reason = "a check for each vector and tap would take as long as the sums")]
            let right = unsafe { load_unchecked::<S, E>(b, offsets[n] + start) };
            sums[n] = E::multiply_add(simd, left, right, sums[n]);
        }
    }
    for n in 0..N {
        let tail = offsets[n] + body..offsets[n] + a.len();
        let (left, right) = (E::load_some(simd, &a[body..]), E::load_some(simd, &b[tail]));
        sums[n] = E::multiply_add(simd, left, right, sums[n]);
        out[n] += E::total(simd, sums[n]);
    }
}
