//! Single linkage: a spanning tree's edges, lightest first, are the merges of its dendrogram (Gower and Ross 1969).

use crate::Link;
use crate::union_find::UnionFind;

/// Two clusters become one. Numbers below the number of points are points; the `k`-th merge makes cluster `points + k`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Merge {
    /// One cluster.
    pub left: u32,
    /// The other.
    pub right: u32,
    /// The distance at which they merge.
    pub height: f64,
    /// Points of both.
    pub size: u32,
}

/// The dendrogram of a spanning tree whose links are in order, as all of this crate are. `O(n alpha(n))`.
pub fn single_linkage(points: usize, links: &[Link]) -> Vec<Merge> {
    let mut sets = UnionFind::new(points);
    // Which cluster the set of a root is, and its points.
    let mut clusters: Vec<u32> = (0..points as u32).collect();
    let mut sizes = vec![1_u32; points];
    let mut merges = Vec::with_capacity(links.len());
    for link in links {
        let (a, b) = (sets.find(link.a), sets.find(link.b));
        let (left, right) = (clusters[a as usize], clusters[b as usize]);
        let size = sizes[a as usize] + sizes[b as usize];
        sets.join(a, b);
        let root = sets.find(a) as usize;
        clusters[root] = (points + merges.len()) as u32;
        sizes[root] = size;
        merges.push(Merge { left: left.min(right), right: left.max(right), height: link.weight, size });
    }
    merges
}

/// Labels of `clusters` clusters: the heaviest links are cut (Zahn 1971). Clusters are numbered as their first points come.
pub fn cut(points: usize, links: &[Link], clusters: usize) -> Vec<usize> {
    let mut sets = UnionFind::new(points);
    let kept = (links.len() + 1).saturating_sub(clusters.max(1));
    for link in &links[..kept] {
        sets.join(link.a, link.b);
    }
    sets.labels().0.into_iter().map(|label| label as usize).collect()
}
