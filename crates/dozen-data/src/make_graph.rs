//! Made graphs.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{Column, DataError, Table, Values};

/// The shape of a made graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphKind {
    /// Ends drawn uniformly, loops and copies among them.
    Random,
    /// A square grid, of as many whole rows as there are nodes for; roads look like it.
    Grid,
    /// R-MAT: few nodes have most of the edges (Chakrabarti, Zhan and Faloutsos 2004; the chances of Graph500). The number of
    /// nodes is rounded up to a power of two.
    Rmat,
    /// All pairs.
    Complete,
}

/// A graph as the columns `u`, `v` and `weight`, uniform in [0, 1) to 24 bits, which both sizes of floats hold. `edges` counts
/// for random and R-MAT graphs alone.
///
/// # Errors
/// When there would be no edge, or more nodes or edges than 32 bits count.
pub fn graph(kind: GraphKind, nodes: usize, edges: usize, seed: u64) -> Result<Table, DataError> {
    let mut rng = StdRng::seed_from_u64(seed);
    let pairs = nodes.saturating_mul(nodes.saturating_sub(1)) / 2;
    let planned = if kind == GraphKind::Complete { pairs } else { edges.max(2 * nodes) };
    if nodes < 2
        || planned >= u32::MAX as usize
        || (edges == 0 && kind != GraphKind::Complete && kind != GraphKind::Grid)
    {
        return Err(DataError::Request(format!(
            "a graph of {nodes} nodes and {edges} edges cannot be made; there are at least 2 nodes and 1 edge, and fewer than \
             2^32"
        )));
    }
    let ends: Vec<(usize, usize)> = match kind {
        GraphKind::Random => {
            (0..edges).map(|_| (rng.random_range(0..nodes), rng.random_range(0..nodes))).collect()
        }
        GraphKind::Complete => (1..nodes).flat_map(|v| (0..v).map(move |u| (u, v))).collect(),
        GraphKind::Grid => {
            let width = nodes.isqrt();
            let count = width * (nodes / width);
            let across = (0..count).filter(|i| i % width + 1 < width).map(|i| (i, i + 1));
            across.chain((0..count - width).map(|i| (i, i + width))).collect()
        }
        GraphKind::Rmat => {
            let levels = nodes.next_power_of_two().ilog2();
            let mut step = |(u, v): (usize, usize)| match rng.random::<f64>() {
                x if x < 0.57 => (2 * u, 2 * v),
                x if x < 0.76 => (2 * u, 2 * v + 1),
                x if x < 0.95 => (2 * u + 1, 2 * v),
                _ => (2 * u + 1, 2 * v + 1),
            };
            (0..edges).map(|_| (0..levels).fold((0, 0), |ends, _| step(ends))).collect()
        }
    };
    let weights = ends.iter().map(|_| f64::from(rng.random::<f32>())).collect();
    let column = |name: &str, end: fn(&(usize, usize)) -> usize| {
        Column::new(name, Values::Number(ends.iter().map(|ends| end(ends) as f64).collect()))
    };
    Table::new(vec![
        column("u", |ends| ends.0),
        column("v", |ends| ends.1),
        Column::new("weight", Values::Number(weights)),
    ])
}
