//! Spanning trees of points.

mod boruvka;
mod dense;
mod kd_tree;

use rayon::prelude::*;

use crate::Error;
use crate::weight::compensated_sum;
use kd_tree::KdTree;

/// Points of one dimension, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    values: &'a [f64],
    dimension: usize,
}

impl<'a> Points<'a> {
    /// `dimension` coordinates for each point.
    ///
    /// # Errors
    /// When the values are not whole points, not finite or beyond 1e150, or there are 2^32 points.
    pub fn new(values: &'a [f64], dimension: usize) -> Result<Self, Error> {
        if dimension == 0 || !values.len().is_multiple_of(dimension) {
            return Err(Error::Shape(format!(
                "{} coordinates are not whole points of {dimension}",
                values.len()
            )));
        }
        if values.len() / dimension >= u32::MAX as usize {
            return Err(Error::Shape("there are more points than 32 bits count".into()));
        }
        // Squares of larger ones overflow.
        match values.iter().position(|value| value.is_nan() || value.abs() > 1e150) {
            Some(at) => {
                Err(Error::NotFinite { point: at / dimension, coordinate: at % dimension, value: values[at] })
            }
            None => Ok(Self { values, dimension }),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Coordinates of a point.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The coordinates of one point.
    pub fn point(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.dimension..(index + 1) * self.dimension]
    }

    /// The Euclidean distance of two points.
    pub fn distance(&self, a: usize, b: usize) -> f64 {
        squared_distance(self.point(a), self.point(b)).sqrt()
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// An edge of a tree of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The lower index.
    pub a: u32,
    /// The higher index.
    pub b: u32,
    /// The distance.
    pub weight: f64,
}

/// A minimum spanning tree of points.
#[derive(Clone, Debug, PartialEq)]
pub struct PointTree {
    /// In order of `(weight, a, b)`.
    pub links: Vec<Link>,
    /// The sum of the weights, compensated for rounding.
    pub total_weight: f64,
}

impl PointTree {
    fn new(mut links: Vec<Link>) -> Self {
        links.par_sort_unstable_by(|x, y| x.weight.total_cmp(&y.weight).then((x.a, x.b).cmp(&(y.a, y.b))));
        let total_weight = compensated_sum(links.iter().map(|link| link.weight));
        Self { links, total_weight }
    }
}

/// More coordinates than this leave a kd-tree nothing to skip.
const TREE_DIMENSIONS: usize = 32;
/// Fewer points than this are compared with each other.
const FEW: usize = 64;

/// Calls a function for the least array length that the points fit; what is added is zero, and changes no distance.
macro_rules! with_length {
    ($points:expr, $function:ident ( $($argument:expr),* )) => {
        match $points.dimension() {
            1 => $function::<1>($points, $($argument),*),
            2 => $function::<2>($points, $($argument),*),
            3 => $function::<3>($points, $($argument),*),
            4 => $function::<4>($points, $($argument),*),
            5 => $function::<5>($points, $($argument),*),
            6 => $function::<6>($points, $($argument),*),
            7..=8 => $function::<8>($points, $($argument),*),
            9..=12 => $function::<12>($points, $($argument),*),
            13..=16 => $function::<16>($points, $($argument),*),
            17..=24 => $function::<24>($points, $($argument),*),
            _ => $function::<32>($points, $($argument),*),
        }
    };
}

/// The Euclidean minimum spanning tree, exactly: Boruvka's algorithm whose searches go down a kd-tree, or Prim's over all
/// pairs where that is quicker (few points, or more than 32 coordinates).
///
/// The tree's weight is the least; where distances tie there are several such trees, and which is returned depends on the
/// points alone, not on the number of threads.
pub fn euclidean_tree(points: Points<'_>) -> PointTree {
    mutual_reachability_tree(points, &vec![0.0; points.len()])
}

/// The minimum spanning tree under the mutual-reachability distance `max(core_a, core_b, |a - b|)` (Campello, Moulavi and
/// Sander 2013), for core distances as [`core_distances`] gives them.
///
/// # Panics
/// When there are not as many core distances as points.
pub fn mutual_reachability_tree(points: Points<'_>, core: &[f64]) -> PointTree {
    assert_eq!(core.len(), points.len(), "a core distance for each point");
    if points.len() < FEW || points.dimension() > TREE_DIMENSIONS {
        return PointTree::new(dense::prim(points, core));
    }
    with_length!(points, by_tree(core))
}

fn by_tree<const D: usize>(points: Points<'_>, core: &[f64]) -> PointTree {
    let tree = KdTree::<D>::new(points);
    let squared: Vec<f64> = tree.order.iter().map(|&i| core[i as usize] * core[i as usize]).collect();
    let mut links = boruvka::boruvka(&tree, squared);
    links.par_iter_mut().for_each(|link| {
        let [a, b] = [link.a, link.b].map(|place| tree.order[place as usize]);
        let core = core[a as usize].max(core[b as usize]);
        // Roots of squares of core distances need not be those.
        *link = Link { a: a.min(b), b: a.max(b), weight: points.distance(a as usize, b as usize).max(core) };
    });
    PointTree::new(links)
}

/// The distance of each point to its `neighbours`-th nearest other point; to the furthest where there are fewer, and zero for
/// `neighbours = 0`.
pub fn core_distances(points: Points<'_>, neighbours: usize) -> Vec<f64> {
    let neighbours = neighbours.min(points.len().saturating_sub(1));
    if neighbours == 0 {
        return vec![0.0; points.len()];
    }
    if points.len() < FEW || points.dimension() > TREE_DIMENSIONS {
        return dense::core_distances(points, neighbours);
    }
    with_length!(points, core_by_tree(neighbours))
}

fn core_by_tree<const D: usize>(points: Points<'_>, neighbours: usize) -> Vec<f64> {
    let tree = KdTree::<D>::new(points);
    let squared = tree.core_distances(neighbours);
    let mut core = vec![0.0; points.len()];
    for (&index, squared) in tree.order.iter().zip(squared) {
        core[index as usize] = squared.sqrt();
    }
    core
}

/// For each of `queries`, its `count` nearest of `points`, nearest first, with their distances; ties by index.
pub(crate) fn nearest_points(points: Points<'_>, queries: Points<'_>, count: usize) -> Vec<Vec<(u32, f64)>> {
    if points.len() < FEW || points.dimension() > TREE_DIMENSIONS {
        return dense::nearest(points, queries, count);
    }
    with_length!(points, nearest_by_tree(queries, count))
}

fn nearest_by_tree<const D: usize>(
    points: Points<'_>,
    queries: Points<'_>,
    count: usize,
) -> Vec<Vec<(u32, f64)>> {
    KdTree::<D>::new(points).nearest(queries, count)
}
