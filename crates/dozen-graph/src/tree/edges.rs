//! Some of a graph's edges.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Graph, Weight};

/// Edges in parts, for threads to share.
pub(super) struct Edges(Vec<Part>);

enum Part {
    All(Range<u32>),
    Some(Vec<u32>),
}

impl Edges {
    /// All edges of a graph.
    pub(super) fn of<W: Weight>(graph: Graph<'_, W>) -> Self {
        const SIZE: usize = 1 << 16;
        let edges = graph.edges();
        let part = |first| Part::All(first as u32..edges.min(first + SIZE) as u32);
        Self((0..edges).step_by(SIZE).map(part).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Part::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.0.first(), Some(Part::Some(_)))
    }

    pub(super) fn each(&self, visit: impl Fn(u32) + Sync) {
        self.0.par_iter().for_each(|part| match part {
            Part::All(range) => range.clone().for_each(&visit),
            Part::Some(list) => list.iter().copied().for_each(&visit),
        });
    }

    /// One edge of so many.
    /// The edges, one after another.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.every(1)
    }

    fn every(&self, step: usize) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(move |part| (0..part.len()).step_by(step).map(|place| part.edge(place)))
    }

    /// Those that a test keeps.
    pub(super) fn filtered(&self, keep: impl Fn(u32) -> bool + Sync) -> Self {
        let filter = |found: &mut Vec<u32>, part: &Part| {
            found.resize(part.len(), 0);
            let mut count = 0;
            // Written whether it is kept or not: branches here are hard to foresee.
            let mut put = |edge: u32| {
                found[count] = edge;
                count += usize::from(keep(edge));
            };
            match part {
                Part::All(range) => range.clone().for_each(&mut put),
                Part::Some(list) => list.iter().copied().for_each(&mut put),
            }
            Part::Some(found[..count].to_vec())
        };
        Self(self.0.par_iter().map_init(Vec::new, filter).collect())
    }

    /// The light ones, about so many, where there are many more.
    pub(super) fn light(&self, light: usize, order: impl Fn(u32) -> u64 + Sync) -> Option<Self> {
        const SAMPLE: usize = 1 << 12;
        let all = self.len();
        if all <= 2 * light + SAMPLE {
            return None;
        }
        let mut sample: Vec<u64> = self.every(all / SAMPLE).map(&order).collect();
        let rank = (light as u64 * sample.len() as u64 / all as u64) as usize;
        let limit = *sample.select_nth_unstable(rank).1;
        let light = self.filtered(|edge| order(edge) <= limit);
        // Nearly all, where most are as light as the limit.
        (light.len() <= all / 2).then_some(light)
    }
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::All(range) => range.len(),
            Self::Some(list) => list.len(),
        }
    }

    fn edge(&self, place: usize) -> u32 {
        match self {
            Self::All(range) => range.start + place as u32,
            Self::Some(list) => list[place],
        }
    }
}
