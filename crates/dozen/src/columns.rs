//! Which columns of a table a model is of, shared by families of rows that may be images.

use clap::Args;
use dozen::data::{ColumnSchema, ImageShape, Kind, Schema, Table, Values};

use crate::data::LABEL;
use crate::output::Failure;

#[derive(Args, Debug)]
#[command(next_help_heading = "Columns")]
pub(crate) struct ColumnArguments {
    /// Columns to model [default: all but those of --condition and the label]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// Columns that the model is conditional on [default with --conditional: label]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    condition: Vec<String>,
    /// The columns are the pixels of images of this shape, 28x28 or 3x32x32 [default: square, where columns are named pixel_...]
    #[arg(long, value_name = "SHAPE")]
    image: Option<ImageShape>,
    /// The column that names what a row is: it colours pictures and is not modelled
    #[arg(long, default_value = LABEL, value_name = "COLUMN")]
    pub(crate) label: String,
}

/// The columns to model.
pub(crate) struct Columns {
    pub(crate) modelled: Schema,
    pub(crate) condition: Schema,
    pub(crate) image: Option<ImageShape>,
}

impl ColumnArguments {
    /// Whether columns of the condition are named.
    pub(crate) fn names_condition(&self) -> bool {
        !self.condition.is_empty()
    }

    /// The shape of images, if they are.
    pub(crate) fn shape(&self, table: &Table) -> Option<ImageShape> {
        self.image.or_else(|| ImageShape::square(table.pixel_columns().len()))
    }

    /// The columns of a training table; a model that is `conditional` without naming columns is so on the label. `schema_of` learns the kinds of
    /// the modelled columns, of images or not.
    pub(crate) fn choose(
        &self,
        table: &Table,
        categorical: &[String],
        conditional: bool,
        schema_of: impl FnOnce(&Table, bool, &[String]) -> Result<Schema, Failure>,
    ) -> Result<Columns, Failure> {
        let conditions = if conditional && self.condition.is_empty() {
            vec![self.label.clone()]
        } else {
            self.condition.clone()
        };
        let names: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
        for name in self.columns.iter().chain(&conditions) {
            if !names.contains(name) {
                return Err(Failure::request(format!(
                    "there is no column `{name}`; the columns are {}{}",
                    shortened(&names),
                    if name == LABEL { "; --labels FILE adds it" } else { "" }
                )));
            }
        }
        let image = self.shape(table);
        let pixels = table.pixel_columns();
        let of_images = image.is_some() && !pixels.is_empty();
        let modelled = |name: &str| {
            let unnamed =
                if of_images { pixels.iter().any(|pixel| pixel == name) } else { name != self.label };
            let named = || self.columns.iter().any(|column| column == name);
            !conditions.iter().any(|condition| condition == name)
                && if self.columns.is_empty() { unnamed } else { named() }
        };
        let of = |table: &Table| -> Vec<String> {
            categorical.iter().filter(|name| table.column(name).is_some()).cloned().collect()
        };
        let condition = if conditions.is_empty() {
            Schema { columns: Vec::new() }
        } else {
            let part = table.columns_where(|name| conditions.iter().any(|column| column == name))?;
            Schema::infer(&part, &of(&part))?
        };
        let table = table.columns_where(modelled)?;
        if let Some(shape) = image
            && shape.size() != table.columns().len()
        {
            return Err(Failure::request(format!(
                "images of {shape} have {} values, and there are {} columns; name the pixels' with --columns",
                shape.size(),
                table.columns().len()
            )));
        }
        let modelled = schema_of(&table, image.is_some(), &of(&table))?;
        Ok(Columns { modelled, condition, image })
    }
}

/// Columns of values in [0, 1]: bits, levels out of 255, or such numbers; of tables also categories.
pub(crate) fn unit_interval(table: &Table, image: bool) -> Result<Schema, Failure> {
    let levels = image
        && table.columns().iter().any(|column| match &column.values {
            Values::Byte(values) => values.iter().any(|value| *value > 1),
            _ => false,
        });
    let largest = if levels { 255.0 } else { 1.0 };
    let mut columns = Vec::new();
    for column in table.columns() {
        let name = column.name.clone();
        let kind = match &column.values {
            Values::Text(_) if image => {
                return Err(Failure::request(format!("column `{name}` holds text, and pixels are numbers")));
            }
            Values::Text(_) => {
                let own = Schema::infer(&Table::new(vec![column.clone()])?, &[])?;
                own.columns[0].kind.clone()
            }
            Values::Byte(values) if !levels && values.iter().all(|value| *value <= 1) => Kind::Binary,
            values => {
                let outside = (0..values.len()).find(|row| {
                    values
                        .number(*row)
                        .is_some_and(|value| !value.is_nan() && !(0.0..=largest).contains(&value))
                });
                if let Some(row) = outside {
                    return Err(Failure::request(format!(
                        "{}: row {}, column `{name}`: {} is outside [0, {largest}], where the values of images and of a bernoulli likelihood lie; \
                         scale the column, or take --likelihood gaussian",
                        table.file(),
                        table.row_in_file(row),
                        values.text(row)
                    )));
                }
                Kind::Real { mean: 0.0, deviation: largest }
            }
        };
        columns.push(ColumnSchema { name, kind });
    }
    Ok(Schema { columns })
}

fn shortened(names: &[String]) -> String {
    match names {
        names if names.len() <= 12 => names.join(", "),
        names => format!("{}, ... {}", names[..11].join(", "), names[names.len() - 1]),
    }
}
