//! The network simplex method on a bipartite graph whose arcs may be added to while it runs.
//!
//! The basis is a spanning tree rooted at an extra node, to which every other node starts out joined by an artificial arc.
//! A pivot takes in an arc whose reduced cost `c - f_i - g_j` is negative, sends around the cycle that it closes as much
//! as the flows against it allow, and drops the arc that is emptied. Trees stay strongly feasible (Cunningham 1976: an
//! arc without flow points to the root), so that pivots that move nothing cannot go round in circles.

/// An arc from a source to a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arc {
    pub(crate) source: u32,
    /// Counted after the sources.
    pub(crate) target: u32,
    pub(crate) cost: f64,
}

const NONE: u32 = u32::MAX;

/// A node's place in the tree, and the arc that joins it to its parent.
#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    first_child: u32,
    next_sibling: u32,
    previous_sibling: u32,
    depth: u32,
    /// Of the arc to the parent among all arcs; `NONE` for an artificial one.
    arc: u32,
    /// Whether that arc points to the parent.
    upward: bool,
    flow: i64,
}

/// The state of the method.
pub(crate) struct Simplex {
    nodes: Vec<Node>,
    /// The potential of each node: `f_i = -potential`, `g_j = potential`, but for the root's.
    potentials: Vec<f64>,
    arcs: Vec<Arc>,
    /// The price of artificial arcs: they leave the tree as soon as others can.
    artificial: Vec<f64>,
    /// Where the next search for an arc begins.
    next: usize,
    /// Reduced costs above minus this are rounding.
    tolerance: f64,
    pub(crate) pivots: u64,
}

impl Simplex {
    /// The tree of artificial arcs alone. `prices` are guesses of `f` and `g`: an artificial arc costs its node's guess and
    /// `big`, so that the arcs that are tried first are those that the guesses say lie in the plan.
    pub(crate) fn new(
        supply: &[i64],
        demand: &[i64],
        prices: (&[f64], &[f64]),
        big: f64,
        tolerance: f64,
    ) -> Self {
        let (n, m) = (supply.len(), demand.len());
        let root = (n + m) as u32;
        let mut nodes = Vec::with_capacity(n + m + 1);
        for (index, &mass) in supply.iter().chain(demand).enumerate() {
            let last = index + 1 == n + m;
            nodes.push(Node {
                parent: root,
                first_child: NONE,
                next_sibling: if last { NONE } else { index as u32 + 1 },
                previous_sibling: if index == 0 { NONE } else { index as u32 - 1 },
                depth: 1,
                arc: NONE,
                // An arc without flow must point to the root.
                upward: index < n || mass == 0,
                flow: mass,
            });
        }
        nodes.push(Node {
            parent: NONE,
            first_child: 0,
            next_sibling: NONE,
            previous_sibling: NONE,
            depth: 0,
            arc: NONE,
            upward: false,
            flow: 0,
        });
        let artificial: Vec<f64> = prices.0.iter().chain(prices.1).map(|price| price + big).collect();
        let potential = |(index, &cost): (usize, &f64)| if nodes[index].upward { -cost } else { cost };
        let mut potentials: Vec<f64> = artificial.iter().enumerate().map(potential).collect();
        potentials.push(0.0);
        Self { nodes, potentials, arcs: Vec::new(), artificial, next: 0, tolerance, pivots: 0 }
    }

    /// More arcs to choose from.
    pub(crate) fn add(&mut self, arcs: impl IntoIterator<Item = Arc>) {
        self.next = self.arcs.len();
        self.arcs.extend(arcs);
    }

    /// Pivots until no arc has a negative reduced cost.
    pub(crate) fn solve(&mut self) {
        while let Some((index, reduced)) = self.entering() {
            dozen_run::stop_point();
            self.pivot(index, reduced);
            self.pivots += 1;
        }
        self.recompute_potentials();
    }

    /// The prices `f` of sources and `g` of targets, of all that differ by what moves from one side to the other those with
    /// equal means: the smallest, and so the least rounded.
    pub(crate) fn prices(&self, sources: usize) -> (Vec<f64>, Vec<f64>) {
        let (first, rest) = self.potentials.split_at(sources);
        let second = &rest[..rest.len() - 1];
        let mean = |potentials: &[f64]| potentials.iter().sum::<f64>() / potentials.len() as f64;
        let shift = f64::midpoint(mean(first), mean(second));
        let f = first.iter().map(|potential| shift - potential).collect();
        (f, second.iter().map(|potential| potential - shift).collect())
    }

    /// Every arc of the tree with flow: arc and flow; and the flow that still takes artificial arcs.
    pub(crate) fn flows(&self) -> (Vec<(Arc, i64)>, i64) {
        let mut flows = Vec::new();
        let mut artificial = 0;
        for node in self.nodes.iter().filter(|node| node.flow > 0) {
            match node.arc {
                NONE => artificial += node.flow,
                arc => flows.push((self.arcs[arc as usize], node.flow)),
            }
        }
        (flows, artificial)
    }

    /// An arc of negative reduced cost: the most negative of the first block, from where the last search ended, that has
    /// any.
    fn entering(&mut self) -> Option<(usize, f64)> {
        let count = self.arcs.len();
        let block = (count as f64).sqrt().ceil().max(32.0) as usize;
        let mut best = (usize::MAX, -self.tolerance);
        let mut seen = 0;
        let mut start = self.next;
        while seen < count {
            if start >= count {
                start = 0;
            }
            let end = (start + block).min(count);
            for (offset, arc) in self.arcs[start..end].iter().enumerate() {
                let reduced =
                    arc.cost + self.potentials[arc.source as usize] - self.potentials[arc.target as usize];
                if reduced < best.1 {
                    best = (start + offset, reduced);
                }
            }
            seen += end - start;
            start = end;
            if best.0 != usize::MAX {
                self.next = start;
                return Some(best);
            }
        }
        None
    }

    fn pivot(&mut self, entering: usize, reduced: f64) {
        let Arc { source, target, .. } = self.arcs[entering];
        let join = self.join(source, target);
        // Along the cycle, flow goes up from the target and down to the source; the last arc that is emptied leaves.
        let (mut least, mut leaving, mut on_source_side) = (i64::MAX, NONE, false);
        let mut node = source;
        while node != join {
            let Node { upward, flow, parent, .. } = self.nodes[node as usize];
            if upward && flow < least {
                (least, leaving, on_source_side) = (flow, node, true);
            }
            node = parent;
        }
        let mut node = target;
        while node != join {
            let Node { upward, flow, parent, .. } = self.nodes[node as usize];
            if !upward && flow <= least {
                (least, leaving, on_source_side) = (flow, node, false);
            }
            node = parent;
        }
        if least > 0 {
            self.push(source, join, least, true);
            self.push(target, join, least, false);
        }
        let (inside, outside) = if on_source_side { (source, target) } else { (target, source) };
        self.hang(inside, outside, leaving, entering as u32, on_source_side, least);
        // The part that was cut off takes up the reduced cost of the arc that joins it again.
        let shift = if on_source_side { -reduced } else { reduced };
        self.shift_subtree(inside, shift);
    }

    /// Where the paths from two nodes to the root meet.
    fn join(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            let (at_a, at_b) = (&self.nodes[a as usize], &self.nodes[b as usize]);
            if at_a.depth >= at_b.depth {
                a = at_a.parent;
            } else {
                b = at_b.parent;
            }
        }
        a
    }

    /// Changes the flows from a node up to the join: against upward arcs from the source's side, along them from the
    /// target's.
    fn push(&mut self, mut node: u32, join: u32, amount: i64, source_side: bool) {
        while node != join {
            let node_ref = &mut self.nodes[node as usize];
            node_ref.flow += if node_ref.upward == source_side { -amount } else { amount };
            node = node_ref.parent;
        }
    }

    /// Cuts the tree above `leaving` and hangs the part below, turned so that `inside` is its top, onto `outside` by the
    /// entering arc.
    fn hang(&mut self, inside: u32, outside: u32, leaving: u32, arc: u32, upward: bool, flow: i64) {
        let (mut node, mut parent, mut joined) = (inside, outside, (arc, upward, flow));
        loop {
            let old = self.nodes[node as usize];
            self.detach(node);
            self.attach(node, parent);
            let current = &mut self.nodes[node as usize];
            (current.arc, current.upward, current.flow) = joined;
            if node == leaving {
                return;
            }
            parent = node;
            joined = (old.arc, !old.upward, old.flow);
            node = old.parent;
        }
    }

    fn detach(&mut self, node: u32) {
        let Node { parent, next_sibling, previous_sibling, .. } = self.nodes[node as usize];
        match previous_sibling {
            NONE => self.nodes[parent as usize].first_child = next_sibling,
            previous => self.nodes[previous as usize].next_sibling = next_sibling,
        }
        if next_sibling != NONE {
            self.nodes[next_sibling as usize].previous_sibling = previous_sibling;
        }
    }

    fn attach(&mut self, node: u32, parent: u32) {
        let first = std::mem::replace(&mut self.nodes[parent as usize].first_child, node);
        if first != NONE {
            self.nodes[first as usize].previous_sibling = node;
        }
        let node = &mut self.nodes[node as usize];
        (node.parent, node.next_sibling, node.previous_sibling) = (parent, first, NONE);
    }

    /// Adds to the potentials of a subtree, and puts its depths right.
    fn shift_subtree(&mut self, top: u32, shift: f64) {
        self.visit_subtree(top, |simplex, node| {
            simplex.potentials[node as usize] += shift;
            let parent = simplex.nodes[node as usize].parent;
            simplex.nodes[node as usize].depth = simplex.nodes[parent as usize].depth + 1;
        });
    }

    /// The potentials from the costs of the tree's arcs, without the rounding of many pivots.
    fn recompute_potentials(&mut self) {
        let root = self.nodes.len() as u32 - 1;
        let mut child = self.nodes[root as usize].first_child;
        while child != NONE {
            self.visit_subtree(child, |simplex, node| {
                let Node { parent, arc, upward, .. } = simplex.nodes[node as usize];
                let cost = if arc == NONE {
                    simplex.artificial[node as usize]
                } else {
                    simplex.arcs[arc as usize].cost
                };
                let above = simplex.potentials[parent as usize];
                simplex.potentials[node as usize] = if upward { above - cost } else { above + cost };
            });
            child = self.nodes[child as usize].next_sibling;
        }
    }

    /// Calls `f` for each node of a subtree, parents before children.
    fn visit_subtree(&mut self, top: u32, mut f: impl FnMut(&mut Self, u32)) {
        let mut node = top;
        loop {
            f(self, node);
            let mut at = self.nodes[node as usize];
            if at.first_child != NONE {
                node = at.first_child;
                continue;
            }
            while at.next_sibling == NONE || node == top {
                if node == top {
                    return;
                }
                node = at.parent;
                at = self.nodes[node as usize];
            }
            node = at.next_sibling;
        }
    }
}
