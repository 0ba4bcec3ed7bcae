//! The condensed tree of a dendrogram: clusters that split into two of at least a least size, and points that fall out of
//! them (Campello, Moulavi and Sander 2013; McInnes and Healy 2017).

use super::Merge;

/// How clusters are chosen from the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Selection {
    /// Those whose stability is more than that of what is below them: excess of mass.
    #[cfg_attr(feature = "clap", value(name = "eom"))]
    ExcessOfMass,
    /// Those that do not split: many, and of like size.
    Leaf,
}

/// A point leaves a cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fall {
    /// From which.
    pub cluster: u32,
    /// At which density `1 / distance`.
    pub lambda: f64,
}

/// Clusters `0..`, of which 0 is all points, parents before children.
#[derive(Clone, Debug)]
pub struct CondensedTree {
    /// The cluster that each split off from; 0 for the first.
    pub parents: Vec<u32>,
    /// The density at which each comes to be; zero for the first.
    pub births: Vec<f64>,
    /// Points of each when it comes to be.
    pub sizes: Vec<u32>,
    /// `sum (lambda_leave - lambda_birth)` over the points of each, those that go on in a child leaving when it splits.
    pub stabilities: Vec<f64>,
    /// The greatest density at which a point or child leaves each.
    pub deaths: Vec<f64>,
    /// How each point leaves.
    pub falls: Vec<Fall>,
}

/// What a stretch from birth to leaving adds, for infinite densities too: those of copies of a point.
fn stretch(leave: f64, birth: f64) -> f64 {
    if leave == birth { 0.0 } else { leave - birth }
}

impl CondensedTree {
    /// From a dendrogram: going down, a split where both sides have `least` points makes two clusters, and a smaller side's
    /// points fall out.
    pub fn new(points: usize, merges: &[Merge], least: usize) -> Self {
        let mut tree = Self {
            parents: vec![0],
            births: vec![0.0],
            sizes: vec![points as u32],
            stabilities: vec![0.0],
            deaths: vec![0.0],
            falls: vec![Fall { cluster: 0, lambda: 0.0 }; points],
        };
        let size = |node: u32| {
            if (node as usize) < points { 1 } else { merges[node as usize - points].size as usize }
        };
        if merges.is_empty() {
            return tree;
        }
        // Breadth first, so that clusters are numbered by level.
        let mut level = vec![((points + merges.len() - 1) as u32, 0_u32)];
        while !level.is_empty() {
            let mut next = Vec::new();
            for (node, cluster) in level {
                if (node as usize) < points {
                    continue;
                }
                let Merge { left, right, height, .. } = merges[node as usize - points];
                let lambda = if height > 0.0 { height.recip() } else { f64::INFINITY };
                let sides = [left, right];
                let both = sides.iter().all(|&side| size(side) >= least);
                for side in sides {
                    if both {
                        let child = tree.split(cluster, lambda, size(side) as u32);
                        next.push((side, child));
                    } else if size(side) >= least {
                        next.push((side, cluster));
                    } else {
                        tree.drop_out(merges, points, side, Fall { cluster, lambda });
                    }
                }
            }
            level = next;
        }
        tree
    }

    fn split(&mut self, parent: u32, lambda: f64, size: u32) -> u32 {
        self.leave(parent, lambda, size);
        self.parents.push(parent);
        self.births.push(lambda);
        self.sizes.push(size);
        self.stabilities.push(0.0);
        self.deaths.push(0.0);
        self.parents.len() as u32 - 1
    }

    fn drop_out(&mut self, merges: &[Merge], points: usize, node: u32, fall: Fall) {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if (node as usize) < points {
                self.falls[node as usize] = fall;
                self.leave(fall.cluster, fall.lambda, 1);
            } else {
                let Merge { left, right, .. } = merges[node as usize - points];
                stack.extend([left, right]);
            }
        }
    }

    fn leave(&mut self, cluster: u32, lambda: f64, size: u32) {
        let cluster = cluster as usize;
        self.stabilities[cluster] += stretch(lambda, self.births[cluster]) * f64::from(size);
        self.deaths[cluster] = self.deaths[cluster].max(lambda);
    }

    /// The chosen clusters, in order. The first, which is all points, is among them only where `allow_single` is.
    pub fn select(&self, selection: Selection, allow_single: bool) -> Vec<u32> {
        let count = self.parents.len();
        let mut chosen = vec![false; count];
        match selection {
            Selection::Leaf => {
                chosen.fill(true);
                for child in 1..count {
                    chosen[self.parents[child] as usize] = false;
                }
                chosen[0] = chosen[0] && allow_single;
            }
            Selection::ExcessOfMass => {
                let mut below = vec![0.0; count];
                for cluster in (0..count).rev() {
                    let own = self.stabilities[cluster];
                    chosen[cluster] = below[cluster] <= own && (cluster > 0 || allow_single);
                    let value = if chosen[cluster] { own } else { below[cluster] };
                    if cluster > 0 {
                        below[self.parents[cluster] as usize] += value;
                    }
                }
                // What lies below a chosen cluster is part of it.
                let mut inside = vec![false; count];
                for cluster in 1..count {
                    let parent = self.parents[cluster] as usize;
                    inside[cluster] = inside[parent] || chosen[parent];
                    chosen[cluster] &= !inside[cluster];
                }
            }
        }
        (0..count as u32).filter(|&cluster| chosen[cluster as usize]).collect()
    }

    /// The GLOSH outlier score of each point: how much sooner it leaves than the last of the densest below its cluster, in
    /// `[0, 1]` (Campello et al. 2015).
    pub fn outlier_scores(&self) -> Vec<f64> {
        let mut densest = self.deaths.clone();
        for cluster in (1..densest.len()).rev() {
            let parent = self.parents[cluster] as usize;
            densest[parent] = densest[parent].max(densest[cluster]);
        }
        let score = |fall: &Fall| {
            let most = densest[fall.cluster as usize];
            if most == 0.0 || fall.lambda.is_infinite() {
                0.0
            } else if most.is_infinite() {
                1.0
            } else {
                (most - fall.lambda) / most
            }
        };
        self.falls.iter().map(score).collect()
    }
}
