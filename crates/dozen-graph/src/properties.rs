//! What is true of spanning trees: the properties of cuts and cycles, uniqueness, the second-best tree, bottlenecks.

use crate::adjacency::Adjacency;
use crate::union_find::UnionFind;
use crate::{Forest, Graph, Weight};

/// What lies between two nodes in a forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// They are one.
    Nothing,
    /// The edge of the path that comes last in the order by `(weight, index)`. No path of the graph has a lighter heaviest
    /// edge: a minimum spanning tree is a bottleneck tree.
    Heaviest(u32),
    /// No path joins them.
    Apart,
}

/// Answers which edge of a forest is the heaviest between two nodes, in `O(log n)`: the trees are joined again in order,
/// smaller under larger, and the answer is the last join on the way to where both meet.
#[derive(Clone, Debug)]
pub struct Bottlenecks {
    parents: Vec<u32>,
    /// When a node was hung onto its parent: by which of the forest's edges, counted in order.
    times: Vec<u32>,
    edges: Vec<u32>,
}

impl Bottlenecks {
    /// Of a forest.
    pub fn new<W: Weight>(graph: Graph<'_, W>, forest: &[u32]) -> Self {
        let n = graph.nodes();
        let mut edges = forest.to_vec();
        edges.sort_unstable_by_key(|&edge| (graph.key(edge as usize), edge));
        let mut bottlenecks = Self { parents: (0..n as u32).collect(), times: vec![u32::MAX; n], edges };
        let mut sizes = vec![1_u32; n];
        for time in 0..forest.len() {
            let edge = bottlenecks.edges[time];
            let (a, b) = graph.ends(edge as usize);
            let (a, b) = (bottlenecks.root(a), bottlenecks.root(b));
            let (above, below) = if sizes[a as usize] >= sizes[b as usize] { (a, b) } else { (b, a) };
            bottlenecks.parents[below as usize] = above;
            bottlenecks.times[below as usize] = time as u32;
            sizes[above as usize] += sizes[below as usize];
        }
        bottlenecks
    }

    fn root(&self, mut node: u32) -> u32 {
        while self.parents[node as usize] != node {
            node = self.parents[node as usize];
        }
        node
    }

    /// What lies between two nodes.
    pub fn between(&self, mut a: u32, mut b: u32) -> Between {
        let mut last = None;
        while a != b {
            // Joins come later towards the root, and a root has none.
            let (at_a, at_b) = (self.times[a as usize], self.times[b as usize]);
            if at_a == u32::MAX && at_b == u32::MAX {
                return Between::Apart;
            }
            if at_a < at_b {
                (last, a) = (Some(at_a), self.parents[a as usize]);
            } else {
                (last, b) = (Some(at_b), self.parents[b as usize]);
            }
        }
        last.map_or(Between::Nothing, |time| Between::Heaviest(self.edges[time as usize]))
    }
}

/// Why edges are no minimum spanning forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// This edge of the forest closes a circle.
    Circle(u32),
    /// This edge of the graph joins two trees.
    NotSpanning(u32),
    /// This edge is lighter than the heaviest between its ends: the forest breaks the property of cycles.
    Lighter(u32),
}

/// Looks whether edges are a minimum spanning forest, whoever found them: no circles, no edge of the graph between two
/// trees, and none lighter than the heaviest of the path that it would close (the property of cycles).
///
/// # Errors
/// With the first flaw.
pub fn verify<W: Weight>(graph: Graph<'_, W>, forest: &[u32]) -> Result<(), Flaw> {
    let mut sets = UnionFind::new(graph.nodes());
    for &edge in forest {
        let (a, b) = graph.ends(edge as usize);
        if !sets.join(a, b) {
            return Err(Flaw::Circle(edge));
        }
    }
    let bottlenecks = Bottlenecks::new(graph, forest);
    for edge in 0..graph.edges() as u32 {
        let (a, b) = graph.ends(edge as usize);
        match bottlenecks.between(a, b) {
            Between::Apart => return Err(Flaw::NotSpanning(edge)),
            Between::Heaviest(heaviest) if graph.key(edge as usize) < graph.key(heaviest as usize) => {
                return Err(Flaw::Lighter(edge));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The second-best spanning forest: the least change of weight by one exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecondBest {
    /// Comes in.
    pub enters: u32,
    /// Goes.
    pub leaves: u32,
    /// How much heavier the forest gets; zero where the best is not unique.
    pub increase: f64,
}

/// The exchange that gives the second-best spanning forest, or none where no edge is left out but loops.
pub fn second_best<W: Weight>(graph: Graph<'_, W>, forest: &Forest) -> Option<SecondBest> {
    let bottlenecks = Bottlenecks::new(graph, &forest.edges);
    let mut inside = vec![false; graph.edges()];
    for &edge in &forest.edges {
        inside[edge as usize] = true;
    }
    let exchange = |enters: u32| {
        let (a, b) = graph.ends(enters as usize);
        match bottlenecks.between(a, b) {
            Between::Heaviest(leaves) if !inside[enters as usize] => {
                let increase = graph.weight(enters as usize).value() - graph.weight(leaves as usize).value();
                // The difference of equal infinities.
                let increase = if increase.is_nan() { 0.0 } else { increase };
                Some(SecondBest { enters, leaves, increase })
            }
            _ => None,
        }
    };
    (0..graph.edges() as u32).filter_map(exchange).min_by(|a, b| a.increase.total_cmp(&b.increase))
}

/// In which of a graph's minimum spanning forests an edge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// In all: taking it away would make every forest heavier or fall apart.
    Every,
    /// In some, for another of the same weight can take its place.
    Some,
    /// In none.
    No,
}

/// For each edge, in which minimum spanning forests it is. The forest is unique where none is in some only, and it is where
/// all weights differ.
///
/// Edges of one weight, seen with all lighter ones contracted: a loop is in no forest, a bridge in every one, and each other
/// edge in some. `O(m log m)`.
pub fn membership<W: Weight>(graph: Graph<'_, W>) -> Vec<Membership> {
    let mut order: Vec<u32> = (0..graph.edges() as u32).collect();
    order.sort_unstable_by_key(|&edge| (graph.key(edge as usize), edge));
    let mut sets = UnionFind::new(graph.nodes());
    let mut result = vec![Membership::No; graph.edges()];
    // Numbers of the contracted nodes within a group of equal weights.
    let mut numbers = vec![u32::MAX; graph.nodes()];
    for group in order.chunk_by(|&a, &b| graph.key(a as usize) == graph.key(b as usize)) {
        let mut roots = Vec::new();
        let mut links = Vec::new();
        for &edge in group {
            let (a, b) = graph.ends(edge as usize);
            let (a, b) = (sets.find(a), sets.find(b));
            if a == b {
                continue;
            }
            let ends = [a, b].map(|root| {
                if numbers[root as usize] == u32::MAX {
                    numbers[root as usize] = roots.len() as u32;
                    roots.push(root);
                }
                numbers[root as usize]
            });
            links.push((ends, edge));
            result[edge as usize] = Membership::Some;
        }
        for link in bridges(roots.len(), &links) {
            result[links[link].1 as usize] = Membership::Every;
        }
        for root in roots {
            numbers[root as usize] = u32::MAX;
        }
        for (_, edge) in links {
            let (a, b) = graph.ends(edge as usize);
            sets.join(a, b);
        }
    }
    result
}

/// The links without which a part falls apart (Tarjan 1974), by a search whose stack is on the heap.
fn bridges(nodes: usize, links: &[([u32; 2], u32)]) -> Vec<usize> {
    let adjacency = Adjacency::new(nodes, links.iter().map(|&([a, b], _)| (a, b)));
    let mut seen = vec![usize::MAX; nodes];
    let mut low = vec![0; nodes];
    let (mut found, mut clock) = (Vec::new(), 0);
    for start in 0..nodes {
        if seen[start] != usize::MAX {
            continue;
        }
        // A node, the link that it was reached by, and the next of its links.
        let mut stack = vec![(start, usize::MAX, 0)];
        (seen[start], low[start], clock) = (clock, clock, clock + 1);
        while let Some(top) = stack.last_mut() {
            let (node, by, place) = *top;
            if let Some(&(to, link)) = adjacency.of(node as u32).get(place) {
                top.2 += 1;
                let (to, link) = (to as usize, link as usize);
                if seen[to] == usize::MAX {
                    (seen[to], low[to], clock) = (clock, clock, clock + 1);
                    stack.push((to, link, 0));
                } else if link != by {
                    low[node] = low[node].min(seen[to]);
                }
                continue;
            }
            stack.pop();
            if let Some(&(parent, ..)) = stack.last() {
                low[parent] = low[parent].min(low[node]);
                if low[node] > seen[parent] {
                    found.push(by);
                }
            }
        }
    }
    found
}
