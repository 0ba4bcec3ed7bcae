//! HDBSCAN (Campello, Moulavi and Sander 2013), exactly: the minimum spanning tree under the mutual-reachability distance, its
//! dendrogram, the condensed tree, and the clusters chosen from it.

use super::{CondensedTree, Selection, single_linkage};
use crate::points::nearest_points;
use crate::union_find::UnionFind;
use crate::{Error, PointTree, Points, core_distances, mutual_reachability_tree};

/// Which neighbour `min_samples` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// The `min_samples`-th other point, as the packages hdbscan and fast_hdbscan have it.
    Others,
    /// The point itself counts as the first, as scikit-learn has it.
    WithSelf,
}

/// What makes a cluster.
#[derive(Clone, Copy, Debug)]
pub struct HdbscanConfig {
    /// Points of the smallest cluster.
    pub min_cluster_size: usize,
    /// How many neighbours make a place dense; more leave more points as noise.
    pub min_samples: usize,
    /// How those are counted.
    pub convention: Convention,
    /// How clusters are chosen.
    pub selection: Selection,
    /// Whether all points may be one cluster.
    pub allow_single: bool,
}

/// Clusters of points.
#[derive(Clone, Debug)]
pub struct Clustering {
    /// The cluster of each point; none for noise.
    pub labels: Vec<Option<u32>>,
    /// How firmly each point belongs to its cluster, in `[0, 1]`; zero for noise.
    pub memberships: Vec<f64>,
    /// GLOSH: how far each point lies outside of what is dense near it, in `[0, 1]`.
    pub outlier_scores: Vec<f64>,
    /// The chosen clusters' numbers in the condensed tree, by label.
    pub chosen: Vec<u32>,
    /// The condensed tree.
    pub condensed: CondensedTree,
    /// The spanning tree under the mutual-reachability distance.
    pub tree: PointTree,
    core: Vec<f64>,
    neighbours: usize,
}

/// Where a new point belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The cluster; none for noise.
    pub label: Option<u32>,
    /// How firmly it belongs there.
    pub membership: f64,
}

/// The link at which two clusters first meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separation {
    /// One cluster.
    pub first: u32,
    /// The other.
    pub second: u32,
    /// The link, by its place in the tree.
    pub link: u32,
}

/// Clusters by density.
///
/// # Errors
/// When `min_cluster_size` is below 2 or `min_samples` below 1.
pub fn hdbscan(points: Points<'_>, config: &HdbscanConfig) -> Result<Clustering, Error> {
    if config.min_cluster_size < 2 || config.min_samples < 1 {
        return Err(Error::Shape(format!(
            "a cluster has at least 2 points and a dense place at least 1 neighbour, not {} and {}",
            config.min_cluster_size, config.min_samples
        )));
    }
    let neighbours = match config.convention {
        Convention::Others => config.min_samples,
        Convention::WithSelf => config.min_samples - 1,
    };
    let core = core_distances(points, neighbours);
    let tree = mutual_reachability_tree(points, &core);
    let merges = single_linkage(points.len(), &tree.links);
    let condensed = CondensedTree::new(points.len(), &merges, config.min_cluster_size);
    let chosen = condensed.select(config.selection, config.allow_single);
    let outlier_scores = condensed.outlier_scores();
    let mut clustering = Clustering {
        labels: Vec::new(),
        memberships: Vec::new(),
        outlier_scores,
        chosen,
        condensed,
        tree,
        core,
        neighbours,
    };
    let homes = clustering.homes();
    let placed =
        clustering.condensed.falls.iter().map(|fall| clustering.place(&homes, fall.cluster, fall.lambda));
    (clustering.labels, clustering.memberships) =
        placed.map(|prediction| (prediction.label, prediction.membership)).unzip();
    Ok(clustering)
}

impl Clustering {
    /// The label that each cluster of the condensed tree is part of.
    fn homes(&self) -> Vec<Option<u32>> {
        let mut homes = vec![None; self.condensed.parents.len()];
        for (label, &cluster) in self.chosen.iter().enumerate() {
            homes[cluster as usize] = Some(label as u32);
        }
        for cluster in 1..homes.len() {
            if homes[cluster].is_none() {
                homes[cluster] = homes[self.condensed.parents[cluster] as usize];
            }
        }
        homes
    }

    /// Where something belongs that leaves a cluster at a density.
    fn place(&self, homes: &[Option<u32>], cluster: u32, lambda: f64) -> Prediction {
        const NOISE: Prediction = Prediction { label: None, membership: 0.0 };
        let Some(label) = homes[cluster as usize] else { return NOISE };
        let chosen = self.chosen[label as usize];
        let most = self.condensed.deaths[chosen as usize];
        // Where all points are one cluster, what leaves before the last is noise.
        if chosen == 0 && lambda < most && cluster == 0 {
            return NOISE;
        }
        let membership = if most == 0.0 || lambda.is_infinite() { 1.0 } else { lambda.min(most) / most };
        Prediction { label: Some(label), membership }
    }

    /// Where new points belong: each is joined to the point that is nearest by the mutual-reachability distance, and its
    /// density there says which of that point's clusters it reaches.
    ///
    /// # Errors
    /// When the dimensions differ.
    pub fn predict(&self, points: Points<'_>, new: Points<'_>) -> Result<Vec<Prediction>, Error> {
        if points.dimension() != new.dimension() || points.len() != self.labels.len() {
            return Err(Error::Shape(format!(
                "the clusters are of {} points of {} coordinates, not of {} points of {}",
                self.labels.len(),
                points.dimension(),
                points.len(),
                new.dimension()
            )));
        }
        let homes = self.homes();
        let count = (2 * self.neighbours).max(1).min(points.len());
        let core_rank = self.neighbours.clamp(1, count) - 1;
        let predict = |found: Vec<(u32, f64)>| {
            let core = if self.neighbours == 0 { 0.0 } else { found[core_rank].1 };
            let reach =
                |&(point, distance): &(u32, f64)| (self.core[point as usize].max(core).max(distance), point);
            let nearest = found.iter().map(reach).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let (distance, point) = nearest.unwrap_or((f64::INFINITY, 0));
            let lambda = if distance > 0.0 { distance.recip() } else { f64::INFINITY };
            let mut cluster = self.condensed.falls[point as usize].cluster;
            while cluster > 0 && self.condensed.births[cluster as usize] > lambda {
                cluster = self.condensed.parents[cluster as usize];
            }
            self.place(&homes, cluster, lambda)
        };
        Ok(nearest_points(points, new, count).into_iter().map(predict).collect())
    }

    /// For each pair of clusters, the link of the tree at which they first meet: what separates them.
    pub fn separations(&self) -> Vec<Separation> {
        let n = self.labels.len();
        let mut sets = UnionFind::new(n);
        // The clusters in each set, by its root.
        let mut inside: Vec<Vec<u32>> =
            self.labels.iter().map(|label| label.iter().copied().collect()).collect();
        let mut found: Vec<Separation> = Vec::new();
        for (link, ends) in self.tree.links.iter().enumerate() {
            let (a, b) = (sets.find(ends.a), sets.find(ends.b));
            sets.join(a, b);
            let root = sets.find(a) as usize;
            let [mut one, mut other] = [a, b].map(|set| std::mem::take(&mut inside[set as usize]));
            if one.len() < other.len() {
                std::mem::swap(&mut one, &mut other);
            }
            for label in other {
                if one.contains(&label) {
                    continue;
                }
                let meets = one.iter().map(|&met| Separation {
                    first: met.min(label),
                    second: met.max(label),
                    link: link as u32,
                });
                // Parts of one cluster may meet by way of others, and then the first meeting counts.
                let fresh: Vec<Separation> = meets
                    .filter(|meet| !found.iter().any(|f| (f.first, f.second) == (meet.first, meet.second)))
                    .collect();
                found.extend(fresh);
                one.push(label);
            }
            inside[root] = one;
        }
        found
    }
}
