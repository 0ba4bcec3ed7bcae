//! The exact plan: the network simplex method on the arcs that can matter, and a look at all arcs to prove that no other
//! does.
//!
//! Few of the `n m` arcs ever lie in a plan. The method starts with those that guessed prices make cheapest, solves the
//! problem on them, looks through all costs for arcs with `c_ij < f_i + g_j`, takes those in, and goes on from where it
//! was, until there are none: then the prices are a certificate over all arcs (column generation; the shortlists of
//! Gottschlich and Schuhmacher 2014 made exact). The guesses come from the same problem on some of the points.

use crate::masses::{Masses, check_counts};
use crate::simplex::{Arc, Simplex};
use crate::vector::{greatest_magnitude, least_difference, vectorized};
use crate::{Certificate, Cost, Error};

/// Mass that moves from a point of the first side to one of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// In the first side.
    pub from: usize,
    /// In the second side.
    pub to: usize,
    /// The part of the whole mass, which is one.
    pub mass: f64,
}

/// An optimal plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `sum mass * cost`.
    pub value: f64,
    /// At most `n + m - 1` of them; those from a point sum to its weight.
    pub flows: Vec<Flow>,
    /// The price of each point of the first side.
    pub f: Vec<f64>,
    /// The price of each point of the second side.
    pub g: Vec<f64>,
    /// That no plan is cheaper.
    pub certificate: Certificate,
    /// Exchanges of one arc for another that it took.
    pub pivots: u64,
}

/// The cheapest way to move the weights `a` of the first side onto the weights `b` of the second, each divided by its sum.
///
/// # Errors
/// When a side is empty, or weights are negative, not finite, all zero, or not as many as points.
pub fn exact<C: Cost>(a: &[f64], b: &[f64], cost: &C) -> Result<Plan, Error> {
    solve(a, b, cost, None)
}

/// Prices to start from: those of a problem much like this one, or of an entropic one.
#[derive(Clone, Copy, Debug)]
pub struct Prices<'a> {
    /// Of the first side.
    pub f: &'a [f64],
    /// Of the second side.
    pub g: &'a [f64],
}

/// [`exact`], from prices: the nearer they are to the answer's, the less is left to do. Any prices lead to a best plan.
///
/// # Errors
/// As [`exact`], and when there are not as many prices as points, or they are not finite.
pub fn exact_from<C: Cost>(a: &[f64], b: &[f64], cost: &C, prices: Prices<'_>) -> Result<Plan, Error> {
    let (n, m) = cost.sizes();
    if (prices.f.len(), prices.g.len()) != (n, m) {
        let (f, g) = (prices.f.len(), prices.g.len());
        return Err(Error::Shape(format!("{f} and {g} prices do not fit sides of {n} and {m} points")));
    }
    let all = prices.f.iter().chain(prices.g);
    if let Some((position, &value)) = all.enumerate().find(|(_, price)| !price.is_finite()) {
        return Err(Error::NotFinite { what: "price", position, value });
    }
    solve(a, b, cost, Some(prices))
}

fn solve<C: Cost>(a: &[f64], b: &[f64], cost: &C, start: Option<Prices<'_>>) -> Result<Plan, Error> {
    let (n, m) = cost.sizes();
    check_counts((n, m), a, b)?;
    let masses = Masses::new(a, b)?;
    let problem = Problem {
        cost,
        rows: (0..n as u32).collect(),
        columns: (0..m as u32).collect(),
        supply: masses.first,
        demand: masses.second,
    };
    let simplex =
        problem.solve(start.map(|prices| Guess { f: prices.f.to_vec(), g: prices.g.to_vec(), pivots: 0 }));
    let (mut f, g) = simplex.prices(n);
    // Each price as high as the others allow, which takes away what the tolerance left.
    let mut buffer = vec![0.0; m];
    let mut infeasibility = 0.0_f64;
    for (i, f) in f.iter_mut().enumerate() {
        let costs = cost.row(i, &mut buffer);
        *f = least_difference(costs, &g);
        infeasibility = costs.iter().zip(&g).fold(infeasibility, |most, (c, g)| most.max(*f + g - c));
    }
    let (flows, artificial) = simplex.flows();
    debug_assert_eq!(artificial, 0, "every pair of points has an arc");
    let units = [&problem.supply[..], &problem.demand];
    Ok(Plan::new(flows, units, masses.total, (f, g), infeasibility, simplex.pivots))
}

impl Plan {
    /// Of flows, supplies and demands in units of which there are `total`.
    pub(crate) fn new(
        mut flows: Vec<(Arc, i64)>,
        units: [&[i64]; 2],
        total: i64,
        (f, g): (Vec<f64>, Vec<f64>),
        infeasibility: f64,
        pivots: u64,
    ) -> Self {
        let unit = 1.0 / total as f64;
        flows.sort_by_key(|(arc, _)| (arc.source, arc.target));
        let value = flows.iter().map(|(arc, units)| *units as f64 * unit * arc.cost).sum();
        let flow = |(arc, units): (Arc, i64)| Flow {
            from: arc.source as usize,
            to: arc.target as usize - f.len(),
            mass: units as f64 * unit,
        };
        let flows: Vec<Flow> = flows.into_iter().map(flow).collect();
        let [p, q] = units.map(|units| units.iter().map(|&u| u as f64 * unit).collect::<Vec<f64>>());
        let certificate = Certificate::new(value, [&p, &q], [&f, &g], infeasibility);
        Self { value, flows, f, g, certificate, pivots }
    }
}

/// The problem on some of the points.
struct Problem<'a, C> {
    cost: &'a C,
    /// Which points of the first side.
    rows: Vec<u32>,
    columns: Vec<u32>,
    supply: Vec<i64>,
    demand: Vec<i64>,
}

/// Prices to begin with, and the pivots that they took.
struct Guess {
    f: Vec<f64>,
    g: Vec<f64>,
    pivots: u64,
}

/// With fewer points on a side, all arcs are taken at once.
const SMALL: usize = 96;
/// A guess is made on one point of this many.
const COARSER: usize = 3;
/// Arcs of each point to start with.
const SHORTLIST: usize = 8;
/// Arcs of each point that a look through all costs adds at most.
const ADDED: usize = 8;

impl<C: Cost> Problem<'_, C> {
    /// From prices, or from a guess.
    fn solve(&self, start: Option<Guess>) -> Simplex {
        let (n, m) = (self.rows.len(), self.columns.len());
        let mut buffer = vec![0.0; 2 * self.cost.sizes().1];
        let small = n.min(m) <= SMALL;
        let blank = || Guess { f: vec![0.0; n], g: vec![0.0; m], pivots: 0 };
        let guess = start.unwrap_or_else(|| if small { blank() } else { self.guess() });
        // The range of reduced costs, which artificial arcs must lie beyond.
        let mut largest = 0.0_f64;
        let mut shortlist = Shortlist::new(n, m, if small { n.max(m) } else { SHORTLIST });
        for row in 0..n {
            let (costs, chosen) = buffer.split_at_mut(self.cost.sizes().1);
            let costs = self.row(row, costs, chosen);
            largest = largest.max(greatest_magnitude(costs));
            shortlist.offer_row(row, costs, guess.f[row], &guess.g);
        }
        let spread = guess.f.iter().chain(&guess.g).fold(largest, |most, price| most.max(price.abs()));
        let tolerance = spread * 1e-13;
        let big = if spread > 0.0 { 4.0 * spread } else { 1.0 };
        let mut simplex = Simplex::new(&self.supply, &self.demand, (&guess.f, &guess.g), big, tolerance);
        simplex.pivots = guess.pivots;
        simplex.add(shortlist.arcs(n));
        // Rows are looked through in a ring, a part at a time, so that each part is held against fresh prices.
        let mut row = 0;
        loop {
            dozen_run::stop_point();
            simplex.solve();
            let (f, g) = simplex.prices(n);
            let mut arcs = Vec::new();
            for _ in 0..n {
                self.missing(row, f[row], &g, tolerance, &mut buffer, &mut arcs);
                row = (row + 1) % n;
                // As many as there are rows are reason enough to go on with them.
                if arcs.len() > n {
                    break;
                }
            }
            if arcs.is_empty() {
                return simplex;
            }
            simplex.add(arcs);
        }
    }

    /// Prices from the problem on every third point, carried over to all points: each price as high as the others allow.
    fn guess(&self) -> Guess {
        let every = |points: &[u32], masses: &[i64]| -> (Vec<u32>, Vec<i64>) {
            // A point stands for the masses of those that follow it.
            points
                .chunks(COARSER)
                .zip(masses.chunks(COARSER))
                .map(|(p, m)| (p[p.len() / 2], m.iter().sum::<i64>()))
                .unzip()
        };
        let (rows, supply) = every(&self.rows, &self.supply);
        let (columns, demand) = every(&self.columns, &self.demand);
        let coarse = Problem { cost: self.cost, rows, columns, supply, demand };
        let solved = coarse.solve(None);
        let (_, g) = solved.prices(coarse.rows.len());
        let mut buffer = vec![0.0; self.cost.sizes().1];
        let mut f = Vec::with_capacity(self.rows.len());
        let mut full = vec![f64::INFINITY; self.columns.len()];
        for (index, &row) in self.rows.iter().enumerate() {
            let costs = self.cost.row(row as usize, &mut buffer);
            let price = coarse.columns.iter().zip(&g).map(|(&column, g)| costs[column as usize] - g);
            let price = price.fold(f64::INFINITY, f64::min);
            f.push(price);
            if index % COARSER == 0 {
                for (full, &column) in full.iter_mut().zip(&self.columns) {
                    *full = full.min(costs[column as usize] - price);
                }
            }
        }
        Guess { f, g: full, pivots: solved.pivots }
    }

    /// Adds the arcs of a row whose costs are furthest below the prices.
    fn missing(
        &self,
        row: usize,
        f: f64,
        g: &[f64],
        tolerance: f64,
        buffer: &mut [f64],
        arcs: &mut Vec<Arc>,
    ) {
        let (costs, chosen) = buffer.split_at_mut(self.cost.sizes().1);
        let costs = self.row(row, costs, chosen);
        let least = least_difference(costs, g);
        if least - f >= -tolerance {
            return;
        }
        let reduced = costs.iter().zip(g).map(|(cost, g)| cost - f - g).enumerate();
        let mut found: Vec<(usize, f64)> = reduced.filter(|(_, reduced)| *reduced < -tolerance).collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        arcs.extend(found.iter().take(ADDED).map(|&(column, _)| Arc {
            source: row as u32,
            target: (self.rows.len() + column) as u32,
            cost: costs[column],
        }));
    }

    /// The costs from a row to the problem's columns.
    fn row<'a>(&'a self, row: usize, costs: &'a mut [f64], chosen: &'a mut [f64]) -> &'a [f64] {
        let costs = self.cost.row(self.rows[row] as usize, costs);
        if self.columns.len() == costs.len() {
            return costs;
        }
        let chosen = &mut chosen[..self.columns.len()];
        for (cost, &column) in chosen.iter_mut().zip(&self.columns) {
            *cost = costs[column as usize];
        }
        chosen
    }
}

/// The arcs of least reduced cost of each row and of each column.
struct Shortlist {
    length: usize,
    /// `length` places for each row, then for each column: reduced cost, the other point, cost.
    places: Vec<(f64, u32, f64)>,
    filled: Vec<u32>,
    /// What an arc's reduced cost must be below to enter a list.
    bounds: Vec<f64>,
    rows: usize,
}

impl Shortlist {
    fn new(rows: usize, columns: usize, length: usize) -> Self {
        let lists = rows + columns;
        let places = vec![(f64::INFINITY, 0, 0.0); lists * length];
        Self { length, places, filled: vec![0; lists], bounds: vec![f64::INFINITY; lists], rows }
    }

    /// Offers the arcs of a row to its list and to the columns'. Few enter, and so they are looked through eight at a time
    /// for any that would.
    fn offer_row(&mut self, row: usize, costs: &[f64], f: f64, g: &[f64]) {
        const TOGETHER: usize = 8;
        let g = &g[..costs.len()];
        let mut first = 0;
        while first < costs.len() {
            let (row_bound, bounds) = (self.bounds[row], &self.bounds[self.rows..][..costs.len()]);
            first += vectorized(
                #[inline(always)]
                || {
                    let mut at = first;
                    while at + TOGETHER <= costs.len() {
                        let mut enters = false;
                        for j in at..at + TOGETHER {
                            let reduced = costs[j] - f - g[j];
                            let bound = if row_bound > bounds[j] { row_bound } else { bounds[j] };
                            enters |= reduced < bound;
                        }
                        if enters {
                            break;
                        }
                        at += TOGETHER;
                    }
                    at - first
                },
            );
            let end = (first + TOGETHER).min(costs.len());
            for column in first..end {
                let reduced = costs[column] - f - g[column];
                self.offer(row, column as u32, costs[column], reduced);
                self.offer(self.rows + column, row as u32, costs[column], reduced);
            }
            first = end;
        }
    }

    fn offer(&mut self, list: usize, other: u32, cost: f64, reduced: f64) {
        if reduced >= self.bounds[list] {
            return;
        }
        let places = &mut self.places[list * self.length..(list + 1) * self.length];
        let filled = self.filled[list] as usize;
        let mut place = filled.min(self.length - 1);
        while place > 0 && places[place - 1].0 > reduced {
            places[place] = places[place - 1];
            place -= 1;
        }
        places[place] = (reduced, other, cost);
        self.filled[list] = (filled + 1).min(self.length) as u32;
        if filled + 1 >= self.length {
            self.bounds[list] = places[self.length - 1].0;
        }
    }

    /// Each arc once, the most promising first.
    fn arcs(self, sources: usize) -> Vec<Arc> {
        let mut all: Vec<(f64, u32, u32, f64)> = Vec::new();
        for list in 0..self.filled.len() {
            for &(reduced, other, cost) in &self.places[list * self.length..][..self.filled[list] as usize] {
                let (row, column) =
                    if list < self.rows { (list as u32, other) } else { (other, (list - self.rows) as u32) };
                all.push((reduced, row, column, cost));
            }
        }
        all.sort_by_key(|arc| (arc.1, arc.2));
        all.dedup_by_key(|arc| (arc.1, arc.2));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arc = |(_, row, column, cost)| Arc { source: row, target: sources as u32 + column, cost };
        all.into_iter().map(arc).collect()
    }
}
