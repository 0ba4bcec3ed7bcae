//! Some columns given: drawing the others, and the probability of the given ones.

use dozen_data::{Schema, Table};
use dozen_nn::Error;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Model;
use super::heads::log_sum;

/// Proposals to each row that is to be drawn, where the order does not begin with the given columns.
const PROPOSALS_PER_ROW: usize = 8;
/// And at least this many in all.
const LEAST_PROPOSALS: usize = 10_000;

/// Columns with fixed values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Column and encoded value.
    given: Vec<(usize, f32)>,
}

impl Evidence {
    /// Nothing given.
    pub fn none() -> Self {
        Self::default()
    }

    /// Parses `COLUMN=VALUE,COLUMN=VALUE`.
    ///
    /// # Errors
    /// When a column does not exist or is named twice, or a value is none of its column's.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, Error> {
        let mut given: Vec<(usize, f32)> = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item
                .split_once('=')
                .ok_or_else(|| Error::Request(format!("`{item}` is not of the form COLUMN=VALUE")))?;
            let column = schema.position(name.trim()).ok_or_else(|| {
                let names: Vec<&str> = schema.columns.iter().take(8).map(|c| c.name.as_str()).collect();
                Error::Request(format!(
                    "the model has no column `{name}`; its columns begin {}",
                    names.join(", ")
                ))
            })?;
            let cell = schema.columns[column]
                .encode_text(value.trim())
                .map_err(|problem| Error::Request(format!("in `{item}`: {problem}")))?;
            if given.iter().any(|(known, _)| *known == column) {
                return Err(Error::Request(format!("the column `{name}` is given twice")));
            }
            given.push((column, cell));
        }
        Ok(Self { given })
    }

    /// The given value of a column.
    pub(crate) fn cell(&self, column: usize) -> Option<f32> {
        self.given.iter().find(|(known, _)| *known == column).map(|(_, cell)| *cell)
    }
}

/// A probability, or a density where columns are real, with what is known of its error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability {
    /// The value.
    pub value: f64,
    /// Zero where the value is exact.
    pub standard_error: f64,
    /// Whether the order let it be computed exactly.
    pub exact: bool,
}

/// Drawn rows and how they were drawn.
#[derive(Clone, Debug)]
pub struct Conditioned {
    /// The rows.
    pub table: Table,
    /// Whether they are exact draws, because the order begins with the given columns.
    pub exact: bool,
    /// Independent proposals that the rows are worth; infinite for exact draws.
    pub effective_sample_size: f64,
}

impl Model {
    /// Draws rows given some columns: exactly where every order begins with them, else by importance resampling from
    /// likelihood-weighted proposals.
    pub fn sample_given(&self, rows: usize, evidence: &Evidence, seed: u64) -> Result<Conditioned, Error> {
        let exact = self.is_exact(evidence);
        let proposals = if exact { rows } else { (rows * PROPOSALS_PER_ROW).max(LEAST_PROPOSALS) };
        let drawn = self.draw_rows(proposals, seed, evidence);
        let schema = &self.config().columns;
        if exact && self.orders() == 1 {
            let table = schema.decode(&drawn.cells)?;
            return Ok(Conditioned { table, exact, effective_sample_size: f64::INFINITY });
        }
        let total = log_sum(&drawn.log_weights);
        if !total.is_finite() {
            return Err(Error::Request("the given values have probability zero under the model".into()));
        }
        let weights: Vec<f64> = drawn.log_weights.iter().map(|weight| (weight - total).exp()).collect();
        let effective_sample_size = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
        let chosen = systematic_resample(&weights, rows, seed);
        Ok(Conditioned { table: schema.decode(&drawn.cells.select(&chosen))?, exact, effective_sample_size })
    }

    /// The probability of the given values.
    pub fn probability(&self, evidence: &Evidence, seed: u64) -> Probability {
        let exact = self.is_exact(evidence);
        // Rows go round the orders and members, so that this many see each once.
        let rows = if exact { self.orders() } else { LEAST_PROPOSALS.next_multiple_of(self.orders()) };
        let drawn = self.draw_rows(rows, seed, evidence);
        let scale: f64 = self
            .layout
            .log_scale
            .iter()
            .zip(&self.layout.order)
            .filter(|(_, column)| evidence.cell(**column).is_some())
            .map(|(s, _)| s)
            .sum();
        let weights: Vec<f64> = drawn.log_weights.iter().map(|weight| (weight - scale).exp()).collect();
        let count = weights.len() as f64;
        let value = weights.iter().sum::<f64>() / count;
        let variance = weights.iter().map(|w| (w - value).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let standard_error = if exact { 0.0 } else { (variance / count).sqrt() };
        Probability { value, standard_error, exact }
    }

    /// The probability of `event` given `evidence`, as a ratio; its error by the delta method.
    pub fn probability_given(&self, event: &Evidence, evidence: &Evidence, seed: u64) -> Probability {
        let both = Evidence { given: event.given.iter().chain(&evidence.given).copied().collect() };
        let (joint, condition) =
            (self.probability(&both, seed), self.probability(evidence, seed.wrapping_add(1)));
        let value = joint.value / condition.value;
        let relative = (joint.standard_error / joint.value).hypot(condition.standard_error / condition.value);
        Probability { value, standard_error: value * relative, exact: joint.exact && condition.exact }
    }

    /// Whether every order begins with the given columns.
    fn is_exact(&self, evidence: &Evidence) -> bool {
        let begins = |sequence: Vec<usize>| {
            let given = |position: &usize| evidence.cell(self.layout.order[*position]).is_some();
            sequence.iter().take(evidence.given.len()).all(given)
        };
        self.networks
            .iter()
            .all(|network| (0..network.orders()).all(|order| begins(self.sequence(network, order, evidence))))
    }

    fn orders(&self) -> usize {
        self.networks.iter().map(super::networks::Network::orders).sum()
    }
}

/// Chooses `count` indices in proportion to weights that sum to one, with one random number (Kitagawa 1996).
fn systematic_resample(weights: &[f64], count: usize, seed: u64) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7e5a);
    let offset = rng.random::<f64>();
    let (mut index, mut sum) = (0, weights[0]);
    let mut chosen: Vec<usize> = (0..count)
        .map(|k| {
            let at = (k as f64 + offset) / count as f64;
            while sum < at && index + 1 < weights.len() {
                index += 1;
                sum += weights[index];
            }
            index
        })
        .collect();
    // Rows come in random order, as drawn rows do.
    rand::seq::SliceRandom::shuffle(chosen.as_mut_slice(), &mut rng);
    chosen
}
