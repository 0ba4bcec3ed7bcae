//! A weighted undirected graph as three slices.

use rayon::prelude::*;

use crate::{Error, Weight};

/// Edges between nodes `0..nodes`, as they come: in any order, with copies and loops if there are any.
#[derive(Clone, Copy, Debug)]
pub struct Graph<'a, W> {
    nodes: usize,
    sources: &'a [u32],
    targets: &'a [u32],
    weights: &'a [W],
}

impl<'a, W: Weight> Graph<'a, W> {
    /// An edge for each place of the three slices.
    ///
    /// # Errors
    /// When the slices differ in length, an edge ends outside `0..nodes`, a weight is NaN, or there are 2^32 edges or nodes.
    pub fn new(
        nodes: usize,
        sources: &'a [u32],
        targets: &'a [u32],
        weights: &'a [W],
    ) -> Result<Self, Error> {
        let count = weights.len();
        if sources.len() != count || targets.len() != count {
            let (s, t) = (sources.len(), targets.len());
            return Err(Error::Shape(format!("{s} sources, {t} targets and {count} weights are not edges")));
        }
        if nodes >= u32::MAX as usize || count >= u32::MAX as usize {
            return Err(Error::Shape(format!("{nodes} nodes and {count} edges are more than 32 bits count")));
        }
        for ends in [sources, targets] {
            if let Some(edge) = first(ends, |&node| node as usize >= nodes) {
                return Err(Error::NoSuchNode { edge, node: u64::from(ends[edge]), nodes });
            }
        }
        if let Some(edge) = first(weights, |weight| weight.key().is_none()) {
            return Err(Error::NotANumber { edge });
        }
        Ok(Self { nodes, sources, targets, weights })
    }

    /// How many nodes.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many edges.
    pub fn edges(&self) -> usize {
        self.weights.len()
    }

    /// The ends of an edge.
    pub fn ends(&self, edge: usize) -> (u32, u32) {
        (self.sources[edge], self.targets[edge])
    }

    /// The weight of an edge.
    pub fn weight(&self, edge: usize) -> W {
        self.weights[edge]
    }

    /// What edges are ordered by; NaN was refused.
    pub(crate) fn key(&self, edge: usize) -> u64 {
        self.weights[edge].key().unwrap_or(u64::MAX)
    }
}

/// The first place where something holds. Nearly always nowhere, which is what parts are looked through for first.
fn first<T: Sync>(values: &[T], holds: impl Fn(&T) -> bool + Sync) -> Option<usize> {
    const PART: usize = 1 << 14;
    let in_part = |(part, values): (usize, &[T])| {
        let any = values.iter().fold(false, |any, value| any | holds(value));
        if any { values.iter().position(&holds).map(|place| part * PART + place) } else { None }
    };
    values.par_chunks(PART).enumerate().find_map_first(in_part)
}
