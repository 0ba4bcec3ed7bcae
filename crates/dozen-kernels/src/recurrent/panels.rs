//! A matrix laid out for products with a few rows at a time, again and again.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::real::{Real, architecture};
use crate::vector::{Vectorized, lanes, load, values};

/// Vectors of a panel.
const VECTORS: usize = 4;

/// Columns in panels of a few vectors, each panel row after row, with zeros after the last column.
#[derive(Debug)]
pub(super) struct Panels<E> {
    values: Vec<E>,
    depth: usize,
    columns: usize,
    width: usize,
}

impl<E: Real> Panels<E> {
    /// Of `[depth, columns]`.
    pub(super) fn new(weight: &[E], columns: usize) -> Self {
        let depth = weight.len() / columns.max(1);
        Self::filled(depth, columns, |first, width, panel| {
            let taken = width.min(columns - first);
            for (row, into) in panel.chunks_exact_mut(width).enumerate() {
                into[..taken].copy_from_slice(&weight[row * columns + first..][..taken]);
            }
        })
    }

    /// Of the transpose of `[columns, depth]`.
    pub(super) fn transposed(weight: &[E], depth: usize) -> Self {
        let columns = weight.len() / depth.max(1);
        Self::filled(depth, columns, |first, width, panel| {
            // A few rows of the panel at a time, so that what is written stays in the cache.
            for (block, into) in panel.chunks_mut(16 * width).enumerate() {
                for (lane, source) in weight[first * depth..].chunks_exact(depth).take(width).enumerate() {
                    for (row, into) in into.chunks_exact_mut(width).enumerate() {
                        into[lane] = source[16 * block + row];
                    }
                }
            }
        })
    }

    /// Each panel from its first column and its width.
    fn filled(depth: usize, columns: usize, fill: impl Fn(usize, usize, &mut [E]) + Sync) -> Self {
        let width = VECTORS * architecture().dispatch(Lanes::<E>(PhantomData));
        let mut values = vec![E::ZERO; columns.div_ceil(width) * depth * width];
        if depth > 0 {
            let panels = values.par_chunks_exact_mut(depth * width).enumerate();
            panels.for_each(|(panel, values)| fill(panel * width, width, values));
        }
        Self { values, depth, columns, width }
    }

    /// Rows of the matrix.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// How far apart the rows of a product are: the columns, and what is left of the last panel.
    pub(super) fn stride(&self) -> usize {
        self.columns.next_multiple_of(self.width)
    }

    /// Values of a row at this stride, zero beyond.
    pub(super) fn padded(&self, row: &[E]) -> Vec<E> {
        let mut padded = row.to_vec();
        padded.resize(self.stride(), E::ZERO);
        padded
    }

    /// `into = rows times the matrix + start`, `into` at this [`Panels::stride`]; `tiles` has the rows as [`by_columns`] lays them.
    ///
    /// Panel by panel, all rows at each: the matrix may be larger than the cache, the rows are not.
    #[inline(always)]
    pub(super) fn multiply<S: Simd>(&self, simd: S, tiles: &[E], rows: usize, start: &[E], into: &mut [E]) {
        let (tile, stride) = (tile::<S, E>(rows), self.stride());
        let panel_size = self.depth * self.width;
        for at in (0..stride).step_by(self.width) {
            let panel = &self.values[at * self.depth..][..panel_size];
            let start = &start[at..at + self.width];
            for first in (0..rows).step_by(tile) {
                let count = tile.min(rows - first);
                let a = &tiles[first * self.depth..][..count * self.depth];
                let into = &mut into[first * stride + at..];
                match count {
                    1 => multiply::<S, E, 1>(simd, panel, a, start, into, stride),
                    2 => multiply::<S, E, 2>(simd, panel, a, start, into, stride),
                    3 => multiply::<S, E, 3>(simd, panel, a, start, into, stride),
                    4 => multiply::<S, E, 4>(simd, panel, a, start, into, stride),
                    5 => multiply::<S, E, 5>(simd, panel, a, start, into, stride),
                    6 => multiply::<S, E, 6>(simd, panel, a, start, into, stride),
                    _ => unreachable!("a tile has at most six rows"),
                }
            }
        }
    }
}

/// Rows at a time, all tiles about as many: at most as leave registers for a row of the panel.
#[inline(always)]
fn tile<S: Simd, E: Real>(rows: usize) -> usize {
    let most = if size_of::<E::Vector<S>>() >= 64 { 6 } else { 3 };
    rows.div_ceil(rows.div_ceil(most).max(1)).max(1)
}

/// Rows in tiles, each tile column by column; with `factors`, each value times its factor.
#[inline(always)]
pub(super) fn by_columns<S: Simd, E: Real>(
    _: S,
    values: &[E],
    rows: usize,
    columns: usize,
    factors: &[E],
    into: &mut [E],
) {
    let tile = tile::<S, E>(rows);
    for first in (0..rows).step_by(tile) {
        let count = tile.min(rows - first);
        let into = &mut into[first * columns..][..count * columns];
        for r in 0..count {
            let at = (first + r) * columns;
            let row = &values[at..at + columns];
            if factors.is_empty() {
                for column in 0..columns {
                    into[column * count + r] = row[column];
                }
            } else {
                let factors = &factors[at..at + columns];
                for column in 0..columns {
                    into[column * count + r] = row[column] * factors[column];
                }
            }
        }
    }
}

#[inline(always)]
fn multiply<S: Simd, E: Real, const R: usize>(
    simd: S,
    panel: &[E],
    a: &[E],
    start: &[E],
    into: &mut [E],
    stride: usize,
) {
    let lanes = lanes::<S, E>();
    let mut sums = [[<E as Vectorized>::splat(simd, E::ZERO); VECTORS]; R];
    for r in 0..R {
        for v in 0..VECTORS {
            sums[r][v] = load::<S, E>(&start[v * lanes..]);
        }
    }
    let (a, _) = a.as_chunks::<R>();
    for (a, b) in a.iter().zip(panel.chunks_exact(VECTORS * lanes)) {
        let mut vectors = [<E as Vectorized>::splat(simd, E::ZERO); VECTORS];
        for v in 0..VECTORS {
            vectors[v] = load::<S, E>(&b[v * lanes..]);
        }
        for r in 0..R {
            let factor = <E as Vectorized>::splat(simd, a[r]);
            for v in 0..VECTORS {
                sums[r][v] = <E as Vectorized>::multiply_add(simd, factor, vectors[v], sums[r][v]);
            }
        }
    }
    for r in 0..R {
        for v in 0..VECTORS {
            into[r * stride + v * lanes..][..lanes].copy_from_slice(values::<S, E>(&sums[r][v]));
        }
    }
}

/// How many values a vector has.
struct Lanes<E>(PhantomData<E>);

impl<E: Real> WithSimd for Lanes<E> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        lanes::<S, E>()
    }
}
