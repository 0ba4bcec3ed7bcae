//! Disjoint sets (Tarjan 1975): linked by index, paths halved.

/// Sets of `0..n`.
#[derive(Clone, Debug)]
pub(crate) struct UnionFind {
    parents: Vec<u32>,
}

impl UnionFind {
    pub(crate) fn new(n: usize) -> Self {
        Self { parents: (0..n as u32).collect() }
    }

    /// The set's least element or another that stands for it; halves the path to it.
    pub(crate) fn find(&mut self, mut node: u32) -> u32 {
        loop {
            let parent = self.parents[node as usize];
            if parent == node {
                return node;
            }
            let above = self.parents[parent as usize];
            self.parents[node as usize] = above;
            node = above;
        }
    }

    /// What stands for the set, if nothing was joined since [`UnionFind::flatten`]; for many readers at once.
    pub(crate) fn flat(&self, node: u32) -> u32 {
        self.parents[node as usize]
    }

    /// Joins two sets; whether they were two. The root that a hash puts first stays, which keeps trees as low as random
    /// linking does (Goel et al. 2014).
    pub(crate) fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        let rank = |node: u32| node.wrapping_mul(0x9e37_79b1);
        let (above, below) = if rank(a) > rank(b) { (a, b) } else { (b, a) };
        self.parents[below as usize] = above;
        true
    }

    /// Makes every path one step long.
    pub(crate) fn flatten(&mut self) {
        for node in 0..self.parents.len() as u32 {
            let root = self.find(node);
            self.parents[node as usize] = root;
        }
    }

    /// The number of each element's set, sets being numbered as their first elements come; and how many there are.
    pub(crate) fn labels(&mut self) -> (Vec<u32>, usize) {
        let elements = self.parents.len();
        let mut numbers = vec![u32::MAX; elements];
        let mut sets = 0;
        let label = |element: u32| {
            let number = &mut numbers[self.find(element) as usize];
            if *number == u32::MAX {
                *number = sets;
                sets += 1;
            }
            *number
        };
        let labels = (0..elements as u32).map(label).collect();
        (labels, sets as usize)
    }
}
