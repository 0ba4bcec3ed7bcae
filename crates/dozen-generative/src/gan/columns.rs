//! How the columns of a table reach the networks: numbers as they are or around the modes of their column, categories as one of many.

use burn::tensor::{Distribution, Tensor};
use dozen_data::{ImageShape, Kind, Matrix, Schema};
use dozen_kernels::{Activation, activate, softmax};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::mixture::Mixture;
use crate::tensors::row_seed;

/// How numbers of a table reach the networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// Standardised.
    Standard,
    /// As one of the modes of their column and the place around it (Xu et al. 2019, section 4.2).
    Modes,
}

/// The blocks of values that a row is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns {
    blocks: Vec<Block>,
}

/// The values of one column, or of several side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Block {
    /// Standardised numbers.
    Numbers { columns: usize },
    /// Pixels in [-1, 1].
    Pixels { columns: usize },
    /// One of several levels.
    Levels { levels: usize },
    /// `(x - mean) / 4 deviations` within the mode that comes after it as one of many.
    Modes { means: Vec<f64>, deviations: Vec<f64>, weights: Vec<f64> },
}

/// How nearly drawn categories are one of many: the temperature of the Gumbel softmax (Jang et al. 2017).
const TEMPERATURE: f64 = 0.2;

/// Deviations of a mode that [-1, 1] stand for.
const REACH: f64 = 4.0;

impl Block {
    /// Columns of the table, and values of a row.
    fn sizes(&self) -> [usize; 2] {
        match self {
            Self::Numbers { columns } | Self::Pixels { columns } => [*columns; 2],
            Self::Levels { levels } => [1, *levels],
            Self::Modes { means, .. } => [1, 1 + means.len()],
        }
    }
}

impl Columns {
    /// Of encoded training rows.
    pub fn fit(schema: &Schema, cells: &Matrix, numbers: Numbers, image: Option<ImageShape>) -> Self {
        if image.is_some() {
            return Self { blocks: vec![Block::Pixels { columns: schema.columns.len() }] };
        }
        let mut blocks = Vec::new();
        for (place, column) in schema.columns.iter().enumerate() {
            let block = match &column.kind {
                Kind::Binary => Block::Levels { levels: 2 },
                Kind::Categorical { levels } => Block::Levels { levels: levels.len() },
                Kind::Real { .. } if numbers == Numbers::Standard => Block::Numbers { columns: 1 },
                Kind::Real { .. } => {
                    let values: Vec<f64> =
                        (0..cells.rows()).map(|row| f64::from(cells.row(row)[place])).collect();
                    let Mixture { means, deviations, weights } = Mixture::fit(&values);
                    Block::Modes { means, deviations, weights }
                }
            };
            match (blocks.last_mut(), &block) {
                (Some(Block::Numbers { columns }), Block::Numbers { .. }) => *columns += 1,
                _ => blocks.push(block),
            }
        }
        Self { blocks }
    }

    /// Whether rows of this schema can be laid out so: a saved layout need not be of the columns beside it.
    pub(super) fn fits(&self, schema: &Schema) -> bool {
        let mut rest = schema.columns.as_slice();
        for block in &self.blocks {
            let own = block.sizes()[0];
            let Some(first) = rest.first().filter(|_| own <= rest.len()) else { return false };
            let fits = match (block, &first.kind) {
                (Block::Levels { levels }, Kind::Categorical { levels: texts }) => *levels == texts.len(),
                (Block::Levels { levels }, Kind::Binary) => *levels == 2,
                (Block::Levels { .. }, Kind::Real { .. }) => false,
                (Block::Modes { means, deviations, weights }, _) => {
                    means.len() == deviations.len() && means.len() == weights.len()
                }
                (Block::Numbers { .. } | Block::Pixels { .. }, _) => own > 0,
            };
            if !fits {
                return false;
            }
            rest = &rest[own..];
        }
        rest.is_empty()
    }

    /// Values of a row as networks see it.
    pub fn width(&self) -> usize {
        self.blocks.iter().map(|block| block.sizes()[1]).sum()
    }

    /// Encoded cells to rows as networks see them; the mode of a number is drawn by the seed, as likely as it holds the number.
    pub fn encode(&self, cells: &Matrix, seed: u64) -> Matrix {
        let mut values = Vec::with_capacity(cells.rows() * self.width());
        for row in 0..cells.rows() {
            let mut rng = StdRng::seed_from_u64(row_seed(seed, row));
            let mut cells = cells.row(row);
            for block in &self.blocks {
                let (own, rest) = cells.split_at(block.sizes()[0]);
                cells = rest;
                match block {
                    Block::Numbers { .. } | Block::Pixels { .. } => values.extend_from_slice(own),
                    Block::Levels { levels } => values.extend(one_of(*levels, own[0] as usize)),
                    Block::Modes { means, deviations, weights } => {
                        let (means, deviations) = (means.clone(), deviations.clone());
                        let mixture = Mixture { means, deviations, weights: weights.clone() };
                        let mode = drawn(&mixture.shares(f64::from(own[0])), rng.random());
                        let place =
                            (f64::from(own[0]) - mixture.means[mode]) / (REACH * mixture.deviations[mode]);
                        values.push(place.clamp(-1.0, 1.0) as f32);
                        values.extend(one_of(mixture.means.len(), mode));
                    }
                }
            }
        }
        Matrix::new(values, self.width())
    }

    /// Rows as networks see them to encoded cells; of one of many the greatest counts.
    pub fn decode(&self, rows: &Matrix) -> Matrix {
        let width = self.blocks.iter().map(|block| block.sizes()[0]).sum();
        let mut cells = Vec::with_capacity(rows.rows() * width);
        for row in 0..rows.rows() {
            let mut values = rows.row(row);
            for block in &self.blocks {
                let (own, rest) = values.split_at(block.sizes()[1]);
                values = rest;
                match block {
                    Block::Numbers { .. } | Block::Pixels { .. } => cells.extend_from_slice(own),
                    Block::Levels { .. } => cells.push(greatest(own) as f32),
                    Block::Modes { means, deviations, .. } => {
                        let mode = greatest(&own[1..]);
                        let place = f64::from(own[0]) * REACH * deviations[mode] + means[mode];
                        cells.push(place as f32);
                    }
                }
            }
        }
        Matrix::new(cells, width)
    }

    /// A generator's outputs, `[rows, width]`, as rows: pixels by tanh, one of many by a Gumbel softmax.
    pub(super) fn activate(&self, raw: Tensor<2>) -> Tensor<2> {
        let rows = raw.dims()[0];
        let mut first = 0;
        let parts = self.blocks.iter().map(|block| {
            let [_, size] = block.sizes();
            let part = |from: usize, size: usize| match self.blocks.len() {
                1 if size == raw.dims()[1] => raw.clone(),
                _ => raw.clone().slice([0..rows, first + from..first + from + size]),
            };
            let made = match block {
                Block::Numbers { .. } => part(0, size),
                Block::Pixels { .. } => activate(part(0, size), Activation::Tanh),
                Block::Levels { .. } => gumbel_softmax(part(0, size)),
                Block::Modes { .. } => Tensor::cat(
                    vec![activate(part(0, 1), Activation::Tanh), gumbel_softmax(part(1, size - 1))],
                    1,
                ),
            };
            first += size;
            made
        });
        let mut parts: Vec<Tensor<2>> = parts.collect();
        if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }
    }
}

/// `softmax((logits + g) / t)` with g drawn from Gumbel's distribution (Jang et al. 2017, eq. 2).
fn gumbel_softmax(logits: Tensor<2>) -> Tensor<2> {
    let uniform = Tensor::<2>::random(logits.dims(), Distribution::Uniform(1e-6, 1.0), &logits.device());
    let gumbel = uniform.clamp_max(1.0 - 1e-6).log().neg().log().neg().cast(logits.dtype());
    softmax((logits + gumbel) / TEMPERATURE)
}

fn one_of(count: usize, place: usize) -> impl Iterator<Item = f32> {
    (0..count).map(move |at| f32::from(u8::from(at == place)))
}

fn greatest(values: &[f32]) -> usize {
    (0..values.len()).max_by(|a, b| f32::total_cmp(&values[*a], &values[*b])).unwrap_or(0)
}

fn drawn(shares: &[f64], mut at: f64) -> usize {
    let place = shares.iter().position(|share| {
        at -= share;
        at < 0.0
    });
    place.unwrap_or(shares.len() - 1)
}

#[cfg(test)]
mod tests {
    use dozen_data::ColumnSchema;

    use super::*;

    #[test]
    fn a_layout_of_other_columns_does_not_fit() {
        let kind = Kind::Real { mean: 0.0, deviation: 1.0 };
        let schema = Schema { columns: vec![ColumnSchema { name: "x".into(), kind }] };
        let numbers = |each: &[usize]| Columns {
            blocks: each.iter().map(|columns| Block::Numbers { columns: *columns }).collect(),
        };
        assert!(numbers(&[1]).fits(&schema));
        for other in [&[][..], &[2], &[0, 1], &[1, 0], &[1, 1]] {
            assert!(!numbers(other).fits(&schema), "{other:?}");
        }
        assert!(!Columns { blocks: vec![Block::Levels { levels: 2 }] }.fits(&schema));
    }

    #[test]
    fn rows_come_back() {
        let column = |name: &str, kind: Kind| ColumnSchema { name: name.into(), kind };
        let real = Kind::Real { mean: 0.0, deviation: 1.0 };
        let levels = Kind::Categorical { levels: vec!["a".into(), "b".into(), "c".into()] };
        let schema =
            Schema { columns: vec![column("x", real), column("y", levels), column("z", Kind::Binary)] };
        let row = |i: usize| {
            let sign = if i.is_multiple_of(2) { -1.0 } else { 1.0 };
            [sign + 0.001 * (i % 100) as f32, (i % 3) as f32, (i % 2) as f32]
        };
        let cells = Matrix::new((0..300).flat_map(row).collect(), 3);
        for numbers in [Numbers::Standard, Numbers::Modes] {
            let columns = Columns::fit(&schema, &cells, numbers, None);
            let back = columns.decode(&columns.encode(&cells, 1));
            let off =
                back.values().iter().zip(cells.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "{numbers:?}: {off}");
        }
    }
}
