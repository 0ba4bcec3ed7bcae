//! A kd-tree over points that it puts in its own order.

use rayon::prelude::*;

use super::Points;

/// A leaf has at most this many points; all leaves but the last are full, and begin at a multiple of it.
pub(super) const LEAF: usize = 16;

/// Points in the order of the leaves, and boxes around them.
pub(super) struct KdTree<const D: usize> {
    /// The points of each leaf coordinate by coordinate, for SIMD; infinitely far where there are none.
    pub(super) leaves: Vec<[[f64; LEAF]; D]>,
    /// The index of each point among those given.
    pub(super) order: Vec<u32>,
    /// A node's first child comes right after it.
    pub(super) nodes: Vec<Node<D>>,
    /// The same nodes, three levels in one, which is what searches go down.
    pub(super) forks: Vec<Fork<D>>,
}

/// Boxes in a fork.
pub(super) const WIDE: usize = 8;
/// Marks a leaf among the children of a fork.
const IS_LEAF: u32 = 1 << 31;

/// Up to eight boxes side by side, so that a point's distances to all of them are a few SIMD instructions.
pub(super) struct Fork<const D: usize> {
    low: [[f64; WIDE]; D],
    high: [[f64; WIDE]; D],
    /// A fork, or a leaf with the highest bit set.
    children: [u32; WIDE],
    /// Which nodes they are.
    pub(super) nodes: [u32; WIDE],
    pub(super) count: usize,
}

impl<const D: usize> Fork<D> {
    /// The squared distances from a point to the boxes; infinite where there is none.
    #[inline(always)]
    fn distances(&self, point: &[f64; D]) -> [f64; WIDE] {
        let mut sums = [0.0; WIDE];
        for k in 0..D {
            for lane in 0..WIDE {
                let below = self.low[k][lane] - point[k];
                let above = point[k] - self.high[k][lane];
                let outside = if below > above { below } else { above };
                let outside = if outside > 0.0 { outside } else { 0.0 };
                sums[lane] += outside * outside;
            }
        }
        sums
    }
}

/// A box and the points in it.
#[derive(Clone, Copy)]
pub(super) struct Node<const D: usize> {
    low: [f64; D],
    high: [f64; D],
    pub(super) start: u32,
    pub(super) end: u32,
    /// The second child; zero for a leaf.
    pub(super) second: u32,
}

impl<const D: usize> Node<D> {
    pub(super) fn is_leaf(&self) -> bool {
        self.second == 0
    }

    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

type Item<const D: usize> = ([f64; D], u32);

impl<const D: usize> KdTree<D> {
    /// Points are split at the median of the box's longest side.
    pub(super) fn new(points: Points<'_>) -> Self {
        let item = |index: usize| {
            let mut point = [0.0; D];
            point[..points.dimension()].copy_from_slice(points.point(index));
            (point, index as u32)
        };
        let mut items: Vec<Item<D>> = (0..points.len()).map(item).collect();
        split(&mut items);
        let mut nodes = Vec::with_capacity(items.len() / 4 + 1);
        add_nodes(&items, 0, &mut nodes);
        let leaf = |items: &[Item<D>]| {
            let mut leaf = [[f64::INFINITY; LEAF]; D];
            for (lane, (point, _)) in items.iter().enumerate() {
                for k in 0..D {
                    leaf[k][lane] = point[k];
                }
            }
            leaf
        };
        let mut forks = Vec::with_capacity(nodes.len() / 4 + 1);
        add_forks(&nodes, 0, &mut forks);
        let leaves = items.chunks(LEAF).map(leaf).collect();
        Self { leaves, order: items.into_iter().map(|(_, index)| index).collect(), nodes, forks }
    }

    /// The point at a place in the order of the leaves.
    #[inline(always)]
    pub(super) fn point(&self, place: usize) -> [f64; D] {
        let leaf = &self.leaves[place / LEAF];
        std::array::from_fn(|k| leaf[k][place % LEAF])
    }

    /// The squared distances from a point to all points of a leaf.
    #[inline(always)]
    pub(super) fn leaf_distances(&self, leaf: usize, point: &[f64; D]) -> [f64; LEAF] {
        let leaf = &self.leaves[leaf];
        let mut distances = [0.0; LEAF];
        for k in 0..D {
            for lane in 0..LEAF {
                let difference = point[k] - leaf[k][lane];
                distances[lane] += difference * difference;
            }
        }
        distances
    }

    /// The squared distance of each point to its `neighbours`-th nearest other.
    pub(super) fn core_distances(&self, neighbours: usize) -> Vec<f64> {
        let of = |nearest: &mut Vec<f64>, i: usize| {
            nearest.clear();
            nearest.resize(neighbours, f64::INFINITY);
            pulp::Arch::new().dispatch(CoreDistance { tree: self, i, nearest })
        };
        (0..self.order.len()).into_par_iter().with_min_len(256).map_init(Vec::new, of).collect()
    }

    /// A point against those of a leaf: takes those that are nearer than the furthest of the nearest.
    #[inline(always)]
    fn meet(&self, i: usize, leaf: usize, nearest: &mut [f64], bound: &mut f64) {
        let distances = self.leaf_distances(leaf, &self.point(i));
        for lane in 0..LEAF {
            if distances[lane] < *bound && leaf * LEAF + lane != i {
                insert(nearest, distances[lane]);
                *bound = nearest[nearest.len() - 1];
            }
        }
    }

    #[inline(always)]
    fn core_distance(&self, i: usize, nearest: &mut [f64]) -> f64 {
        let point = self.point(i);
        let last = nearest.len() - 1;
        // What shares the leaf is near, and leaves little of the tree to look at.
        let mut bound = f64::INFINITY;
        self.meet(i, i / LEAF, nearest, &mut bound);
        self.descend(
            &point,
            bound,
            #[inline(always)]
            |_, _| {},
            #[inline(always)]
            |leaf, bound| {
                if leaf != i / LEAF {
                    self.meet(i, leaf, nearest, bound);
                }
            },
        );
        nearest[last]
    }

    /// For each query its `count` nearest points, nearest first, with their distances; ties by index.
    pub(super) fn nearest(&self, queries: Points<'_>, count: usize) -> Vec<Vec<(u32, f64)>> {
        let of = |query: usize| {
            let mut point = [0.0; D];
            point[..queries.dimension()].copy_from_slice(queries.point(query));
            let mut nearest = vec![(f64::INFINITY, u32::MAX); count];
            let visit = |leaf: usize, bound: &mut f64| {
                let distances = self.leaf_distances(leaf, &point);
                for (distance, &index) in distances.into_iter().zip(&self.order[leaf * LEAF..]) {
                    let found = (distance, index);
                    if found < nearest[count - 1] {
                        let place = nearest.partition_point(|other| *other < found);
                        nearest[place..].rotate_right(1);
                        nearest[place] = found;
                        // Ties beyond the bound are looked at too.
                        *bound = nearest[count - 1].0.next_up();
                    }
                }
            };
            self.descend(&point, f64::INFINITY, |_, _| {}, visit);
            nearest.into_iter().map(|(squared, index)| (index, squared.sqrt())).collect()
        };
        (0..queries.len()).into_par_iter().map(of).collect()
    }

    /// Calls `visit` for each leaf that lies within the bound, which it may lower, nearer ones first. `mask` sees a fork and the
    /// distances to its boxes, and may raise them.
    #[inline(always)]
    pub(super) fn descend(
        &self,
        point: &[f64; D],
        mut bound: f64,
        mut mask: impl FnMut(usize, &mut [f64; WIDE]),
        mut visit: impl FnMut(usize, &mut f64),
    ) {
        let mut stack = [(0.0, 0_u32); 16 * WIDE];
        let mut height = 1;
        while height > 0 {
            height -= 1;
            let (distance, child) = stack[height];
            if distance >= bound {
                continue;
            }
            if child & IS_LEAF != 0 {
                visit((child ^ IS_LEAF) as usize, &mut bound);
                continue;
            }
            let fork = &self.forks[child as usize];
            let mut distances = fork.distances(point);
            mask(child as usize, &mut distances);
            let bottom = height;
            for lane in 0..WIDE {
                let distance = distances[lane];
                if distance < bound {
                    // The nearest on top.
                    let mut place = height;
                    while place > bottom && stack[place - 1].0 < distance {
                        stack[place] = stack[place - 1];
                        place -= 1;
                    }
                    stack[place] = (distance, fork.children[lane]);
                    height += 1;
                }
            }
        }
    }
}

/// [`KdTree::core_distance`], compiled for the best instruction set.
struct CoreDistance<'a, const D: usize> {
    tree: &'a KdTree<D>,
    i: usize,
    nearest: &'a mut [f64],
}

impl<const D: usize> pulp::WithSimd for CoreDistance<'_, D> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        self.tree.core_distance(self.i, self.nearest)
    }
}

/// Puts a value into a sorted list whose greatest it takes the place of.
#[inline(always)]
fn insert(sorted: &mut [f64], value: f64) {
    let mut place = sorted.len() - 1;
    while place > 0 && sorted[place - 1] > value {
        sorted[place] = sorted[place - 1];
        place -= 1;
    }
    sorted[place] = value;
}

/// From so many points on, both halves are split at once.
const PARALLEL: usize = 1 << 13;

/// How many of so many points go to the first half: whole leaves, so that leaves are full.
fn middle(count: usize) -> usize {
    (count / 2).next_multiple_of(LEAF)
}

/// Puts points in the order of the leaves.
fn split<const D: usize>(items: &mut [Item<D>]) {
    if items.len() <= LEAF {
        return;
    }
    let (mut low, mut high) = ([f64::INFINITY; D], [f64::NEG_INFINITY; D]);
    for (point, _) in items.iter() {
        for k in 0..D {
            low[k] = low[k].min(point[k]);
            high[k] = high[k].max(point[k]);
        }
    }
    let side = (0..D).max_by(|&a, &b| (high[a] - low[a]).total_cmp(&(high[b] - low[b]))).unwrap_or(0);
    let middle = middle(items.len());
    // Equal coordinates are told apart by index, so that the tree depends on the points alone.
    items.select_nth_unstable_by(middle, |a, b| a.0[side].total_cmp(&b.0[side]).then(a.1.cmp(&b.1)));
    let parallel = items.len() >= PARALLEL;
    let (left, right) = items.split_at_mut(middle);
    if parallel {
        rayon::join(|| split(left), || split(right));
    } else {
        split(left);
        split(right);
    }
}

/// Adds the node of points in order, and those below it.
fn add_nodes<const D: usize>(items: &[Item<D>], start: usize, nodes: &mut Vec<Node<D>>) {
    let index = nodes.len();
    let empty = ([f64::INFINITY; D], [f64::NEG_INFINITY; D]);
    let (start_u32, end) = (start as u32, (start + items.len()) as u32);
    nodes.push(Node { low: empty.0, high: empty.1, start: start_u32, end, second: 0 });
    let (mut low, mut high) = empty;
    if items.len() <= LEAF {
        for (point, _) in items {
            for k in 0..D {
                low[k] = low[k].min(point[k]);
                high[k] = high[k].max(point[k]);
            }
        }
    } else {
        let middle = middle(items.len());
        add_nodes(&items[..middle], start, nodes);
        let second = nodes.len();
        add_nodes(&items[middle..], start + middle, nodes);
        nodes[index].second = second as u32;
        for child in [index + 1, second] {
            for k in 0..D {
                low[k] = low[k].min(nodes[child].low[k]);
                high[k] = high[k].max(nodes[child].high[k]);
            }
        }
    }
    (nodes[index].low, nodes[index].high) = (low, high);
}

/// Adds the fork of a node: its descendants opened, the most populous first, until there are eight, and the forks below them.
fn add_forks<const D: usize>(nodes: &[Node<D>], node: u32, forks: &mut Vec<Fork<D>>) {
    let mut inside = vec![node];
    while inside.len() < WIDE {
        let size = |&node: &u32| nodes[node as usize].range().len();
        let openable = |place: &usize| !nodes[inside[*place] as usize].is_leaf();
        let Some(place) = (0..inside.len()).filter(openable).max_by_key(|&place| size(&inside[place])) else {
            break;
        };
        let opened = inside[place];
        inside[place] += 1;
        inside.push(nodes[opened as usize].second);
    }
    let index = forks.len();
    let mut fork = Fork {
        low: [[f64::INFINITY; WIDE]; D],
        high: [[f64::INFINITY; WIDE]; D],
        children: [0; WIDE],
        nodes: [0; WIDE],
        count: inside.len(),
    };
    for (lane, &node) in inside.iter().enumerate() {
        fork.nodes[lane] = node;
        for k in 0..D {
            fork.low[k][lane] = nodes[node as usize].low[k];
            fork.high[k][lane] = nodes[node as usize].high[k];
        }
    }
    forks.push(fork);
    for (lane, &node) in inside.iter().enumerate() {
        let start = nodes[node as usize].start;
        forks[index].children[lane] = if nodes[node as usize].is_leaf() {
            (start / LEAF as u32) | IS_LEAF
        } else {
            let next = forks.len() as u32;
            add_forks(nodes, node, forks);
            next
        };
    }
}
