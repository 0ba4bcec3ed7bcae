//! The sweeps over the steps, forth and back, for a few sequences; sequences do not see each other.

use pulp::{Simd, WithSimd};

use super::cell::{Back, Cell, Forth, back, forth};
use super::kept::Kept;
use super::normal::{normalize, normalize_back};
use super::panels::{Panels, by_columns};
use crate::real::Real;

/// For each step the rows of some sequences; or nothing at each.
pub(super) type ByStep<'a, E> = Vec<&'a [E]>;
pub(super) type ByStepMut<'a, E> = Vec<&'a mut [E]>;

/// A row of a matrix, or nothing of nothing.
#[inline(always)]
fn row<E>(matrix: &[E], at: usize, columns: usize) -> &[E] {
    if matrix.is_empty() { matrix } else { &matrix[at * columns..(at + 1) * columns] }
}

#[inline(always)]
fn row_mut<E>(matrix: &mut [E], at: usize, columns: usize) -> &mut [E] {
    if matrix.is_empty() { matrix } else { &mut matrix[at * columns..(at + 1) * columns] }
}

/// What both sweeps go by.
pub(super) struct Sweep<'a, E> {
    pub(super) cell: Cell,
    pub(super) hidden: usize,
    /// The steps in the order in which they are taken on the way forth.
    pub(super) order: &'a [usize],
    /// Of the weight on the way forth, of its transpose on the way back.
    pub(super) panels: &'a Panels<E>,
    /// The scale of layer normalisation.
    pub(super) scale: Option<&'a [E]>,
    pub(super) bias: &'a [E],
    /// Of the state in the product, or empty.
    pub(super) factors: &'a [E],
    /// How much of the old h and c stays, or empty.
    pub(super) zoneout: [ByStep<'a, E>; 2],
}

/// Forth, for some sequences.
pub(super) struct Forwards<'a, E: Real> {
    pub(super) sweep: Sweep<'a, E>,
    /// The input's share of the gates.
    pub(super) x: ByStep<'a, E>,
    pub(super) y: ByStepMut<'a, E>,
    pub(super) kept: Kept<ByStepMut<'a, E>>,
    /// The states, before and then after.
    pub(super) h: &'a mut [E],
    pub(super) c: &'a mut [E],
}

impl<E: Real> WithSimd for Forwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (hidden, panels) = (self.sweep.hidden, self.sweep.panels);
        let most = self.h.len() / hidden;
        let mut tiles = vec![E::ZERO; most * hidden];
        let mut products = vec![E::ZERO; most * panels.stride()];
        let mut room = Room::new(self.sweep.cell.gates() * hidden, hidden);
        let start =
            if self.sweep.scale.is_some() { panels.padded(&[]) } else { panels.padded(self.sweep.bias) };
        for &step in self.sweep.order {
            let rows = self.y[step].len() / hidden;
            by_columns(simd, &*self.h, rows, hidden, self.sweep.factors, &mut tiles);
            panels.multiply(simd, &tiles, rows, &start, &mut products);
            for at in 0..rows {
                let a = &mut products[at * panels.stride()..][..room.gates.len()];
                self.row_forth(step, at, a, &mut room);
            }
        }
    }
}

/// Room for a row of what is not kept.
struct Room<E> {
    gates: Vec<E>,
    normal: Vec<E>,
    extra: Vec<E>,
    old: Vec<E>,
}

impl<E: Real> Room<E> {
    fn new(gates: usize, hidden: usize) -> Self {
        let zeros = |count: usize| vec![E::ZERO; count];
        Self { gates: zeros(gates), normal: zeros(gates), extra: zeros(hidden), old: zeros(hidden) }
    }
}

impl<E: Real> Forwards<'_, E> {
    #[inline(always)]
    fn row_forth(&mut self, step: usize, at: usize, a: &mut [E], room: &mut Room<E>) {
        let Sweep { cell, hidden, scale, bias, .. } = self.sweep;
        let depth = a.len();
        if let Some(scale) = scale {
            let kept = row_mut(&mut *self.kept.normal[step], at, depth);
            let normal = if kept.is_empty() { &mut room.normal[..] } else { kept };
            let inverse = normalize(a, normal, scale, bias);
            row_mut(&mut *self.kept.inverse[step], at, 1).fill(inverse);
        }
        let h = row_mut(self.h, at, hidden);
        let c = row_mut(self.c, at, hidden);
        let y = row_mut(&mut *self.y[step], at, hidden);
        let gates = row_mut(&mut *self.kept.gates[step], at, depth);
        let gates = if gates.is_empty() { &mut room.gates[..] } else { gates };
        let extra = row_mut(&mut *self.kept.extra[step], at, hidden);
        let extra = if extra.is_empty() { &mut room.extra[..] } else { extra };
        let [stays, cell_stays] = &self.sweep.zoneout;
        let zoneout = !stays[step].is_empty();
        if zoneout && !c.is_empty() {
            room.old.copy_from_slice(c);
        }
        let x = row(self.x[step], at, depth);
        forth(cell, Forth { x, a, h: &*h, c: &mut *c, gates, extra: &mut *extra, y: &mut *y });
        if zoneout {
            if cell.gates() == 1 {
                extra.copy_from_slice(y);
            }
            mix(y, h, row(stays[step], at, hidden));
            if !c.is_empty() {
                mix(c, &room.old, row(cell_stays[step], at, hidden));
                let kept = row_mut(&mut *self.kept.cells[step], at, hidden);
                if !kept.is_empty() {
                    kept.copy_from_slice(c);
                }
            }
        }
        h.copy_from_slice(y);
    }
}

/// `new += share (old - new)`.
#[inline(always)]
fn mix<E: Real>(new: &mut [E], old: &[E], share: &[E]) {
    let n = new.len();
    let (old, share) = (&old[..n], &share[..n]);
    for j in 0..n {
        new[j] = share[j].fused(old[j] - new[j], new[j]);
    }
}

/// Back, for some sequences.
pub(super) struct Backwards<'a, E: Real> {
    pub(super) sweep: Sweep<'a, E>,
    pub(super) dy: ByStep<'a, E>,
    pub(super) y: ByStep<'a, E>,
    pub(super) kept: Kept<ByStep<'a, E>>,
    /// The states before the first step.
    pub(super) h: &'a [E],
    pub(super) c: &'a [E],
    /// The gradients of the last states, and then of the first.
    pub(super) dh: &'a mut [E],
    pub(super) dc: &'a mut [E],
    /// The gradients of the input's share of the gates; where they are others, of the hidden state's share, and of the product.
    pub(super) dx: ByStepMut<'a, E>,
    pub(super) da: ByStepMut<'a, E>,
    pub(super) dp: ByStepMut<'a, E>,
}

impl<E: Real> WithSimd for Backwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (hidden, panels) = (self.sweep.hidden, self.sweep.panels);
        let depth = self.sweep.cell.gates() * hidden;
        let most = self.dh.len() / hidden;
        let mut tiles = vec![E::ZERO; most * depth];
        let mut products = vec![E::ZERO; most * panels.stride()];
        let zeros = panels.padded(&[]);
        let mut d = vec![E::ZERO; hidden];
        for place in (0..self.sweep.order.len()).rev() {
            let step = self.sweep.order[place];
            let rows = self.y[step].len() / hidden;
            for at in 0..rows {
                self.row_back(place, at, &mut d);
            }
            let gradient: &[E] = if !self.dp[step].is_empty() {
                &*self.dp[step]
            } else if !self.da[step].is_empty() {
                &*self.da[step]
            } else {
                &*self.dx[step]
            };
            by_columns(simd, gradient, rows, depth, &[], &mut tiles);
            panels.multiply(simd, &tiles, rows, &zeros, &mut products);
            for at in 0..rows {
                let (dh, product) =
                    (row_mut(self.dh, at, hidden), &products[at * panels.stride()..][..hidden]);
                let factors = row(self.sweep.factors, at, hidden);
                if factors.is_empty() {
                    for j in 0..hidden {
                        dh[j] += product[j];
                    }
                } else {
                    for j in 0..hidden {
                        dh[j] = product[j].fused(factors[j], dh[j]);
                    }
                }
            }
        }
    }
}

impl<E: Real> Backwards<'_, E> {
    #[inline(always)]
    fn row_back(&mut self, place: usize, at: usize, d: &mut [E]) {
        let Sweep { cell, hidden, .. } = self.sweep;
        let (step, depth) = (self.sweep.order[place], cell.gates() * hidden);
        // The step before is there for this sequence unless it begins here.
        let before = place.checked_sub(1).map(|place| self.sweep.order[place]);
        let before = before.filter(|before| self.y[*before].len() >= (at + 1) * hidden);
        let [stays, cell_stays] =
            [&self.sweep.zoneout[0], &self.sweep.zoneout[1]].map(|stays| row(stays[step], at, hidden));
        let cells = if stays.is_empty() { &self.kept.extra } else { &self.kept.cells };
        let h = row(before.map_or(self.h, |before| self.y[before]), at, hidden);
        let c = if cell == Cell::Lstm { before.map_or(self.c, |before| cells[before]) } else { &[] };
        let dh = row_mut(self.dh, at, hidden);
        let dc = row_mut(self.dc, at, hidden);
        let dy = row(self.dy[step], at, hidden);
        let extra = row(self.kept.extra[step], at, hidden);
        for j in 0..hidden {
            d[j] = dy[j] + dh[j];
        }
        // What goes past the cell to the old states by zoneout waits here.
        let (mut past_h, mut past_c) = (Vec::new(), Vec::new());
        if !stays.is_empty() {
            past_h = take_share(d, stays);
            past_c = take_share(dc, cell_stays);
        }
        let y = if cell.gates() > 1 || stays.is_empty() { row(self.y[step], at, hidden) } else { extra };
        let gates = row(self.kept.gates[step], at, depth);
        let (dx, da) = (row_mut(&mut *self.dx[step], at, depth), row_mut(&mut *self.da[step], at, depth));
        let c = row(c, at, hidden);
        back(cell, Back { dy: d, y, gates, extra, h, c, dh: &mut *dh, dc: &mut *dc, dx, da: &mut *da });
        for (j, past) in past_h.into_iter().enumerate() {
            dh[j] += past;
        }
        for (j, past) in past_c.into_iter().enumerate() {
            dc[j] += past;
        }
        if let Some(scale) = self.sweep.scale {
            let normal = row(self.kept.normal[step], at, depth);
            let dp = row_mut(&mut *self.dp[step], at, depth);
            normalize_back(da, normal, self.kept.inverse[step][at], scale, dp);
        }
    }
}

/// Takes its share off each value, and gives what it took.
#[inline(always)]
fn take_share<E: Real>(values: &mut [E], share: &[E]) -> Vec<E> {
    let mut taken = Vec::with_capacity(values.len());
    for (value, &share) in values.iter_mut().zip(share) {
        taken.push(*value * share);
        *value *= E::ONE - share;
    }
    taken
}
