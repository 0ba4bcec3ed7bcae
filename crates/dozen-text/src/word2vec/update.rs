//! What becomes of gradients: at once, or recorded and added to the matrices by parts.

use pulp::Simd;

use super::Parameters;
use super::gradient::Workspace;
use super::kernel::{add, combine};
use super::task::Update;

/// Gradients change the matrices at once: stochastic gradient descent pair by pair, as word2vec.c does it on one thread.
#[derive(Debug)]
pub(crate) struct AtOnce<'a>(pub(crate) &'a mut Parameters);

impl Update for AtOnce<'_> {
    const AT_ONCE: bool = true;

    #[inline(always)]
    fn parameters(&self) -> &Parameters {
        self.0
    }

    #[inline(always)]
    fn outputs<S: Simd>(&mut self, simd: S, workspace: &Workspace, inputs: &[u32], targets: &[u32]) {
        for (target, scales) in targets.iter().zip(workspace.scales.chunks(inputs.len())) {
            let row = self.0.output.padded_mut(*target);
            combine(simd, row, 1.0, scales, (workspace.hidden.view(), inputs));
        }
    }

    #[inline(always)]
    fn inputs<S: Simd>(&mut self, simd: S, workspace: &Workspace, rows: &[u32], slot: u32) {
        for row in rows {
            add(simd, self.0.input.padded_mut(*row), workspace.errors.padded(slot));
        }
    }
}

/// Matrices are changed in so many parts, each by one thread.
const PARTS: usize = 16;

/// Gradients of frozen matrices, recorded by the part of the matrix that they are to change.
#[derive(Debug)]
pub(crate) struct Recorded<'a> {
    frozen: &'a Parameters,
    cuts: &'a Cuts,
    pub(crate) record: Record,
}

/// Rows that end each part of a matrix, chosen so that all parts have about as much to do.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    pub(crate) outputs: Vec<u32>,
    pub(crate) inputs: Vec<u32>,
}

/// What a task has recorded for each of the matrices.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Rows gain hidden vectors by scales.
    outputs: Ledger,
    /// Rows gain the errors of slots.
    inputs: Ledger,
}

/// Which rows of a matrix gain which vectors, by the parts of the matrix.
#[derive(Debug, Default)]
struct Ledger {
    changes: [Vec<Change>; PARTS],
    slots: Vec<u32>,
    scales: Vec<f32>,
}

/// A row gains the vectors of `count` slots by as many scales.
#[derive(Clone, Copy, Debug)]
struct Change {
    row: u32,
    count: u32,
    first_slot: u32,
    first_scale: u32,
}

impl Ledger {
    fn clear(&mut self) {
        self.changes.iter_mut().for_each(Vec::clear);
        self.slots.clear();
        self.scales.clear();
    }

    /// Each row gains the vectors of all slots, by scales of its own: `[row][slot]`. A row belongs to the part that ends after it.
    #[inline(always)]
    fn gain(&mut self, ends: &[u32], rows: &[u32], slots: &[u32], scales: impl IntoIterator<Item = f32>) {
        let (count, first_slot) = (slots.len() as u32, self.slots.len() as u32);
        let mut first_scale = self.scales.len() as u32;
        self.slots.extend_from_slice(slots);
        self.scales.extend(scales);
        for row in rows {
            self.changes[part_of(ends, *row)].push(Change { row: *row, count, first_slot, first_scale });
            first_scale += count;
        }
    }
}

impl<'a> Recorded<'a> {
    pub(crate) fn new(frozen: &'a Parameters, cuts: &'a Cuts, mut record: Record) -> Self {
        record.outputs.clear();
        record.inputs.clear();
        Self { frozen, cuts, record }
    }
}

impl Update for Recorded<'_> {
    const AT_ONCE: bool = false;

    #[inline(always)]
    fn parameters(&self) -> &Parameters {
        self.frozen
    }

    #[inline(always)]
    fn outputs<S: Simd>(&mut self, _: S, workspace: &Workspace, inputs: &[u32], targets: &[u32]) {
        let scales = workspace.scales[..inputs.len() * targets.len()].iter().copied();
        self.record.outputs.gain(&self.cuts.outputs, targets, inputs, scales);
    }

    #[inline(always)]
    fn inputs<S: Simd>(&mut self, _: S, _: &Workspace, rows: &[u32], slot: u32) {
        let ones = std::iter::repeat_n(1.0, rows.len());
        self.record.inputs.gain(&self.cuts.inputs, rows, &[slot], ones);
    }
}

#[inline(always)]
fn part_of(ends: &[u32], row: u32) -> usize {
    let mut part = 0;
    for end in &ends[..PARTS - 1] {
        part += usize::from(row >= *end);
    }
    part
}

impl Cuts {
    /// By how much each row has to do, about.
    pub(crate) fn new(outputs: &[f64], inputs: &[f64]) -> Self {
        Self { outputs: cut(outputs), inputs: cut(inputs) }
    }
}

fn cut(weights: &[f64]) -> Vec<u32> {
    let total: f64 = weights.iter().sum();
    let mut ends = Vec::with_capacity(PARTS);
    let mut passed = 0.0;
    for (row, weight) in weights.iter().enumerate() {
        while ends.len() + 1 < PARTS && passed >= total * (ends.len() + 1) as f64 / PARTS as f64 {
            ends.push(row as u32);
        }
        passed += weight;
    }
    ends.resize(PARTS, weights.len() as u32);
    ends
}

/// One of the two matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Outputs,
    Inputs,
}

/// A part of a matrix, from a row on, gains what tasks have recorded for it, in their order.
///
/// Where a row has more steps than `most` in one round, each is shortened so that they are as long as so many together: all are
/// steps from one place, and too many of them would lead beyond where they point.
pub(crate) struct ChangePart<'a> {
    pub(crate) side: Side,
    pub(crate) part: usize,
    pub(crate) first: u32,
    pub(crate) rows: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) tasks: &'a [(Record, Workspace)],
    pub(crate) most: f32,
    /// A zero for each row, before and after.
    pub(crate) steps: &'a mut [u32],
}

impl pulp::WithSimd for ChangePart<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let side = self.side;
        for (record, _) in self.tasks {
            for change in &record.of(side).changes[self.part] {
                self.steps[(change.row - self.first) as usize] += change.count;
            }
        }
        for (record, workspace) in self.tasks {
            let ledger = record.of(side);
            let vectors = match side {
                Side::Outputs => workspace.hidden.view(),
                Side::Inputs => workspace.errors.view(),
            };
            for change in &ledger.changes[self.part] {
                let local = (change.row - self.first) as usize;
                let slots = &ledger.slots[change.first_slot as usize..][..change.count as usize];
                let scales = &ledger.scales[change.first_scale as usize..][..change.count as usize];
                let steps = self.steps[local] as f32;
                let factor = if steps > self.most { self.most / steps } else { 1.0 };
                let row = &mut self.rows[local * self.width..][..self.width];
                combine(simd, row, factor, scales, (vectors, slots));
            }
        }
        for (record, _) in self.tasks {
            for change in &record.of(side).changes[self.part] {
                self.steps[(change.row - self.first) as usize] = 0;
            }
        }
    }
}

impl Record {
    fn of(&self, side: Side) -> &Ledger {
        match side {
            Side::Outputs => &self.outputs,
            Side::Inputs => &self.inputs,
        }
    }
}
