//! What the way forth keeps for the way back, in one block of memory.

use super::{Cell, Layer};

/// Values by what they are; empty where a layer has none.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    /// The gates after their functions: `[rows, gates hidden]`, for cells with gates.
    pub(super) gates: T,
    /// `[rows, hidden]`: an LSTM's cell state and a GRU's third product; with zoneout any other cell's new state.
    pub(super) extra: T,
    /// With zoneout an LSTM's cell state after it: `[rows, hidden]`.
    pub(super) cells: T,
    /// With layer normalisation the normal products, `[rows, gates hidden]`, and one over their deviations, `[rows]`.
    pub(super) normal: T,
    pub(super) inverse: T,
}

impl Kept<usize> {
    /// How many values of a row each has.
    pub(super) fn columns(layer: &Layer, hidden: usize, normalized: bool) -> Self {
        let gates = layer.cell.gates() * hidden;
        let (gated, zoneout) = (layer.cell.gates() > 1, layer.zoneout.is_some());
        let some = |there: bool, columns: usize| if there { columns } else { 0 };
        Self {
            gates: some(gated, gates),
            extra: some(gated || zoneout, hidden),
            cells: some(zoneout && layer.cell == Cell::Lstm, hidden),
            normal: some(normalized, gates),
            inverse: some(normalized, 1),
        }
    }

    /// All values of a row together.
    pub(super) fn total(&self) -> usize {
        self.gates + self.extra + self.cells + self.normal + self.inverse
    }

    /// A block of so many rows, by what its values are; all empty if the block is.
    pub(super) fn split<'v, E>(&self, rows: usize, block: &'v [E]) -> Kept<&'v [E]> {
        let rows = if block.is_empty() { 0 } else { rows };
        let (gates, rest) = block.split_at(rows * self.gates);
        let (extra, rest) = rest.split_at(rows * self.extra);
        let (cells, rest) = rest.split_at(rows * self.cells);
        let (normal, inverse) = rest.split_at(rows * self.normal);
        Kept { gates, extra, cells, normal, inverse }
    }

    /// The same, to write.
    pub(super) fn split_mut<'v, E>(&self, rows: usize, block: &'v mut [E]) -> Kept<&'v mut [E]> {
        let rows = if block.is_empty() { 0 } else { rows };
        let (gates, rest) = block.split_at_mut(rows * self.gates);
        let (extra, rest) = rest.split_at_mut(rows * self.extra);
        let (cells, rest) = rest.split_at_mut(rows * self.cells);
        let (normal, inverse) = rest.split_at_mut(rows * self.normal);
        Kept { gates, extra, cells, normal, inverse }
    }
}

impl<T> Kept<Vec<T>> {
    /// One for each group of sequences.
    pub(super) fn by_group(self) -> Vec<Kept<T>> {
        let parts = self.gates.into_iter().zip(self.extra).zip(self.cells).zip(self.normal).zip(self.inverse);
        let kept =
            |((((gates, extra), cells), normal), inverse)| Kept { gates, extra, cells, normal, inverse };
        parts.map(kept).collect()
    }
}
