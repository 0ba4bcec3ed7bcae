//! What the plan between two tables says about rows and columns.

use dozen::transport::{Distance, Error, Flow, PointCost, exact};

use super::points::Encoded;

/// The exact plan, and what it pays for.
pub(super) struct Evidence {
    /// Each column's part of the cost, in the order of the encoding: a length `d` along differences `d_k` is
    /// `sum d_k^2 / d`, a part for each coordinate.
    pub(super) shares: Vec<f64>,
    /// The rows that are furthest from what they are matched with.
    pub(super) rows: Vec<FarRow>,
    /// Between rows of the tables themselves.
    pub(super) flows: Vec<Flow>,
}

/// A row, and how far its mass goes.
pub(super) struct FarRow {
    pub(super) side: usize,
    /// In its table, from 0.
    pub(super) row: usize,
    pub(super) distance: f64,
    /// The column that most of that is paid for.
    pub(super) column: usize,
}

/// So many rows are named.
const ROWS: usize = 10;

impl Evidence {
    pub(super) fn new(encoded: &Encoded) -> Result<Self, Error> {
        let [a, b] = encoded.sides()?;
        let cost = PointCost::new(a, b, Distance::Euclidean, 1.0)?;
        let plan = exact(&vec![1.0; a.len()], &vec![1.0; b.len()], &cost)?;
        let mut totals = vec![0.0; encoded.columns.len()];
        // What each row pays for each column.
        let mut paid = [a.len(), b.len()].map(|rows| vec![vec![0.0; encoded.columns.len()]; rows]);
        for flow in &plan.flows {
            let (x, y) = (a.point(flow.from), b.point(flow.to));
            let squares: Vec<f64> = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).collect();
            let length = squares.iter().sum::<f64>().sqrt();
            if length == 0.0 {
                continue;
            }
            for (index, column) in encoded.columns.iter().enumerate() {
                let square: f64 = squares[column.first..column.first + column.width].iter().sum();
                let part = flow.mass * square / length;
                totals[index] += part;
                paid[0][flow.from][index] += part;
                paid[1][flow.to][index] += part;
            }
        }
        let all: f64 = totals.iter().sum();
        let shares = totals.iter().map(|total| if all > 0.0 { total / all } else { 0.0 }).collect();
        let mut rows = Vec::new();
        for (side, paid) in paid.iter().enumerate() {
            for (row, columns) in paid.iter().enumerate() {
                let column =
                    (0..columns.len()).max_by(|&i, &j| columns[i].total_cmp(&columns[j])).unwrap_or(0);
                // Each row holds one part in so many of the mass.
                let distance = columns.iter().sum::<f64>() * paid.len() as f64;
                rows.push(FarRow { side, row: encoded.origins[side][row], distance, column });
            }
        }
        rows.sort_by(|a, b| b.distance.total_cmp(&a.distance));
        rows.truncate(ROWS);
        let flow = |flow: &Flow| Flow {
            from: encoded.origins[0][flow.from],
            to: encoded.origins[1][flow.to],
            mass: flow.mass,
        };
        Ok(Self { shares, rows, flows: plan.flows.iter().map(flow).collect() })
    }
}
