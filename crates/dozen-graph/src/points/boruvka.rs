//! Boruvka's algorithm over points: each tree's nearest point of another tree, by searches down the kd-tree.
//!
//! What is nearest can only move away as trees grow together. So what a point found stays its best while that point is of
//! another tree, and after that is still a bound that spares it a search until its tree has nothing nearer (the idea of
//! March, Ram and Gray 2010, for points instead of nodes). A box whose points are all of the searcher's own tree is skipped.

use rayon::prelude::*;

use super::Link;
use super::kd_tree::{Fork, KdTree, LEAF, WIDE};
use crate::union_find::UnionFind;

/// The points of a node are of several trees.
const MIXED: u32 = u32::MAX;
/// Nothing found, or no longer of another tree.
const NONE: u32 = u32::MAX;
/// Points that search one after another and share what their trees have found. Fixed, so that results do not depend on the
/// number of threads.
const TOGETHER: usize = 1024;

/// A way out of a tree, ordered by distance; ties by the points.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Exit {
    distance: f64,
    from: u32,
    to: u32,
}

const FAR: Exit = Exit { distance: f64::INFINITY, from: NONE, to: NONE };

/// What a point knows.
#[derive(Clone, Copy)]
struct Known {
    /// The nearest point of another tree, or `NONE`.
    to: u32,
    /// No point of another tree is nearer.
    distance: f64,
}

/// The links of a minimum spanning tree under `max(core_a, core_b, |a - b|)`, all squared, by places in the kd-tree.
///
/// Trees choose by distance alone, so that their choices may close a circle among equal distances; whatever closes one is
/// left out.
pub(super) fn boruvka<const D: usize>(tree: &KdTree<D>, mut core: Vec<f64>) -> Vec<Link> {
    let n = tree.order.len();
    // Whole leaves, for SIMD; what is added is infinitely far.
    let padded = n.next_multiple_of(LEAF);
    core.resize(padded, 0.0);
    let mut search = Search {
        tree,
        core: &core,
        least_core: by_fork(tree, &least_core(tree, &core)),
        labels: vec![[MIXED; WIDE]; tree.forks.len()],
        of: (0..padded as u32).collect(),
    };
    let mut links = Vec::with_capacity(n - 1);
    // At first each point is a tree, and all search.
    let mut known = vec![Known { to: NONE, distance: 0.0 }; n];
    known
        .par_iter_mut()
        .with_min_len(TOGETHER)
        .zip(0..n as u32)
        .for_each(|(known, from)| *known = search.nearest(from, f64::INFINITY));
    let exits = known.iter().zip(0..).map(|(known, from)| known.exit(from));
    let mut trees = search.join(n, exits, &mut links);
    while trees > 1 {
        dozen_run::stop_point();
        search.label();
        let mut exits = vec![FAR; trees];
        search.first_exits(&mut known, &mut exits);
        let found = search.all_exits(&mut known, &exits);
        for exit in found {
            let best = &mut exits[search.of[exit.from as usize] as usize];
            *best = if exit < *best { exit } else { *best };
        }
        trees = search.join(trees, exits.into_iter().filter(|exit| exit.to != NONE), &mut links);
    }
    links
}

impl Known {
    fn exit(self, from: u32) -> Exit {
        Exit { distance: self.distance, from, to: self.to }
    }
}

/// The least core distance in each node.
fn least_core<const D: usize>(tree: &KdTree<D>, core: &[f64]) -> Vec<f64> {
    let mut least = vec![f64::INFINITY; tree.nodes.len()];
    for (index, node) in tree.nodes.iter().enumerate().rev() {
        least[index] = if node.is_leaf() {
            core[node.range()].iter().copied().fold(f64::INFINITY, f64::min)
        } else {
            least[index + 1].min(least[node.second as usize])
        };
    }
    least
}

/// What is known of nodes, as forks have them.
fn by_fork<T: Copy + Default, const D: usize>(tree: &KdTree<D>, of_nodes: &[T]) -> Vec<[T; WIDE]> {
    let gather = |fork: &Fork<D>| {
        let mut values = [T::default(); WIDE];
        for lane in 0..fork.count {
            values[lane] = of_nodes[fork.nodes[lane] as usize];
        }
        values
    };
    tree.forks.iter().map(gather).collect()
}

struct Search<'a, const D: usize> {
    tree: &'a KdTree<D>,
    core: &'a [f64],
    /// The least core distance in each box of each fork.
    least_core: Vec<[f64; WIDE]>,
    /// The tree that all points of such a box are of, or `MIXED`.
    labels: Vec<[u32; WIDE]>,
    /// The tree that each point is of.
    of: Vec<u32>,
}

impl<const D: usize> Search<'_, D> {
    /// Joins so many trees by the way out that each takes, and says how many are left.
    fn join(&mut self, trees: usize, exits: impl Iterator<Item = Exit>, links: &mut Vec<Link>) -> usize {
        let mut sets = UnionFind::new(trees);
        for Exit { distance, from, to } in exits {
            if sets.join(self.of[from as usize], self.of[to as usize]) {
                links.push(Link { a: from, b: to, weight: distance });
            }
        }
        let (labels, left) = sets.labels();
        let n = self.tree.order.len();
        self.of[..n].par_iter_mut().for_each(|of| *of = labels[*of as usize]);
        left
    }

    fn label(&mut self) {
        let mut labels = vec![MIXED; self.tree.nodes.len()];
        for (index, node) in self.tree.nodes.iter().enumerate().rev() {
            labels[index] = if node.is_leaf() {
                let of = &self.of[node.range()];
                if of.iter().all(|tree| *tree == of[0]) { of[0] } else { MIXED }
            } else {
                let [a, b] = [labels[index + 1], labels[node.second as usize]];
                if a == b { a } else { MIXED }
            };
        }
        self.labels = by_fork(self.tree, &labels);
    }

    /// For each tree, the exit of its points that know one still; and where a point that does not might know better, a
    /// search from the most promising one.
    fn first_exits(&self, known: &mut [Known], exits: &mut [Exit]) {
        let mut promising = vec![(f64::INFINITY, NONE); exits.len()];
        for (i, known) in known.iter_mut().enumerate() {
            let own = self.of[i];
            if known.to != NONE && self.of[known.to as usize] == own {
                known.to = NONE;
            }
            if known.to == NONE {
                let best = &mut promising[own as usize];
                *best = if known.distance < best.0 { (known.distance, i as u32) } else { *best };
            } else {
                let exit = known.exit(i as u32);
                let best = &mut exits[own as usize];
                *best = if exit < *best { exit } else { *best };
            }
        }
        let first: Vec<(u32, Known)> = promising
            .into_par_iter()
            .zip(exits.par_iter())
            .filter(|((distance, from), exit)| *from != NONE && *distance < exit.distance)
            .map(|((_, from), exit)| (from, self.nearest(from, exit.distance)))
            .collect();
        for (from, nearest) in first {
            known[from as usize] = nearest;
            if nearest.to != NONE {
                exits[self.of[from as usize] as usize] = nearest.exit(from);
            }
        }
    }

    /// Searches from each point that might know better than its tree does, and what they found.
    fn all_exits(&self, known: &mut [Known], exits: &[Exit]) -> Vec<Exit> {
        let search = |(part, known): (usize, &mut [Known])| {
            let mut found: Vec<Exit> = Vec::new();
            // What the trees of the points just seen have: neighbours are mostly of one tree.
            let mut recent = [(NONE, 0.0); 8];
            for (offset, known) in known.iter_mut().enumerate() {
                if known.to != NONE {
                    continue;
                }
                let i = (part * TOGETHER + offset) as u32;
                let own = self.of[i as usize];
                let place = &mut recent[own as usize % 8];
                if place.0 != own {
                    *place = (own, exits[own as usize].distance);
                }
                if known.distance >= place.1 {
                    continue;
                }
                *known = self.nearest(i, place.1);
                if known.to != NONE {
                    place.1 = known.distance;
                    found.push(known.exit(i));
                }
            }
            found
        };
        known.par_chunks_mut(TOGETHER).enumerate().flat_map_iter(search).collect()
    }

    /// The nearest point of another tree that is nearer than a bound; or that there is none.
    fn nearest(&self, from: u32, bound: f64) -> Known {
        dozen_run::stop_point();
        pulp::Arch::new().dispatch(Nearest { search: self, from, bound })
    }

    /// A point against those of a leaf: takes the nearest of another tree, if it is nearer than what is known.
    #[inline(always)]
    fn meet(&self, i: usize, leaf: usize, best: &mut Known) {
        let own = self.of[i];
        let mut distances = self.tree.leaf_distances(leaf, &self.tree.point(i));
        let start = leaf * LEAF;
        let (of, core) = (&self.of[start..start + LEAF], &self.core[start..start + LEAF]);
        let mut least = f64::INFINITY;
        for lane in 0..LEAF {
            let distance = if core[lane] > distances[lane] { core[lane] } else { distances[lane] };
            distances[lane] = if of[lane] == own { f64::INFINITY } else { distance };
            least = if distances[lane] < least { distances[lane] } else { least };
        }
        if least < best.distance {
            let mut lane = 0;
            while distances[lane] > least {
                lane += 1;
            }
            *best = Known { to: (start + lane) as u32, distance: least };
        }
    }

    #[inline(always)]
    fn nearest_in(&self, from: u32, bound: f64) -> Known {
        let i = from as usize;
        let (point, own, own_core) = (self.tree.point(i), self.of[i], self.core[i]);
        let mut best = Known { to: NONE, distance: bound };
        if own_core >= bound {
            return best;
        }
        // What shares the leaf is near, and leaves little of the tree to look at.
        let mut bound = bound;
        if bound == f64::INFINITY {
            self.meet(i, i / LEAF, &mut best);
            bound = if best.distance > own_core { best.distance } else { 0.0 };
        }
        self.tree.descend(
            &point,
            bound,
            #[inline(always)]
            |fork, distances| {
                let (labels, core) = (&self.labels[fork], &self.least_core[fork]);
                for lane in 0..WIDE {
                    let distance = if core[lane] > distances[lane] { core[lane] } else { distances[lane] };
                    distances[lane] = if labels[lane] == own { f64::INFINITY } else { distance };
                }
            },
            #[inline(always)]
            |leaf, bound| {
                self.meet(i, leaf, &mut best);
                // Nothing is nearer than the point's own core distance.
                *bound = if best.distance > own_core { best.distance } else { 0.0 };
            },
        );
        best.distance = best.distance.max(own_core);
        best
    }
}

/// [`Search::nearest_in`], compiled for the best instruction set.
struct Nearest<'a, const D: usize> {
    search: &'a Search<'a, D>,
    from: u32,
    bound: f64,
}

impl<const D: usize> pulp::WithSimd for Nearest<'_, D> {
    type Output = Known;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Known {
        self.search.nearest_in(self.from, self.bound)
    }
}
