//! A kd-tree over points that it puts in its own order.

use rayon::prelude::*;

use super::Points;

/// A leaf has at most this many points.
const LEAF: usize = 16;

/// Points in the order of the leaves, and boxes around them.
pub(super) struct KdTree<const D: usize> {
    pub(super) points: Vec<[f64; D]>,
    /// The index of each point among those given.
    pub(super) order: Vec<u32>,
    /// A node's first child comes right after it.
    pub(super) nodes: Vec<Node<D>>,
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

    /// The squared distance from a point to the box.
    #[inline(always)]
    pub(super) fn distance(&self, point: &[f64; D]) -> f64 {
        let mut sum = 0.0;
        for k in 0..D {
            let below = self.low[k] - point[k];
            let above = point[k] - self.high[k];
            let outside = if below > above { below } else { above };
            let outside = if outside > 0.0 { outside } else { 0.0 };
            sum += outside * outside;
        }
        sum
    }
}

/// The squared distance of two points.
#[inline(always)]
pub(super) fn squared<const D: usize>(a: &[f64; D], b: &[f64; D]) -> f64 {
    let mut sum = 0.0;
    for k in 0..D {
        let difference = a[k] - b[k];
        sum += difference * difference;
    }
    sum
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
        let (points, order) = items.into_iter().unzip();
        Self { points, order, nodes }
    }

    /// The squared distance of each point to its `neighbours`-th nearest other.
    pub(super) fn core_distances(&self, neighbours: usize) -> Vec<f64> {
        let of = |nearest: &mut Vec<f64>, i: usize| {
            nearest.clear();
            nearest.resize(neighbours, f64::INFINITY);
            let point = &self.points[i];
            self.descend(point, |node, bound| {
                for j in node.range() {
                    let distance = squared(point, &self.points[j]);
                    if distance < *bound && j != i {
                        insert(nearest, distance);
                        *bound = nearest[neighbours - 1];
                    }
                }
            });
            nearest[neighbours - 1]
        };
        (0..self.points.len()).into_par_iter().map_init(Vec::new, of).collect()
    }

    /// For each query its `count` nearest points, nearest first, with their distances; ties by index.
    pub(super) fn nearest(&self, queries: Points<'_>, count: usize) -> Vec<Vec<(u32, f64)>> {
        let of = |query: usize| {
            let mut point = [0.0; D];
            point[..queries.dimension()].copy_from_slice(queries.point(query));
            let mut nearest = vec![(f64::INFINITY, u32::MAX); count];
            self.descend(&point, |node, bound| {
                for j in node.range() {
                    let found = (squared(&point, &self.points[j]), self.order[j]);
                    if found < nearest[count - 1] {
                        let place = nearest.partition_point(|other| *other < found);
                        nearest[place..].rotate_right(1);
                        nearest[place] = found;
                        // Ties beyond the bound are looked at too.
                        *bound = nearest[count - 1].0.next_up();
                    }
                }
            });
            nearest.into_iter().map(|(squared, index)| (index, squared.sqrt())).collect()
        };
        (0..queries.len()).into_par_iter().map(of).collect()
    }

    /// Calls `visit` for each leaf that lies within the bound, which it may lower, the nearer child first.
    #[inline(always)]
    pub(super) fn descend(&self, point: &[f64; D], mut visit: impl FnMut(&Node<D>, &mut f64)) {
        let mut bound = f64::INFINITY;
        let mut stack = [(0.0, 0_u32); 64];
        let mut height = 1;
        while height > 0 {
            height -= 1;
            let (distance, index) = stack[height];
            if distance >= bound {
                continue;
            }
            let node = &self.nodes[index as usize];
            if node.is_leaf() {
                visit(node, &mut bound);
                continue;
            }
            let children = [index + 1, node.second];
            let distances = children.map(|child| self.nodes[child as usize].distance(point));
            let nearer = usize::from(distances[1] < distances[0]);
            for child in [1 - nearer, nearer] {
                if distances[child] < bound {
                    stack[height] = (distances[child], children[child]);
                    height += 1;
                }
            }
        }
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
