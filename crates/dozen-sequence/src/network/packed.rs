//! Sequences of any lengths in one batch, without padding.

use std::sync::Arc;

use dozen_kernels::Steps;

/// A batch: all first steps, then all second steps and so on, the longest sequence first.
#[derive(Clone, Debug)]
pub struct Packed {
    steps: Steps,
    /// The number, as it was given, of the sequence at each place.
    order: Vec<usize>,
    /// The place of each row's sequence.
    sequences: Arc<[u32]>,
}

impl Packed {
    /// Of sequences of these lengths.
    ///
    /// # Panics
    /// When a length is zero.
    pub fn new(lengths: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
        let sorted: Vec<usize> = order.iter().map(|&sequence| lengths[sequence]).collect();
        let steps = Steps::of_lengths(&sorted);
        let rows = (0..steps.longest()).flat_map(|step| 0..steps.step(step).len() as u32);
        Self { sequences: rows.collect(), steps, order }
    }

    /// Of `batch` sequences, all with as many steps.
    pub fn even(batch: usize, steps: usize) -> Self {
        Self::new(&vec![steps; batch])
    }

    /// Where the rows of each step are.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The number, as it was given, of the sequence at each place.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The place of each row's sequence.
    pub fn sequences(&self) -> &Arc<[u32]> {
        &self.sequences
    }

    /// For each row the number of its sequence, as it was given, and the step.
    pub fn rows(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.steps.longest()).flat_map(move |step| {
            (0..self.steps.step(step).len()).map(move |place| (self.order[place], step))
        })
    }

    /// A value for each row, from each sequence's own.
    pub fn pack<T: Copy>(&self, sequences: &[&[T]]) -> Vec<T> {
        self.rows().map(|(sequence, step)| sequences[sequence][step]).collect()
    }

    /// The rows' values given back to their sequences, `columns` to a row.
    pub fn unpack(&self, rows: &[f32], columns: usize) -> Vec<Vec<f32>> {
        let mut sequences = vec![Vec::new(); self.order.len()];
        for ((sequence, _), row) in self.rows().zip(rows.chunks_exact(columns)) {
            sequences[sequence].extend_from_slice(row);
        }
        sequences
    }
}
