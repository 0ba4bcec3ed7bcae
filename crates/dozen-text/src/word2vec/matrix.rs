//! Rows of numbers that begin at lines of the cache.

use bytemuck::{Pod, Zeroable};

/// A line of the cache.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

const LANES: usize = 16;

/// A matrix whose rows are filled up with zeros to whole lines of the cache.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    columns: usize,
    lines: Vec<Line>,
}

impl Matrix {
    /// Of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { columns, lines: vec![Line([0.0; LANES]); rows * columns.div_ceil(LANES)] }
    }

    /// From all values, row by row.
    pub(crate) fn from_values(columns: usize, values: &[f32]) -> Self {
        let mut matrix = Self::zeros(values.len() / columns.max(1), columns);
        for (row, values) in values.chunks_exact(columns.max(1)).enumerate() {
            matrix.padded_mut(row as u32)[..columns].copy_from_slice(values);
        }
        matrix
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.lines.len() / self.width().max(1)
    }

    /// How long they are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row.
    pub fn row(&self, row: u32) -> &[f32] {
        &self.padded(row)[..self.columns]
    }

    /// A row, to change.
    pub fn row_mut(&mut self, row: u32) -> &mut [f32] {
        let columns = self.columns;
        &mut self.padded_mut(row)[..columns]
    }

    /// All values, row by row.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> {
        (0..self.rows() as u32).flat_map(|row| self.row(row).iter().copied())
    }

    /// Adds rows of zeros, or takes rows away.
    pub(crate) fn resize(&mut self, rows: usize) {
        self.lines.resize(rows * self.width(), Line([0.0; LANES]));
    }

    /// All rows.
    #[inline(always)]
    pub(crate) fn view(&self) -> Rows<'_> {
        Rows { lines: &self.lines, width: self.width() }
    }

    /// A row with the zeros that fill it up, which must stay zeros.
    #[inline(always)]
    pub(crate) fn padded(&self, row: u32) -> &[f32] {
        self.view().row(row)
    }

    /// A row to change, and the rows before it.
    #[inline(always)]
    pub(crate) fn split_before(&mut self, row: u32) -> (&mut [f32], Rows<'_>) {
        let width = self.width();
        let (before, after) = self.lines.split_at_mut(row as usize * width);
        (bytemuck::cast_slice_mut(&mut after[..width]), Rows { lines: before, width })
    }

    /// A row to change, and a later one.
    #[inline(always)]
    pub(crate) fn two_rows(&mut self, row: u32, later: u32) -> (&mut [f32], &[f32]) {
        let width = self.width();
        let (before, after) = self.lines.split_at_mut(later as usize * width);
        let row = &mut before[row as usize * width..][..width];
        (bytemuck::cast_slice_mut(row), bytemuck::cast_slice(&after[..width]))
    }

    /// Lines of the cache in a row.
    #[inline(always)]
    fn width(&self) -> usize {
        self.columns.div_ceil(LANES)
    }

    #[inline(always)]
    pub(crate) fn padded_mut(&mut self, row: u32) -> &mut [f32] {
        let width = self.width();
        bytemuck::cast_slice_mut(&mut self.lines[row as usize * width..][..width])
    }

    /// Ranges of padded rows, which end at the given rows, each with its first.
    pub(crate) fn parts(&mut self, ends: &[u32]) -> Vec<(u32, &mut [f32])> {
        let width = self.width();
        let mut rest = &mut self.lines[..];
        let mut start = 0;
        let mut parts = Vec::with_capacity(ends.len());
        for end in ends {
            let (part, after) = rest.split_at_mut((end - start) as usize * width);
            parts.push((start, bytemuck::cast_slice_mut(part)));
            (rest, start) = (after, *end);
        }
        parts
    }
}

/// Rows to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    lines: &'a [Line],
    width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(crate) fn row(self, row: u32) -> &'a [f32] {
        bytemuck::cast_slice(&self.lines[row as usize * self.width..][..self.width])
    }
}
