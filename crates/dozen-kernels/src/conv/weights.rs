//! The gradient of the weights of a dense or grouped convolution:
//! `dw[o, i, tap] = sum over images and positions of dy[o] x[i] under the tap`, a product of long rows.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dense::Sizes;
use super::plan::{Plan, of_all_inputs};
use super::small::{self, Summed};
use crate::real::{Real, architecture};
use crate::vector::{lanes, load_unchecked};

/// Positions that are summed before the sums leave the registers: ten rows of these fit the first cache.
const POSITIONS: usize = 1024;

/// Parts of the work that are summed apart and then together, the same for any number of threads.
const PARTS: usize = 8;

/// Writes `dw`, `[groups * outputs][inputs][taps]`, by the forward plan.
pub(super) fn weight_gradient<E: Real>(plan: &Plan, sizes: Sizes, x: &[E], dy: &[E], dw: &mut [E]) {
    let together = small::images_summed::<E>(plan, sizes, PARTS);
    let units = match together {
        Some(images) => units_of_images(plan, sizes.batch, images),
        None => units(plan, sizes),
    };
    for (group, dw) in dw.chunks_mut(dw.len() / sizes.groups).enumerate() {
        let parts = units.len().min(PARTS);
        // Each cut packs its images again, so that there are no more than threads.
        let cuts =
            if together.is_some() { rayon::current_num_threads().div_ceil(parts) } else { PARTS / parts };
        let cuts = cuts.clamp(1, sizes.outputs);
        let chunk = sizes.outputs.div_ceil(cuts);
        let row = dw.len() / sizes.outputs;
        let tasks: Vec<(usize, Range<usize>)> = (0..parts)
            .flat_map(|part| {
                (0..sizes.outputs)
                    .step_by(chunk)
                    .map(move |first| (part, first..(first + chunk).min(sizes.outputs)))
            })
            .collect();
        let sums: Vec<Vec<E>> = tasks
            .par_iter()
            .map(|(part, outputs)| {
                let share = part * units.len() / parts..(part + 1) * units.len() / parts;
                let outputs = outputs.clone();
                let units = &units[share];
                let small = together.is_some();
                architecture().dispatch(Part { plan, sizes, group, x, dy, units, outputs, small })
            })
            .collect();
        for ((part, outputs), sums) in tasks.iter().zip(&sums) {
            let dw = &mut dw[outputs.start * row..outputs.end * row];
            if *part == 0 {
                dw.copy_from_slice(sums);
            } else {
                dw.iter_mut().zip(sums).for_each(|(dw, &sum)| *dw += sum);
            }
        }
    }
}

/// What is summed at a time: some rows of positions of one image, or all rows of some images.
struct Unit {
    images: Range<usize>,
    rows: Range<usize>,
}

fn units(plan: &Plan, sizes: Sizes) -> Vec<Unit> {
    let rows = plan.rows.positions;
    let band = POSITIONS.div_ceil(plan.pitch()).max(1);
    // Images side by side in a grid whose positions all lie in one phase; else each for itself.
    let together = if plan.rows.phases * plan.columns.phases == 1 { (band / rows.max(1)).max(1) } else { 1 };
    if together > 1 {
        return units_of_images(plan, sizes.batch, together);
    }
    let pieces = rows.div_ceil(band);
    let bands = move |piece: usize| piece * rows / pieces..(piece + 1) * rows / pieces;
    (0..sizes.batch)
        .flat_map(|image| (0..pieces).map(move |piece| Unit { images: image..image + 1, rows: bands(piece) }))
        .collect()
}

/// Whole images, so many at a time.
fn units_of_images(plan: &Plan, batch: usize, together: usize) -> Vec<Unit> {
    let images = (0..batch).step_by(together);
    let unit =
        |first: usize| Unit { images: first..(first + together).min(batch), rows: 0..plan.rows.positions };
    images.map(unit).collect()
}

/// Some outputs of one group over some units.
struct Part<'a, E> {
    plan: &'a Plan,
    sizes: Sizes,
    group: usize,
    x: &'a [E],
    dy: &'a [E],
    units: &'a [Unit],
    outputs: Range<usize>,
    /// Whether its images are laid side by side.
    small: bool,
}

impl<E: Real> WithSimd for Part<'_, E> {
    type Output = Vec<E>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<E> {
        let taps = self.plan.taps((0, 0), 1).len();
        let mut sums = vec![E::ZERO; self.outputs.len() * self.sizes.inputs * taps];
        let (mut grid, mut spread) = (Vec::new(), Vec::new());
        for unit in self.units {
            if self.small {
                let (x, dy) = self.image(unit.images.start);
                let Sizes { inputs, outputs, .. } = self.sizes;
                let apart = outputs * self.plan.target_pixels();
                let (outputs, images) = (self.outputs.len(), unit.images.len());
                Summed { plan: self.plan, inputs, outputs, images, x, dy, apart }.add(simd, &mut sums);
                continue;
            }
            let offsets = self.plan.offsets((0, 0), unit.rows.len());
            let (x, dy) =
                self.in_place(unit).unwrap_or_else(|| self.pack(unit, &offsets, (&mut grid, &mut spread)));
            let columns = of_all_inputs(x.offsets, self.sizes.inputs, x.stride);
            add(simd, x, dy, &mut sums, &columns);
        }
        sums
    }
}

/// Rows of values, one for each channel and tap: `length` values from `channel * stride + offsets[tap]` on.
#[derive(Clone, Copy)]
struct Rows<'a, E> {
    values: &'a [E],
    stride: usize,
    offsets: &'a [usize],
    length: usize,
}

impl<E: Real> Part<'_, E> {
    /// Of image `image`, the values of this group's inputs and of these outputs' gradients, from there on.
    fn image(&self, image: usize) -> (&[E], &[E]) {
        let Sizes { groups, inputs, outputs, .. } = self.sizes;
        let x = (image * groups + self.group) * inputs * self.plan.source_pixels();
        let dy = ((image * groups + self.group) * outputs + self.outputs.start) * self.plan.target_pixels();
        (&self.x[x..], &self.dy[dy..])
    }

    /// The values where they lie, for a 1 x 1 filter at stride 1.
    fn in_place(&self, unit: &Unit) -> Option<(Rows<'_, E>, Rows<'_, E>)> {
        if !self.plan.is_pointwise() || unit.images.len() > 1 {
            return None;
        }
        let (x, dy) = self.image(unit.images.start);
        let (start, length) = (unit.rows.start * self.plan.pitch(), unit.rows.len() * self.plan.pitch());
        let rows = |values| Rows { values, stride: self.plan.source_pixels(), offsets: &[0], length };
        Some((rows(&x[start..]), rows(&dy[start..])))
    }

    /// The grids of the inputs, and the gradients spread on them, zero where no output lies; images side by side.
    #[inline(always)]
    fn pack<'a>(
        &self,
        unit: &Unit,
        offsets: &'a [usize],
        (grid, spread): (&'a mut Vec<E>, &'a mut Vec<E>),
    ) -> (Rows<'a, E>, Rows<'a, E>) {
        let plan = self.plan;
        let (plane, images) = (plan.plane(unit.rows.len()), unit.images.len());
        let (source, target) = (plan.source_pixels(), plan.target_pixels());
        // Positions of one image to the next; the last needs only those that have outputs.
        let length = (images - 1) * plane + unit.rows.len() * plan.pitch();
        let room = offsets.last().copied().unwrap_or(0);
        grid.clear();
        grid.resize(self.sizes.inputs * images * plane + room, E::ZERO);
        spread.clear();
        spread.resize(self.outputs.len() * length, E::ZERO);
        for (index, image) in unit.images.clone().enumerate() {
            let (x, dy) = self.image(image);
            for input in 0..self.sizes.inputs {
                let grid = &mut grid[(input * images + index) * plane..][..plane];
                plan.pack(&x[input * source..][..source], unit.rows.clone(), grid);
            }
            for output in 0..self.outputs.len() {
                let spread = &mut spread[output * length..(output + 1) * length];
                let spread = &mut spread[index * plane..((index + 1) * plane).min(length)];
                plan.spread(&dy[output * target..][..target], unit.rows.clone(), spread);
            }
        }
        let x = Rows { values: grid, stride: images * plane, offsets, length };
        (x, Rows { values: spread, stride: length, offsets: &[0], length })
    }
}

/// Adds to `sums[output][input][tap]` the products of each row of `dy` with each of `x`.
#[inline(always)]
fn add<S: Simd, E: Real>(simd: S, x: Rows<E>, dy: Rows<E>, sums: &mut [E], columns: &[usize]) {
    if S::REGISTER_COUNT >= 32 {
        add_blocks::<S, E, 4, 6>(simd, x, dy, sums, columns);
    } else {
        add_blocks::<S, E, 2, 4>(simd, x, dy, sums, columns);
    }
}

#[inline(always)]
fn add_blocks<S: Simd, E: Real, const M: usize, const N: usize>(
    simd: S,
    x: Rows<E>,
    dy: Rows<E>,
    sums: &mut [E],
    columns: &[usize],
) {
    let rows = sums.len() / columns.len();
    for first in (0..rows).step_by(M) {
        let height = M.min(rows - first);
        for start in (0..columns.len()).step_by(N) {
            let width = N.min(columns.len() - start);
            // Rows beyond the last are the last again, and their sums are dropped.
            let (mut left, mut right) = ([0; M], [0; N]);
            for m in 0..M {
                left[m] = (first + m.min(height - 1)) * dy.stride;
            }
            for n in 0..N {
                right[n] = columns[start + n.min(width - 1)];
            }
            let products = dot_block::<S, E, M, N>(simd, dy.values, left, x.values, right, x.length);
            for (m, products) in products.iter().enumerate().take(height) {
                let sums = &mut sums[(first + m) * columns.len() + start..];
                for (sum, &product) in sums.iter_mut().zip(&products[..width]) {
                    *sum += product;
                }
            }
        }
    }
}

/// The products of rows of `a` with rows of `b`, each beginning at its place and `length` long.
#[inline(always)]
fn dot_block<S: Simd, E: Real, const M: usize, const N: usize>(
    simd: S,
    a: &[E],
    left: [usize; M],
    b: &[E],
    right: [usize; N],
    length: usize,
) -> [[E; N]; M] {
    let lanes = lanes::<S, E>();
    let body = length / lanes * lanes;
    let mut sums = [[E::splat(simd, E::ZERO); N]; M];
    for m in 0..M {
        assert!(left[m] + length <= a.len(), "a row of gradients");
    }
    for n in 0..N {
        assert!(right[n] + length <= b.len(), "a row of inputs");
    }
    for at in (0..body).step_by(lanes) {
        let mut y = [E::splat(simd, E::ZERO); M];
        for m in 0..M {
            // SAFETY: a vector from `at` on lies within `length`, and each row is that long by the assertions above.
            #[expect(unsafe_code, reason = "the innermost loop, checked once before it")]
            let vector = unsafe { load_unchecked::<S, E>(a, left[m] + at) };
            y[m] = vector;
        }
        for n in 0..N {
            // SAFETY: as above.
            #[expect(unsafe_code, reason = "the innermost loop, checked once before it")]
            let x = unsafe { load_unchecked::<S, E>(b, right[n] + at) };
            for m in 0..M {
                sums[m][n] = E::multiply_add(simd, y[m], x, sums[m][n]);
            }
        }
    }
    if body < length {
        for n in 0..N {
            let x = E::load_some(simd, &b[right[n] + body..right[n] + length]);
            for m in 0..M {
                let y = E::load_some(simd, &a[left[m] + body..left[m] + length]);
                sums[m][n] = E::multiply_add(simd, y, x, sums[m][n]);
            }
        }
    }
    let mut products = [[E::ZERO; N]; M];
    for m in 0..M {
        for n in 0..N {
            products[m][n] = E::total(simd, sums[m][n]);
        }
    }
    products
}
