//! How a convolution reads its source and writes its target, worked out once a call.
//!
//! The source is copied, channel by channel, into a *grid* that has the zeros of the padding written out, and where
//! pixels that lie a stride apart lie side by side. On the grid, each tap of the filter is one constant offset, so that
//! one loop serves every stride, dilation and padding, forwards and (with the taps turned round) for the gradient of the
//! input:
//!
//! - Forwards, output `i` reads pixel `s i + d u - p` under tap `u`. Pixels are sorted by the remainder of their place
//!   (counted from the padded border) by `s` into *phases*; tap `u` reads phase `d u mod s` at `i + floor(d u / s)`.
//! - Backwards, the gradient of pixel `r` with `r + p = s g + a` is a sum over the taps with `d u mod s = a` of the output
//!   gradient at `g - floor(d u / s)`: each remainder `a` is a *class* of target pixels with its own taps.

use std::ops::Range;

/// One direction, rows or columns.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Pixels of the source.
    source: usize,
    /// Pixels of the target.
    pub(super) target: usize,
    /// Between the source pixels that lie side by side in the grid.
    step: usize,
    /// Zeros before the first source pixel.
    shift: isize,
    /// Positions of the grid that outputs are counted by.
    pub(super) positions: usize,
    /// Positions beyond those, which taps reach.
    pub(super) halo: usize,
    pub(super) phases: usize,
    taps: Vec<Tap>,
    pub(super) classes: Vec<Class>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) phase: usize,
    /// In positions.
    pub(super) offset: usize,
    class: usize,
}

/// Target pixels `first + step * position` for the positions of a range.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) positions: Range<usize>,
    first: isize,
    pub(super) step: usize,
}

impl Class {
    /// The target pixel at a position.
    pub(super) fn target(&self, position: usize) -> usize {
        (self.first + (self.step * position) as isize) as usize
    }
}

impl Axis {
    /// For the outputs of a convolution of `source` pixels under `taps` taps.
    pub(super) fn forward(
        source: usize,
        outputs: usize,
        taps: usize,
        stride: usize,
        dilation: usize,
        padding: usize,
    ) -> Self {
        let tap = |u| Tap { phase: dilation * u % stride, offset: dilation * u / stride, class: 0 };
        let taps: Vec<Tap> = (0..taps).map(tap).collect();
        Self {
            source,
            target: outputs,
            step: stride,
            shift: padding as isize,
            positions: outputs,
            halo: taps.iter().map(|tap| tap.offset).max().unwrap_or(0),
            phases: taps.iter().map(|tap| tap.phase + 1).max().unwrap_or(1),
            taps,
            classes: vec![Class { positions: 0..outputs, first: 0, step: 1 }],
        }
    }

    /// For the gradient of the `target` inputs of such a convolution, whose `source` is the gradient of its outputs.
    pub(super) fn input_gradient(
        source: usize,
        target: usize,
        taps: usize,
        stride: usize,
        dilation: usize,
        padding: usize,
    ) -> Self {
        let halo = dilation * (taps - 1) / stride;
        let tap = |u| Tap { phase: 0, offset: halo - dilation * u / stride, class: dilation * u % stride };
        let class = |a: usize| {
            let first = a as isize - padding as isize;
            let start = (padding.saturating_sub(a)).div_ceil(stride);
            let end = (target + padding).saturating_sub(a).div_ceil(stride);
            Class { positions: start..end.max(start), first, step: stride }
        };
        let classes: Vec<Class> = (0..stride).map(class).collect();
        Self {
            source,
            target,
            step: 1,
            shift: halo as isize,
            positions: classes.iter().map(|class| class.positions.end).max().unwrap_or(0),
            halo,
            phases: 1,
            taps: (0..taps).map(tap).collect(),
            classes,
        }
    }

    /// The taps of a class.
    pub(super) fn taps_of(&self, class: usize) -> impl Iterator<Item = Tap> + '_ {
        self.taps.iter().copied().filter(move |tap| tap.class == class)
    }

    /// Copies source pixels to positions that lie inside the source.
    #[inline(always)]
    pub(super) fn copy_inside<E: Copy>(&self, to: &mut [E], from: &[E]) {
        copy_apart(to, from, self.step);
    }

    /// The source pixels side by side in grid positions from `first` on, of one phase: the range of the positions that
    /// lie inside the source, and the pixel of the first of them.
    pub(super) fn inside(&self, phase: usize, first: usize, count: usize) -> (Range<usize>, usize) {
        // Position q holds pixel step (first + q) + phase - shift.
        let origin = (self.step * first + phase) as isize - self.shift;
        let start = if origin < 0 { origin.unsigned_abs().div_ceil(self.step) } else { 0 }.min(count);
        let left = (self.source as isize - origin).max(0) as usize;
        let end = left.div_ceil(self.step).clamp(start, count);
        (start..end, (origin + (self.step * start) as isize).max(0) as usize)
    }
}

/// Both directions.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
}

impl Plan {
    pub(super) fn source_pixels(&self) -> usize {
        self.rows.source * self.columns.source
    }

    pub(super) fn target_pixels(&self) -> usize {
        self.rows.target * self.columns.target
    }

    /// Whether position and pixel are the same: a 1 x 1 filter at stride 1.
    pub(super) fn is_pointwise(&self) -> bool {
        [&self.rows, &self.columns].iter().all(|axis| {
            let one = axis.taps.len() == 1 && axis.classes.len() == 1;
            one && axis.step == 1 && axis.shift == 0 && axis.source == axis.target
        })
    }

    /// Positions from one row of the grid to the next.
    pub(super) fn pitch(&self) -> usize {
        self.columns.positions + self.columns.halo
    }

    /// Values of one channel's grid for `rows` rows of positions.
    pub(super) fn plane(&self, rows: usize) -> usize {
        self.rows.phases * self.columns.phases * (rows + self.rows.halo) * self.pitch()
    }

    /// The classes of target pixels: pairs of a row class and a column class that have positions.
    pub(super) fn classes(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let columns = self.columns.classes.len();
        (0..self.rows.classes.len() * columns).map(move |index| (index / columns, index % columns))
    }

    /// The taps `(u, v)` of a class, as `u * (taps in a row) + v`, and their offsets in a grid of `rows` rows.
    pub(super) fn taps(&self, class: (usize, usize), rows: usize) -> Vec<(usize, usize)> {
        let height = rows + self.rows.halo;
        let mut taps = Vec::new();
        for (u, row) in self.rows.taps.iter().enumerate().filter(|(_, tap)| tap.class == class.0) {
            for (v, column) in self.columns.taps.iter().enumerate().filter(|(_, tap)| tap.class == class.1) {
                let phase = row.phase * self.columns.phases + column.phase;
                let offset = (phase * height + row.offset) * self.pitch() + column.offset;
                taps.push((u * self.columns.taps.len() + v, offset));
            }
        }
        taps
    }

    /// The offsets alone of [`Self::taps`].
    pub(super) fn offsets(&self, class: (usize, usize), rows: usize) -> Vec<usize> {
        self.taps(class, rows).into_iter().map(|(_, offset)| offset).collect()
    }

    /// The row of a channel that is so many positions behind the one that begins at `first`.
    #[inline(always)]
    pub(super) fn source_row<'a, E>(&self, channel: &'a [E], first: usize, positions: usize) -> &'a [E] {
        let row = first + positions * self.rows.step;
        &channel[row * self.columns.source..(row + 1) * self.columns.source]
    }

    /// Copies one channel into the grid, for the rows of positions `rows`; the padding must be zero there already.
    #[inline(always)]
    pub(super) fn pack<E: Copy>(&self, channel: &[E], rows: Range<usize>, grid: &mut [E]) {
        let (height, pitch) = (rows.len() + self.rows.halo, self.pitch());
        let mut planes = grid.chunks_exact_mut(height * pitch);
        for row_phase in 0..self.rows.phases {
            let (inside_rows, first_row) = self.rows.inside(row_phase, rows.start, height);
            for column_phase in 0..self.columns.phases {
                let plane = planes.next().expect("a plane for each phase");
                let (inside, first) = self.columns.inside(column_phase, 0, pitch);
                if inside.is_empty() {
                    continue;
                }
                for (index, q) in inside_rows.clone().enumerate() {
                    let source = self.source_row(channel, first_row, index);
                    let target = &mut plane[q * pitch + inside.start..q * pitch + inside.end];
                    self.columns.copy_inside(target, &source[first..]);
                }
            }
        }
    }

    /// Copies some rows of a forward plan's target to the positions that they belong to; the others must be zero already.
    #[inline(always)]
    pub(super) fn spread<E: Copy>(&self, target: &[E], rows: Range<usize>, spread: &mut [E]) {
        let (width, pitch) = (self.columns.target, self.pitch());
        for (index, row) in rows.enumerate() {
            copy_apart(&mut spread[index * pitch..][..width], &target[row * width..][..width], 1);
        }
    }
}

/// The offsets of taps in the grids of all inputs, which lie `plane` apart.
pub(super) fn of_all_inputs(taps: &[usize], inputs: usize, plane: usize) -> Vec<usize> {
    (0..inputs).flat_map(|input| taps.iter().map(move |tap| input * plane + tap)).collect()
}

/// `to[i] = from[step * i]`.
#[inline(always)]
fn copy_apart<E: Copy>(to: &mut [E], from: &[E], step: usize) {
    match step {
        1 if to.len() >= 16 => copy_by::<E, 16>(to, from),
        1 if to.len() >= 4 => copy_by::<E, 4>(to, from),
        2 if to.len() >= 16 => every_second::<E, 16, 31>(to, from),
        2 if to.len() >= 8 => every_second::<E, 8, 15>(to, from),
        2 if to.len() >= 4 => every_second::<E, 4, 7>(to, from),
        _ => {
            for (to, &from) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = from;
            }
        }
    }
}

/// `to[i] = from[i]`, `N` at a time, the last of which may overlap those before: without a call.
#[inline(always)]
fn copy_by<E: Copy, const N: usize>(to: &mut [E], from: &[E]) {
    for start in (0..to.len()).step_by(N) {
        let start = start.min(to.len() - N);
        let from: &[E; N] = from[start..].first_chunk().expect("the source holds the last value");
        *to[start..].first_chunk_mut().expect("N values are left") = *from;
    }
}

/// `to[i] = from[2 i]`, `N` at a time, the last of which may overlap those before; `M` is `2 N - 1`.
#[inline(always)]
fn every_second<E: Copy, const N: usize, const M: usize>(to: &mut [E], from: &[E]) {
    for start in (0..to.len()).step_by(N) {
        let start = start.min(to.len() - N);
        let from: &[E; M] = from[2 * start..].first_chunk().expect("the source holds the last value");
        let to: &mut [E; N] = to[start..].first_chunk_mut().expect("N values are left");
        for i in 0..N {
            to[i] = from[2 * i];
        }
    }
}
