//! A matrix laid out for products with a few rows at a time, again and again.

use pulp::Simd;

use crate::real::Real;
use crate::vector::{Vectorized, lanes, load, values};

/// Vectors of a panel where columns have no gates.
const PLAIN: usize = 4;

/// Columns in panels of a few vectors, each panel row after row. With gates a panel has the same units of every gate.
pub(super) struct Panels<E> {
    values: Vec<E>,
    depth: usize,
    gates: usize,
    units: usize,
}

impl<E: Real> Panels<E> {
    /// Of a matrix of `depth` rows and `gates * units` columns, element `(row, column)` given by a function.
    pub(super) fn new(
        lanes: usize,
        depth: usize,
        (gates, units): (usize, usize),
        element: impl Fn(usize, usize) -> E,
    ) -> Self {
        let (vectors, width) = if gates == 1 { (PLAIN, PLAIN * lanes) } else { (gates, lanes) };
        let count = units.div_ceil(width);
        let mut values = Vec::with_capacity(count * depth * vectors * lanes);
        for panel in 0..count {
            for row in 0..depth {
                for vector in 0..vectors {
                    for lane in 0..lanes {
                        let (gate, unit) = if gates == 1 {
                            (0, panel * width + vector * lanes + lane)
                        } else {
                            (vector, panel * width + lane)
                        };
                        values.push(if unit < units { element(row, gate * units + unit) } else { E::ZERO });
                    }
                }
            }
        }
        Self { values, depth, gates, units }
    }

    /// How many vectors a panel has.
    fn vectors(&self) -> usize {
        if self.gates == 1 { PLAIN } else { self.gates }
    }

    /// Units of a panel.
    #[inline(always)]
    pub(super) fn width<S: Simd>(&self) -> usize {
        if self.gates == 1 { PLAIN * lanes::<S, E>() } else { lanes::<S, E>() }
    }

    /// How far apart the gates of a product's row are.
    #[inline(always)]
    pub(super) fn stride<S: Simd>() -> usize {
        lanes::<S, E>()
    }

    /// How many panels there are.
    #[inline(always)]
    pub(super) fn count<S: Simd>(&self) -> usize {
        self.units.div_ceil(self.width::<S>())
    }

    /// Rows at a time: as many as leave registers for a row of the panel.
    #[inline(always)]
    pub(super) fn tile<S: Simd>() -> usize {
        if size_of::<E::Vector<S>>() >= 64 { 6 } else { 3 }
    }

    /// Values of a product's row.
    #[inline(always)]
    pub(super) fn row<S: Simd>(&self) -> usize {
        self.vectors() * lanes::<S, E>()
    }

    /// `into[i] = a_i times a panel` for some rows, which `a` has column by column: `[depth][count]`.
    #[inline(always)]
    pub(super) fn multiply<S: Simd>(&self, simd: S, panel: usize, a: &[E], count: usize, into: &mut [E]) {
        let size = self.depth * self.row::<S>();
        let panel = &self.values[panel * size..][..size];
        macro_rules! rows {
            ($($rows:literal)*) => {
                match (count, self.vectors()) {
                    $(($rows, 3) => multiply::<S, E, $rows, 3>(simd, panel, a, into),
                    ($rows, _) => multiply::<S, E, $rows, 4>(simd, panel, a, into),)*
                    _ => unreachable!("a tile has at most six rows"),
                }
            };
        }
        rows!(1 2 3 4 5 6);
    }
}

#[inline(always)]
fn multiply<S: Simd, E: Real, const R: usize, const V: usize>(simd: S, panel: &[E], a: &[E], into: &mut [E]) {
    let lanes = lanes::<S, E>();
    let zero = <E as Vectorized>::splat(simd, E::ZERO);
    let mut sums = [[zero; V]; R];
    let (a, _) = a.as_chunks::<R>();
    for (a, b) in a.iter().zip(panel.chunks_exact(V * lanes)) {
        let mut vectors = [zero; V];
        for v in 0..V {
            vectors[v] = load::<S, E>(&b[v * lanes..]);
        }
        for r in 0..R {
            let factor = <E as Vectorized>::splat(simd, a[r]);
            for v in 0..V {
                sums[r][v] = <E as Vectorized>::multiply_add(simd, factor, vectors[v], sums[r][v]);
            }
        }
    }
    for r in 0..R {
        for v in 0..V {
            into[(r * V + v) * lanes..][..lanes].copy_from_slice(values::<S, E>(&sums[r][v]));
        }
    }
}
