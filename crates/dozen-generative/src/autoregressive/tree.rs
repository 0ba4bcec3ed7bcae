//! The Chow-Liu tree (Chow and Liu 1968): the best distribution in which each column has at most one parent.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_data::Matrix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::layout::{Layout, Variable, offsets};

/// Added to each cell of a table of two columns before it is normalised, so that no probability is zero.
const SMOOTHING: f64 = 0.1;

/// A tree over columns. Bits and categories have tables, real columns are linear Gaussian; an edge joins only columns
/// of the same sort, so that a mixed table may fall into a forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// The columns, parents before children.
    pub(crate) order: Vec<usize>,
    /// By column.
    pub(crate) nodes: Vec<Node>,
}

/// A column given its parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) parent: Option<usize>,
    pub(crate) conditional: Conditional,
}

/// `p(x | parent)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Conditional {
    /// `log_p[parent level][level]`; one row for a root.
    Table(Vec<Vec<f64>>),
    /// `N(slope parent, deviation^2)` in standardised units.
    Gaussian { slope: f64, deviation: f64 },
}

impl Tree {
    /// Fits structure and tables to rows of cells, in `O(columns^2 rows / 64)` for bits.
    pub(crate) fn fit(cells: &Matrix, variables: &[Variable]) -> Self {
        let columns: Vec<Summary> =
            (0..variables.len()).map(|c| Summary::new(cells, c, variables[c])).collect();
        let n = columns.len();
        let information: Vec<Vec<f64>> = (0..n)
            .into_par_iter()
            .map(|i| (0..i).map(|j| columns[i].mutual_information(&columns[j])).collect())
            .collect();
        let edge = |i: usize, j: usize| if i > j { information[i][j] } else { information[j][i] };
        let total = |i: usize| (0..n).filter(|&j| j != i).map(|j| edge(i, j)).sum::<f64>();
        let root = (0..n).max_by(|&a, &b| total(a).total_cmp(&total(b))).unwrap_or(0);
        let parents = maximum_spanning_tree(n, root, edge);
        let nodes = (0..n)
            .map(|c| {
                let parent = parents[c].filter(|&p| columns[c].is_discrete() == columns[p].is_discrete());
                Node { parent, conditional: columns[c].given(parent.map(|p| &columns[p])) }
            })
            .collect();
        Self { order: breadth_first(&parents, root), nodes }
    }

    /// Independent columns, in the same terms.
    pub(crate) fn independent(cells: &Matrix, variables: &[Variable]) -> Self {
        let nodes = (0..variables.len())
            .map(|c| Node { parent: None, conditional: Summary::new(cells, c, variables[c]).given(None) })
            .collect();
        Self { order: (0..variables.len()).collect(), nodes }
    }

    /// The log-probability of a row of cells, in nats; real columns in standardised units.
    pub(crate) fn log_prob(&self, row: &[f32]) -> f64 {
        self.nodes
            .iter()
            .zip(row)
            .map(|(node, &cell)| match &node.conditional {
                Conditional::Table(table) => table[node.parent.map_or(0, |p| row[p] as usize)][cell as usize],
                Conditional::Gaussian { slope, deviation } => {
                    let mean = node.parent.map_or(0.0, |p| slope * f64::from(row[p]));
                    let z = (f64::from(cell) - mean) / deviation;
                    -0.5 * z * z - deviation.ln() - 0.5 * std::f64::consts::TAU.ln()
                }
            })
            .sum()
    }
}

/// What the fit needs of a column: for each level the rows that have it, as a set of bits; or the values.
enum Summary {
    Discrete { rows: usize, levels: Vec<Vec<u64>> },
    Real(Vec<f64>),
}

impl Summary {
    fn new(cells: &Matrix, column: usize, variable: Variable) -> Self {
        let values = (0..cells.rows()).map(|row| cells.row(row)[column]);
        let levels = match variable {
            Variable::Real => return Self::Real(values.map(f64::from).collect()),
            Variable::Binary => 2,
            Variable::Categorical { levels } => levels,
        };
        let mut sets = vec![vec![0; cells.rows().div_ceil(64)]; levels];
        for (row, value) in values.enumerate() {
            sets[value as usize][row / 64] |= 1 << (row % 64);
        }
        Self::Discrete { rows: cells.rows(), levels: sets }
    }

    fn is_discrete(&self) -> bool {
        matches!(self, Self::Discrete { .. })
    }

    /// In nats; zero between columns of different sorts.
    fn mutual_information(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Discrete { .. }, Self::Discrete { .. }) => {
                let joint = self.joint(other);
                let rows: Vec<f64> = joint.iter().map(|row| row.iter().sum()).collect();
                let columns: Vec<f64> =
                    (0..joint[0].len()).map(|c| joint.iter().map(|row| row[c]).sum()).collect();
                let term = |r: usize, c: usize| joint[r][c] * (joint[r][c] / (rows[r] * columns[c])).ln();
                (0..rows.len())
                    .flat_map(|r| (0..columns.len()).map(move |c| (r, c)))
                    .map(|(r, c)| term(r, c))
                    .sum()
            }
            (Self::Real(a), Self::Real(b)) => {
                let correlation = slope(a, b).clamp(-0.999_999, 0.999_999);
                -0.5 * (1.0 - correlation * correlation).ln()
            }
            _ => 0.0,
        }
    }

    /// Smoothed joint probabilities `[level of self][level of other]`.
    fn joint(&self, other: &Self) -> Vec<Vec<f64>> {
        let (Self::Discrete { rows, levels: a }, Self::Discrete { levels: b, .. }) = (self, other) else {
            unreachable!("only discrete columns have a joint table")
        };
        let total = *rows as f64 + SMOOTHING * (a.len() * b.len()) as f64;
        let both = |x: &[u64], y: &[u64]| x.iter().zip(y).map(|(x, y)| (x & y).count_ones()).sum::<u32>();
        a.iter().map(|x| b.iter().map(|y| (f64::from(both(x, y)) + SMOOTHING) / total).collect()).collect()
    }

    fn given(&self, parent: Option<&Self>) -> Conditional {
        match (self, parent) {
            (Self::Real(values), parent) => {
                let parent = parent.and_then(|p| if let Self::Real(p) = p { Some(p) } else { None });
                let slope = parent.map_or(0.0, |parent| slope(values, parent).clamp(-0.999_999, 0.999_999));
                Conditional::Gaussian { slope, deviation: (1.0 - slope * slope).sqrt() }
            }
            (_, Some(parent)) => {
                Conditional::Table(parent.joint(self).iter().map(|row| log_normalized(row)).collect())
            }
            (Self::Discrete { levels, .. }, None) => {
                let ones = |set: &Vec<u64>| set.iter().map(|word| f64::from(word.count_ones())).sum::<f64>();
                let counts: Vec<f64> = levels.iter().map(|set| ones(set) + SMOOTHING).collect();
                Conditional::Table(vec![log_normalized(&counts)])
            }
        }
    }
}

/// The regression slope, which is the correlation where both are standardised.
fn slope(y: &[f64], x: &[f64]) -> f64 {
    let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
    product / x.iter().map(|x| x * x).sum::<f64>()
}

fn log_normalized(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum).ln()).collect()
}

/// Prim's algorithm on a dense graph, `O(n^2)`: each node's parent.
fn maximum_spanning_tree(n: usize, root: usize, weight: impl Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    let mut parents = vec![None; n];
    let mut best = vec![f64::NEG_INFINITY; n];
    let mut inside = vec![false; n];
    let mut next = Some(root);
    while let Some(node) = next {
        inside[node] = true;
        for other in (0..n).filter(|&other| !inside[other]) {
            if weight(node, other) > best[other] {
                best[other] = weight(node, other);
                parents[other] = Some(node);
            }
        }
        next = (0..n).filter(|&other| !inside[other]).max_by(|&a, &b| best[a].total_cmp(&best[b]));
    }
    parents
}

fn breadth_first(parents: &[Option<usize>], root: usize) -> Vec<usize> {
    let mut order = vec![root];
    let mut done = 0;
    while done < order.len() {
        let node = order[done];
        order.extend((0..parents.len()).filter(|&child| parents[child] == Some(node)));
        done += 1;
    }
    order
}

/// A tree to start direct connections from: its log-likelihood becomes the model's before any training.
pub(crate) struct TreeStart<'a>(pub(crate) &'a Tree);

impl TreeStart<'_> {
    /// The weights `[inputs, outputs]` and biases `[outputs]` that make each conditional the tree's.
    ///
    /// A bit given a bit is `logit p(1 | x) = l_0 + (l_1 - l_0) x`; a one-hot parent contributes its row of the table.
    pub(crate) fn connections(&self, layout: &Layout, device: &Device) -> (Tensor<2>, Tensor<1>) {
        let (input_starts, output_starts) = (offsets(&layout.input_sizes()), offsets(&layout.output_sizes()));
        let (inputs, outputs) = (input_starts[layout.len()], output_starts[layout.len()]);
        let mut weight = vec![0.0_f32; inputs * outputs];
        let mut bias = vec![0.0_f32; outputs];
        let mut position_of = vec![0; layout.len()];
        layout.order.iter().enumerate().for_each(|(position, &column)| position_of[column] = position);
        for (position, &column) in layout.order.iter().enumerate() {
            let node = &self.0.nodes[column];
            let parent = node.parent.map(|parent| position_of[parent]);
            let variable = layout.variables[position];
            let rows = output_rows(variable, &node.conditional, layout.mixtures);
            let start = output_starts[position];
            let one_hot = parent.is_some_and(|p| matches!(layout.variables[p], Variable::Categorical { .. }));
            for (k, output) in (start..output_starts[position + 1]).enumerate() {
                if one_hot {
                    let first = input_starts[parent.unwrap_or(0)];
                    rows.iter()
                        .enumerate()
                        .for_each(|(level, row)| weight[(first + level) * outputs + output] = row[k]);
                } else {
                    bias[output] = rows[0][k];
                    if let Some(parent) = parent {
                        weight[input_starts[parent] * outputs + output] = rows[1][k] - rows[0][k];
                    }
                }
            }
        }
        let weight = Tensor::from_data(TensorData::new(weight, [inputs, outputs]), device);
        (weight, Tensor::from_data(TensorData::new(bias, [outputs]), device))
    }
}

/// The outputs for each value of the parent: levels for a table; 0 and 1 for a real parent.
fn output_rows(variable: Variable, conditional: &Conditional, mixtures: usize) -> Vec<Vec<f32>> {
    match conditional {
        Conditional::Table(table) => table
            .iter()
            .map(|log_p| match variable {
                Variable::Binary => vec![(log_p[1] - log_p[0]) as f32],
                _ => log_p.iter().map(|&l| l as f32).collect(),
            })
            .collect(),
        Conditional::Gaussian { slope, deviation } => [0.0, 1.0]
            .iter()
            .map(|parent| {
                // Means are spread over the deviation, for equal Gaussians would stay equal.
                let place =
                    |m: usize| if mixtures == 1 { 0.0 } else { 2.0 * m as f64 / (mixtures - 1) as f64 - 1.0 };
                let means = (0..mixtures).map(|m| (slope * parent + deviation * place(m)) as f32);
                let weights = std::iter::repeat_n(0.0, mixtures);
                weights.chain(means).chain(std::iter::repeat_n(deviation.ln() as f32, mixtures)).collect()
            })
            .collect(),
    }
}
