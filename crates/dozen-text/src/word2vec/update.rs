//! What becomes of gradients: at once, or recorded and added to the matrices by parts.

use pulp::Simd;

use super::Parameters;
use super::gradient::Workspace;
use super::kernel::{add, combine};
use super::matrix::Rows;
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

/// What a task has recorded.
#[derive(Debug)]
pub(crate) struct Record {
    outputs: [Vec<Output>; PARTS],
    inputs: [Vec<Input>; PARTS],
    slots: Vec<u32>,
    scales: Vec<f32>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            outputs: std::array::from_fn(|_| Vec::new()),
            inputs: std::array::from_fn(|_| Vec::new()),
            slots: Vec::new(),
            scales: Vec::new(),
        }
    }
}

/// A row gains hidden vectors by scales.
#[derive(Clone, Copy, Debug)]
struct Output {
    row: u32,
    count: u32,
    first_slot: u32,
    first_scale: u32,
}

/// A row gains the errors of a slot.
#[derive(Clone, Copy, Debug)]
struct Input {
    row: u32,
    slot: u32,
}

impl<'a> Recorded<'a> {
    pub(crate) fn new(frozen: &'a Parameters, cuts: &'a Cuts, mut record: Record) -> Self {
        record.outputs.iter_mut().for_each(Vec::clear);
        record.inputs.iter_mut().for_each(Vec::clear);
        record.slots.clear();
        record.scales.clear();
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
        let record = &mut self.record;
        let first_slot = record.slots.len() as u32;
        record.slots.extend_from_slice(inputs);
        let mut first_scale = record.scales.len() as u32;
        record.scales.extend_from_slice(&workspace.scales[..inputs.len() * targets.len()]);
        let count = inputs.len() as u32;
        for row in targets {
            let part = part_of(&self.cuts.outputs, *row);
            record.outputs[part].push(Output { row: *row, count, first_slot, first_scale });
            first_scale += count;
        }
    }

    #[inline(always)]
    fn inputs<S: Simd>(&mut self, _: S, _: &Workspace, rows: &[u32], slot: u32) {
        for row in rows {
            self.record.inputs[part_of(&self.cuts.inputs, *row)].push(Input { row: *row, slot });
        }
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

/// A part of the output matrix, from a row on, gains what tasks have recorded for it, in their order.
///
/// Where a row has more steps than `most` in one round, each is shortened so that they are as long as so many together: all are
/// steps from one place, and too many of them would lead beyond where they point.
pub(crate) struct ChangeOutputs<'a> {
    pub(crate) part: usize,
    pub(crate) first: u32,
    pub(crate) rows: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) tasks: &'a [(Record, Workspace)],
    pub(crate) most: f32,
    /// A zero for each row, before and after.
    pub(crate) steps: &'a mut [u32],
}

impl pulp::WithSimd for ChangeOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let changes = self.tasks.iter().flat_map(|(record, _)| &record.outputs[self.part]);
        for change in changes.clone() {
            self.steps[(change.row - self.first) as usize] += change.count;
        }
        for (record, workspace) in self.tasks {
            let hidden: Rows = workspace.hidden.view();
            for change in &record.outputs[self.part] {
                let local = (change.row - self.first) as usize;
                let slots = &record.slots[change.first_slot as usize..][..change.count as usize];
                let scales = &record.scales[change.first_scale as usize..][..change.count as usize];
                let row = &mut self.rows[local * self.width..][..self.width];
                combine(simd, row, shortened(self.steps[local], self.most), scales, (hidden, slots));
            }
        }
        for change in changes {
            self.steps[(change.row - self.first) as usize] = 0;
        }
    }
}

/// By how much each of some steps is shortened.
#[inline(always)]
fn shortened(steps: u32, most: f32) -> f32 {
    let steps = steps as f32;
    if steps > most { most / steps } else { 1.0 }
}

/// The same for the input matrix.
pub(crate) struct ChangeInputs<'a> {
    pub(crate) part: usize,
    pub(crate) first: u32,
    pub(crate) rows: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) tasks: &'a [(Record, Workspace)],
    pub(crate) most: f32,
    pub(crate) steps: &'a mut [u32],
}

impl pulp::WithSimd for ChangeInputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let changes = self.tasks.iter().flat_map(|(record, _)| &record.inputs[self.part]);
        for change in changes.clone() {
            self.steps[(change.row - self.first) as usize] += 1;
        }
        for (record, workspace) in self.tasks {
            for change in &record.inputs[self.part] {
                let local = (change.row - self.first) as usize;
                let factor = shortened(self.steps[local], self.most);
                let row = &mut self.rows[local * self.width..][..self.width];
                combine(simd, row, factor, &[1.0], (workspace.errors.view(), &[change.slot]));
            }
        }
        for change in changes {
            self.steps[(change.row - self.first) as usize] = 0;
        }
    }
}
