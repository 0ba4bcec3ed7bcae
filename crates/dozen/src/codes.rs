//! Codes of rows, and rows of codes: the verbs `encode`, `decode` and `interpolate` of families that have them.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, Matrix, Table, write_table};
use dozen::generative::LatentModel;
use dozen::nn::Error;
use serde_json::json;

use crate::context::Context;
use crate::data::{OnData, ReadArguments, ToTable, number_column, rows_of, two_rows};
use crate::made_rows::To;
use crate::output::{Failure, Results};

/// Codes to make rows of.
#[derive(Args, Debug)]
pub(crate) struct Decode {
    /// A model folder
    model: PathBuf,
    /// A table with the columns that `encode` writes: the codes', and the condition's
    codes: String,
    #[command(flatten)]
    read: ReadArguments,
    #[command(flatten)]
    to: To,
}

/// Which rows to go between.
#[derive(Args, Debug)]
pub(crate) struct Interpolate {
    #[command(flatten)]
    on: OnData,
    /// The two rows, counted from 1
    #[arg(long, default_value = "1,2", value_name = "A,B", value_delimiter = ',')]
    rows: Vec<usize>,
    /// Rows to make, both ends among them
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    /// Along a great circle instead of straight
    #[arg(long)]
    spherical: bool,
    #[command(flatten)]
    to: To,
}

/// A model, and a table as it reads one.
type Opened<M> = Result<(M, Table), Failure>;

/// The codes of rows as columns.
pub(crate) fn code_columns<M: LatentModel>(model: &M, codes: &Matrix) -> Vec<Column> {
    let column = |(at, name): (usize, String)| {
        number_column(&name, (0..codes.rows()).map(|row| f64::from(codes.row(row)[at])))
    };
    model.code_names().into_iter().enumerate().map(column).collect()
}

/// Writes the code of each row.
pub(crate) fn encode<M: LatentModel>(
    arguments: &ToTable,
    context: &Context,
    open: impl FnOnce(&OnData) -> Opened<M>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on)?;
    let (cells, condition) = model.cells(&table)?;
    let mut columns = code_columns(&model, &model.encode(&cells, &condition));
    // The condition goes along, so that `decode` has it.
    let conditions = model.condition().columns.iter();
    columns.extend(conditions.filter_map(|column| table.column(&column.name).cloned()));
    let rows = write_table(&arguments.out, [Ok(Table::new(columns)?)])?;
    let (seconds, out) = (started.elapsed().as_secs_f64(), arguments.out.display().to_string());
    let json =
        json!({ "rows": rows, "rows_per_second": rows as f64 / seconds, "out": out, "seconds": seconds });
    Results::new(json).line(format!("{rows} rows in {out}")).print(context.json())
}

/// Writes the row of each code.
pub(crate) fn decode<M: LatentModel>(
    arguments: &Decode,
    context: &Context,
    open: impl FnOnce(&std::path::Path) -> Result<M, Error>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let model = open(&arguments.model)?;
    let table = arguments.read.read(&arguments.codes, context.seed(), model.condition().text_columns())?;
    let names = model.code_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (values, width) = rows_of(&table, &arguments.codes, &names)?;
    let codes = Matrix::new(values.into_iter().map(|value| value as f32).collect(), width);
    let condition = model.condition().encode(&table)?;
    arguments.to.write(&model, &model.decode(&codes, &condition), started, context)
}

/// Writes rows between two. The condition goes over from the first row's to the second's half way.
pub(crate) fn interpolate<M: LatentModel>(
    arguments: &Interpolate,
    context: &Context,
    open: impl FnOnce(&OnData) -> Opened<M>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on)?;
    let ends = two_rows(&arguments.rows, table.rows())?;
    if arguments.count < 2 {
        return Err(Failure::request("-n must be at least 2: both ends are among the rows"));
    }
    let (cells, condition) = model.cells(&table.select(&ends))?;
    let ends = model.encode(&cells, &condition);
    let share = |place: usize| place as f32 / (arguments.count - 1) as f32;
    let shares: Vec<f32> = (0..arguments.count).map(share).collect();
    let way = |share: &f32| between(ends.row(0), ends.row(1), *share, arguments.spherical);
    let codes = Matrix::new(shares.iter().flat_map(way).collect(), ends.columns());
    let nearer: Vec<usize> = shares.iter().map(|share| usize::from(*share > 0.5)).collect();
    let condition = if condition.columns() > 0 { condition.select(&nearer) } else { condition };
    arguments.to.write(&model, &model.decode(&codes, &condition), started, context)
}

/// A place on the way from `a` to `b`: straight, `a + t (b - a)`, or turning, with the direction
/// `sin((1 - t) w) a / |a| + sin(t w) b / |b|` for the angle `w` between them (Shoemake 1985) and the length
/// `(1 - t) |a| + t |b|`.
fn between(a: &[f32], b: &[f32], share: f32, spherical: bool) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let mix = |from: f32, to: f32| a.iter().zip(b).map(move |(a, b)| from * a + to * b).collect::<Vec<f32>>();
    let (long_a, long_b) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    if !spherical || long_a * long_b == 0.0 {
        return mix(1.0 - share, share);
    }
    let angle = (dot(a, b) / (long_a * long_b)).clamp(-1.0, 1.0).acos();
    let turned = mix(((1.0 - share) * angle).sin() / long_a, (share * angle).sin() / long_b);
    let long = dot(&turned, &turned).sqrt();
    // Along one line no turn is nearer than any other.
    if angle.sin() < 1e-4 || long == 0.0 {
        return mix(1.0 - share, share);
    }
    // The direction has the length of the way; rounding has its part where the ends are nearly opposite.
    let length = (1.0 - share) * long_a + share * long_b;
    turned.into_iter().map(|value| value * length / long).collect()
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn a_turn_keeps_to_the_lengths_of_its_ends() {
        let (a, b) = ([-0.139, -0.413], [0.331, 0.987]);
        let length = |v: &[f32]| (v[0] * v[0] + v[1] * v[1]).sqrt();
        for step in 0..=10_u8 {
            let share = f32::from(step) / 10.0;
            let expected = (1.0 - share) * length(&a) + share * length(&b);
            assert!((length(&between(&a, &b, share, true)) - expected).abs() < 1e-3, "{share}");
        }
        assert_eq!(between(&a, &b, 0.0, false), a);
        assert_eq!(between(&a, &b, 1.0, false), b);
    }
}
