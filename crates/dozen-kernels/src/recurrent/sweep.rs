//! The sweeps over the steps, forth and back, for a few sequences; sequences do not see each other.

use pulp::{Simd, WithSimd};

use super::cell::{Back, Cell, Forth, back, forth};
use super::panels::Panels;
use crate::real::Real;

/// For each step a sequence of rows, those of some sequences.
pub(super) type ByStep<'a, E> = Vec<&'a [E]>;
pub(super) type ByStepMut<'a, E> = Vec<&'a mut [E]>;

/// Forth, for some sequences.
pub(super) struct Forwards<'a, E: Real> {
    pub(super) cell: Cell,
    pub(super) hidden: usize,
    /// The steps in the order in which they are taken.
    pub(super) order: &'a [usize],
    pub(super) panels: &'a Panels<E>,
    pub(super) bias: &'a [E],
    /// The input's share of the gates.
    pub(super) x: ByStep<'a, E>,
    pub(super) y: ByStepMut<'a, E>,
    pub(super) gates: ByStepMut<'a, E>,
    pub(super) extra: ByStepMut<'a, E>,
    /// The states, before and then after.
    pub(super) h: &'a mut [E],
    pub(super) c: &'a mut [E],
}

impl<E: Real> WithSimd for Forwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (hidden, gates) = (self.hidden, self.cell.gates());
        let (tile, row) = (Panels::<E>::tile::<S>(), self.panels.row::<S>());
        let (width, stride) = (self.panels.width::<S>(), Panels::<E>::stride::<S>());
        let mut a = vec![E::ZERO; tile * hidden];
        let mut product = vec![E::ZERO; tile * row];
        for &step in self.order {
            let rows = self.y[step].len() / hidden;
            for first in (0..rows).step_by(tile) {
                let count = tile.min(rows - first);
                by_columns(&self.h[first * hidden..][..count * hidden], count, hidden, &mut a);
                for panel in 0..self.panels.count::<S>() {
                    self.panels.multiply(simd, panel, &a[..count * hidden], count, &mut product);
                    let unit = panel * width;
                    let units = width.min(hidden - unit);
                    for r in 0..count {
                        let product = &mut product[r * row..][..row];
                        for gate in 0..gates {
                            let bias = &self.bias[gate * hidden + unit..][..units];
                            let product = &mut product[gate * stride..][..units];
                            for j in 0..units {
                                product[j] += bias[j];
                            }
                        }
                        let at = first + r;
                        let states = at * hidden + unit..at * hidden + unit + units;
                        let kept = |of: &[E]| if of.is_empty() { 0..0 } else { states.clone() };
                        let (in_extra, in_c) = (kept(&*self.extra[step]), kept(&*self.c));
                        let gates_at =
                            if self.gates[step].is_empty() { 0 } else { at * gates * hidden + unit };
                        forth(
                            self.cell,
                            Forth {
                                a: product,
                                stride,
                                x: &self.x[step][at * gates * hidden + unit..],
                                hidden,
                                gates: &mut self.gates[step][gates_at..],
                                extra: &mut self.extra[step][in_extra],
                                h: &mut self.h[states.clone()],
                                c: &mut self.c[in_c],
                                y: &mut self.y[step][states],
                            },
                        );
                    }
                }
            }
        }
    }
}

/// A few rows, column by column.
#[inline(always)]
fn by_columns<E: Real>(rows: &[E], count: usize, columns: usize, into: &mut [E]) {
    for r in 0..count {
        let row = &rows[r * columns..][..columns];
        for column in 0..columns {
            into[column * count + r] = row[column];
        }
    }
}

/// Back, for some sequences.
pub(super) struct Backwards<'a, E: Real> {
    pub(super) cell: Cell,
    pub(super) hidden: usize,
    /// The steps in the order in which they were taken.
    pub(super) order: &'a [usize],
    /// Of the transposed weight.
    pub(super) panels: &'a Panels<E>,
    pub(super) dy: ByStep<'a, E>,
    pub(super) y: ByStep<'a, E>,
    pub(super) gates: ByStep<'a, E>,
    pub(super) extra: ByStep<'a, E>,
    /// The states before the first step.
    pub(super) h: &'a [E],
    pub(super) c: &'a [E],
    /// The gradients of the last states, and then of the first.
    pub(super) dh: &'a mut [E],
    pub(super) dc: &'a mut [E],
    pub(super) dx: ByStepMut<'a, E>,
    /// The gradients of the hidden states' share, where they are others.
    pub(super) da: ByStepMut<'a, E>,
}

impl<E: Real> WithSimd for Backwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let hidden = self.hidden;
        let depth = self.cell.gates() * hidden;
        let (tile, row) = (Panels::<E>::tile::<S>(), self.panels.row::<S>());
        let width = self.panels.width::<S>();
        let mut a = vec![E::ZERO; tile * depth];
        let mut product = vec![E::ZERO; tile * row];
        for place in (0..self.order.len()).rev() {
            let step = self.order[place];
            let rows = self.y[step].len() / hidden;
            for at in 0..rows {
                self.row_back(place, at);
            }
            for first in (0..rows).step_by(tile) {
                let count = tile.min(rows - first);
                let gradients: &[E] =
                    if self.da[step].is_empty() { &self.dx[step][..] } else { &self.da[step][..] };
                by_columns(&gradients[first * depth..][..count * depth], count, depth, &mut a);
                for panel in 0..self.panels.count::<S>() {
                    self.panels.multiply(simd, panel, &a[..count * depth], count, &mut product);
                    let unit = panel * width;
                    let units = width.min(hidden - unit);
                    for r in 0..count {
                        let dh = &mut self.dh[(first + r) * hidden + unit..][..units];
                        let product = &product[r * row..][..units];
                        for j in 0..units {
                            dh[j] += product[j];
                        }
                    }
                }
            }
        }
    }
}

impl<E: Real> Backwards<'_, E> {
    #[inline(always)]
    fn row_back(&mut self, place: usize, at: usize) {
        let (hidden, step) = (self.hidden, self.order[place]);
        let depth = self.cell.gates() * hidden;
        let states = at * hidden..(at + 1) * hidden;
        // The step before is there for this sequence unless it begins here.
        let before = place.checked_sub(1).map(|place| self.order[place]);
        let before = before.filter(|before| self.y[*before].len() >= (at + 1) * hidden);
        let of = |all: &[&[E]], first: &[E]| -> std::ops::Range<usize> {
            let whole = before.map_or(first.len(), |before| all[before].len());
            if whole == 0 { 0..0 } else { states.clone() }
        };
        let (in_h, in_c) =
            (of(&self.y, self.h), if self.cell == Cell::Lstm { of(&self.extra, self.c) } else { 0..0 });
        let h = &before.map_or(self.h, |before| self.y[before])[in_h];
        let c =
            &(if self.cell == Cell::Lstm { before.map_or(self.c, |before| self.extra[before]) } else { &[] })
                [in_c];
        let gates = if self.gates[step].is_empty() { &[] } else { &self.gates[step][at * depth..][..depth] };
        let kept = |of: &[E]| if of.is_empty() { 0..0 } else { states.clone() };
        let in_extra = kept(self.extra[step]);
        let in_dc = kept(self.dc);
        let in_da = if self.da[step].is_empty() { 0..0 } else { at * depth..(at + 1) * depth };
        back(
            self.cell,
            Back {
                dy: &self.dy[step][states.clone()],
                y: &self.y[step][states.clone()],
                gates,
                extra: &self.extra[step][in_extra],
                h,
                c,
                dh: &mut self.dh[states],
                dc: &mut self.dc[in_dc],
                dx: &mut self.dx[step][at * depth..][..depth],
                da: &mut self.da[step][in_da],
            },
        );
    }
}
