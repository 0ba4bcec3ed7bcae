//! The links at each node.

/// Node `i` has `list[starts[i]..starts[i + 1]]`.
pub(crate) struct Adjacency {
    starts: Vec<usize>,
    list: Vec<(u32, u32)>,
}

impl Adjacency {
    /// Of links by their ends; a loop stands twice at its node.
    pub(crate) fn new(nodes: usize, ends: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0; nodes + 1];
        for node in ends.clone().flat_map(|(a, b)| [a, b]) {
            starts[node as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut list = vec![(0, 0); starts[nodes]];
        for (link, (a, b)) in (0..).zip(ends) {
            for (from, to) in [(a, b), (b, a)] {
                let place = &mut next[from as usize];
                list[*place] = (to, link);
                *place += 1;
            }
        }
        Self { starts, list }
    }

    /// For each link of a node the other end, and which it is.
    pub(crate) fn of(&self, node: u32) -> &[(u32, u32)] {
        &self.list[self.starts[node as usize]..self.starts[node as usize + 1]]
    }
}
