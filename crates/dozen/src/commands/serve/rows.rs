//! Models of tables: how likely rows are, and new ones.

use dozen::data::{Column, Matrix, Schema, Table, Values};
use dozen::generative::{Measure, TableModel};
use dozen::run::stop_point;
use dozen_serve::{Bound, Refusal, Request, Served, Takes, Verb};
use serde_json::{Map, Value, json};

use super::refused;

/// The rows of a request: objects by the names of their columns, or arrays beside `columns`.
fn table(request: &Request) -> Result<Table, Refusal> {
    let rows = request.get("rows").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| {
        Refusal::request("`rows` is missing: an array of objects, or of arrays beside `columns`")
    })?;
    if rows.is_empty() || rows.len() > request.most_rows {
        return Err(Refusal::request(format!(
            "there are {} rows, and 1 to {} may be",
            rows.len(),
            request.most_rows
        )));
    }
    let names: Vec<String> = match (request.get("columns").and_then(Value::as_array), rows[0].as_object()) {
        (Some(columns), _) => {
            columns.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
        }
        (None, Some(first)) => first.keys().cloned().collect(),
        (None, None) => {
            return Err(Refusal::request("rows that are arrays need `columns`, the names of theirs"));
        }
    };
    let cell = |row: usize, column: usize| -> Result<&Value, Refusal> {
        let found = match &rows[row] {
            Value::Array(cells) if cells.len() == names.len() => cells.get(column),
            Value::Object(cells) => cells.get(&names[column]),
            _ => None,
        };
        found.ok_or_else(|| Refusal::request(format!("row {} has no `{}`", row + 1, names[column])))
    };
    let column = |(place, name): (usize, &String)| -> Result<Column, Refusal> {
        let cells = (0..rows.len()).map(|row| cell(row, place)).collect::<Result<Vec<_>, _>>()?;
        let values = if cells.iter().all(|cell| cell.is_number()) {
            Values::Number(cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect())
        } else {
            let text = |cell: &&Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
            Values::Text(cells.iter().map(text).collect())
        };
        Ok(Column::new(name.clone(), values))
    };
    let columns = names.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
    Table::new(columns).map_err(refused)
}

/// Rows as objects.
fn objects(table: &Table) -> Value {
    let row = |row: usize| {
        let cell = |column: &Column| {
            let text = || column.values.text(row).into();
            (column.name.clone(), column.values.number(row).map_or_else(text, Value::from))
        };
        Value::Object(table.columns().iter().map(cell).collect::<Map<_, _>>())
    };
    (0..table.rows()).map(row).collect()
}

/// An example of a row.
fn example(schema: &Schema, others: &Schema) -> Value {
    let cell = |column: &dozen::data::ColumnSchema| {
        let value = match &column.kind {
            dozen::data::Kind::Categorical { levels } => levels.first().cloned().unwrap_or_default().into(),
            _ => json!(0),
        };
        (column.name.clone(), value)
    };
    let cells: Map<String, Value> = schema.columns.iter().chain(&others.columns).map(cell).collect();
    json!({ "rows": [cells] })
}

/// How many rows, and by which seed.
fn wanted(request: &Request) -> Result<(usize, u64), Refusal> {
    let rows = request.count_or("count", 10, [1, request.most_rows])?;
    Ok((rows, request.count_or("seed", 0, [0, MOST_SEED])? as u64))
}

/// The condition of rows to draw: one row for all.
fn condition(schema: &Schema, request: &Request, rows: usize) -> Result<Matrix, Refusal> {
    let given = request.get("given").and_then(Value::as_object);
    let mut values = Vec::with_capacity(schema.columns.len());
    for column in &schema.columns {
        let value = given.and_then(|given| given.get(&column.name)).ok_or_else(|| {
            Refusal::request(format!("the model is conditional: `given` needs a value for `{}`", column.name))
        })?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        values.push(column.encode_text(&text).map_err(Refusal::Request)?);
    }
    let width = values.len();
    Ok(Matrix::new((0..rows).flat_map(|_| values.iter().copied()).collect(), width))
}

fn score_verb(model: &dyn TableModel) -> Verb {
    let summary = match model.measure() {
        Measure::LogProb => "The log-probability of each row, in nats",
        Measure::LogProbBound => "A bound on the log-probability of each row, in nats",
        _ => "The critic's value of each row: higher looks more like data; it is no log-probability",
    };
    Verb::new("score", summary, Takes::Json(example(model.columns(), model.condition())))
        .taking(&["columns"])
        .needing(&["rows"])
        .bounded("rows", Bound::Rows(usize::MAX))
}

/// The greatest seed: numbers of JSON are exact up to it in every language.
const MOST_SEED: usize = 1 << 50;

fn sample_verb(conditions: &Schema) -> Verb {
    let mut takes = json!({ "count": 10, "seed": 0 });
    let conditional = !conditions.columns.is_empty();
    if conditional {
        takes["given"] = example(conditions, &Schema { columns: Vec::new() })["rows"][0].take();
    }
    Verb::new("sample", "New rows", Takes::Json(takes))
        .needing(if conditional { &["given"] } else { &[] })
        .bounded("count", Bound::Count)
        .bounded("seed", Bound::Whole([0, MOST_SEED as u64]))
}

fn names(columns: &Schema, conditions: &Schema) -> Value {
    let names = |schema: &Schema| schema.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    json!({ "columns": names(columns), "condition": names(conditions) })
}

/// A model of the rows of a table.
pub(super) struct Rows(pub(super) Box<dyn TableModel>);

impl Served for Rows {
    fn family(&self) -> &'static str {
        self.0.family()
    }

    fn panel(&self) -> &'static str {
        "rows"
    }

    fn verbs(&self) -> Vec<Verb> {
        vec![score_verb(&*self.0), sample_verb(self.0.condition())]
    }

    fn about(&self) -> Value {
        names(self.0.columns(), self.0.condition())
    }

    fn answer(&mut self, verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        let answer = if verb == "sample" { Self::sample } else { Self::score };
        let answer = |request: &Request| {
            stop_point();
            answer(self, request)
        };
        requests.iter().map(answer).collect()
    }
}

impl Rows {
    fn sample(&self, request: &Request) -> Result<Value, Refusal> {
        let (rows, seed) = wanted(request)?;
        let condition = condition(self.0.condition(), request, rows)?;
        let cells = self.0.draw(rows, &condition, seed).map_err(refused)?;
        Ok(json!({ "rows": objects(&self.0.table(&cells).map_err(refused)?) }))
    }

    fn score(&self, request: &Request) -> Result<Value, Refusal> {
        let columns = self.0.figures(&table(request)?).map_err(refused)?;
        let values = |column: Column| match column.values {
            Values::Text(texts) => json!(texts),
            values => (0..values.len()).map(|row| json!(values.number(row))).collect(),
        };
        Ok(Value::Object(columns.into_iter().map(|column| (column.name.clone(), values(column))).collect()))
    }
}
