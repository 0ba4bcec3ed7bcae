//! The cells, for one row: what the gates make of a state, and the way back.

/// A recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h = tanh(x + a)` (Elman 1990).
    Tanh,
    /// `h = max(0, x + a)`.
    Relu,
    /// Long short-term memory.
    Lstm,
    /// The gated recurrent unit.
    Gru,
}

impl Cell {
    /// How many gates there are, each as wide as the hidden state.
    pub fn gates(self) -> usize {
        match self {
            Self::Tanh | Self::Relu => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// How many vectors a sequence's state has: two for an LSTM, h and c.
    pub fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }
}

#[cfg(feature = "flex")]
pub(super) use rows::{Back, back};
pub(super) use rows::{Forth, forth};

mod rows {
    use super::Cell;
    use crate::real::Real;

    /// One row on the way forth.
    pub(in super::super) struct Forth<'a, E> {
        /// The input's and the hidden state's share of the gates, gate after gate.
        pub(in super::super) x: &'a [E],
        pub(in super::super) a: &'a [E],
        /// The hidden state before.
        pub(in super::super) h: &'a [E],
        /// The cell's state, before and then after; empty unless for an LSTM.
        pub(in super::super) c: &'a mut [E],
        /// What the way back needs: the gates after their functions, and for an LSTM the cell's state, for a GRU `a` of its third
        /// gate.
        pub(in super::super) gates: &'a mut [E],
        pub(in super::super) extra: &'a mut [E],
        /// The hidden state after.
        pub(in super::super) y: &'a mut [E],
    }

    #[inline(always)]
    pub(in super::super) fn forth<E: Real>(cell: Cell, row: Forth<E>) {
        let units = row.y.len();
        let gate = |gate: usize| (&row.a[gate * units..][..units], &row.x[gate * units..][..units]);
        let y = &mut row.y[..units];
        match cell {
            Cell::Tanh => {
                let (a, x) = gate(0);
                for j in 0..units {
                    y[j] = (a[j] + x[j]).hyperbolic_tangent();
                }
            }
            Cell::Relu => {
                let (a, x) = gate(0);
                for j in 0..units {
                    y[j] = (a[j] + x[j]).at_least(E::ZERO);
                }
            }
            Cell::Lstm => {
                let ((ai, xi), (af, xf), (ag, xg), (ao, xo)) = (gate(0), gate(1), gate(2), gate(3));
                let (i, rest) = row.gates.split_at_mut(units);
                let (f, rest) = rest.split_at_mut(units);
                let (g, o) = rest.split_at_mut(units);
                let (f, g, o) = (&mut f[..units], &mut g[..units], &mut o[..units]);
                let (c, kept) = (&mut row.c[..units], &mut row.extra[..units]);
                for j in 0..units {
                    i[j] = (ai[j] + xi[j]).sigmoid();
                    g[j] = (ag[j] + xg[j]).hyperbolic_tangent();
                }
                for j in 0..units {
                    f[j] = (af[j] + xf[j]).sigmoid();
                    c[j] = f[j].fused(c[j], i[j] * g[j]);
                    kept[j] = c[j];
                }
                for j in 0..units {
                    o[j] = (ao[j] + xo[j]).sigmoid();
                    y[j] = o[j] * kept[j].hyperbolic_tangent();
                }
            }
            Cell::Gru => {
                let ((ar, xr), (az, xz), (an, xn)) = (gate(0), gate(1), gate(2));
                let (r, rest) = row.gates.split_at_mut(units);
                let (z, n) = rest.split_at_mut(units);
                let (n, h) = (&mut n[..units], &row.h[..units]);
                row.extra[..units].copy_from_slice(an);
                for j in 0..units {
                    r[j] = (ar[j] + xr[j]).sigmoid();
                    n[j] = r[j].fused(an[j], xn[j]).hyperbolic_tangent();
                }
                for j in 0..units {
                    z[j] = (az[j] + xz[j]).sigmoid();
                    y[j] = z[j].fused(h[j] - n[j], n[j]);
                }
            }
        }
    }

    /// One row on the way back.
    pub(in super::super) struct Back<'a, E> {
        /// The gradient of the hidden state after, and that state.
        pub(in super::super) dy: &'a [E],
        pub(in super::super) y: &'a [E],
        /// What the way forth kept.
        pub(in super::super) gates: &'a [E],
        pub(in super::super) extra: &'a [E],
        /// The states before; `c` is empty unless for an LSTM.
        pub(in super::super) h: &'a [E],
        pub(in super::super) c: &'a [E],
        /// Becomes the gradient of the hidden state before, as far as it does not go through the product.
        pub(in super::super) dh: &'a mut [E],
        /// The gradient of the cell's state, after and then before.
        pub(in super::super) dc: &'a mut [E],
        /// The gradients of the input's and of the hidden state's share of the gates; the second is empty where it is not asked for.
        pub(in super::super) dx: &'a mut [E],
        pub(in super::super) da: &'a mut [E],
    }

    #[inline(always)]
    pub(in super::super) fn back<E: Real>(cell: Cell, row: Back<E>) {
        let units = row.dy.len();
        let (d, dh) = (row.dy, &mut row.dh[..units]);
        match cell {
            Cell::Tanh => {
                let (y, dx) = (&row.y[..units], &mut row.dx[..units]);
                for j in 0..units {
                    dx[j] = d[j] * (E::ONE - y[j] * y[j]);
                }
                dh.fill(E::ZERO);
            }
            Cell::Relu => {
                let (y, dx) = (&row.y[..units], &mut row.dx[..units]);
                for j in 0..units {
                    dx[j] = if y[j] > E::ZERO { d[j] } else { E::ZERO };
                }
                dh.fill(E::ZERO);
            }
            Cell::Lstm => {
                let kept = |gate: usize| &row.gates[gate * units..][..units];
                let (i, f, g, o) = (kept(0), kept(1), kept(2), kept(3));
                let (before, after) = (&row.c[..units], &row.extra[..units]);
                let (di, rest) = row.dx.split_at_mut(units);
                let (df, rest) = rest.split_at_mut(units);
                let (dg, d_o) = rest.split_at_mut(units);
                let (d_o, dc) = (&mut d_o[..units], &mut row.dc[..units]);
                for j in 0..units {
                    let t = after[j].hyperbolic_tangent();
                    d_o[j] = d[j] * t * o[j] * (E::ONE - o[j]);
                    dc[j] = (d[j] * o[j]).fused(E::ONE - t * t, dc[j]);
                }
                for j in 0..units {
                    di[j] = dc[j] * g[j] * i[j] * (E::ONE - i[j]);
                    df[j] = dc[j] * before[j] * f[j] * (E::ONE - f[j]);
                    dg[j] = dc[j] * i[j] * (E::ONE - g[j] * g[j]);
                    dc[j] *= f[j];
                }
                dh.fill(E::ZERO);
            }
            Cell::Gru => {
                let kept = |gate: usize| &row.gates[gate * units..][..units];
                let (r, z, n) = (kept(0), kept(1), kept(2));
                let (a, h) = (&row.extra[..units], &row.h[..units]);
                let (dr, rest) = row.dx.split_at_mut(units);
                let (dz, dn) = rest.split_at_mut(units);
                let dn = &mut dn[..units];
                for j in 0..units {
                    dz[j] = d[j] * (h[j] - n[j]) * z[j] * (E::ONE - z[j]);
                    dn[j] = d[j] * (E::ONE - z[j]) * (E::ONE - n[j] * n[j]);
                    dr[j] = dn[j] * a[j] * r[j] * (E::ONE - r[j]);
                    dh[j] = d[j] * z[j];
                }
            }
        }
        if row.da.is_empty() {
            return;
        }
        row.da.copy_from_slice(row.dx);
        if cell == Cell::Gru {
            let (r, da) = (&row.gates[..units], &mut row.da[2 * units..][..units]);
            for j in 0..units {
                da[j] *= r[j];
            }
        }
    }
}
