//! `wasserstein1`: the distance between two samples on the line, as an aggregate.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use dozen_transport::wasserstein_1d;

/// `wasserstein1(value, second)`: `W1` between the values where `second` is false and those where it is true. Rows with a null
/// do not count, and without both samples there is no distance. Memory: eight bytes a row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Wasserstein1 {
    signature: Signature,
}

impl Wasserstein1 {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Float64, DataType::Boolean], Volatility::Immutable),
        }
    }
}

fn list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
}

impl AggregateUDFImpl for Wasserstein1 {
    fn name(&self) -> &'static str {
        "wasserstein1"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Samples::default()))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part| Arc::new(Field::new(format!("{}[{part}]", arguments.name), list(), true));
        Ok(vec![field("first"), field("second")])
    }
}

/// Both samples so far.
#[derive(Debug, Default)]
struct Samples([Vec<f64>; 2]);

impl Accumulator for Samples {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = cast(&columns[0], &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        for (value, second) in values.iter().zip(columns[1].as_boolean()) {
            if let (Some(value), Some(second)) = (value, second) {
                self.0[usize::from(second)].push(value);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (sample, lists) in self.0.iter_mut().zip(states) {
            for list in lists.as_list::<i32>().iter().flatten() {
                sample.extend_from_slice(list.as_primitive::<Float64Type>().values());
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = |sample: &mut Vec<f64>| {
            let values = Float64Array::from(std::mem::take(sample));
            let (field, length) = (Arc::new(Field::new_list_field(DataType::Float64, true)), values.len());
            let list = ListArray::new(field, OffsetBuffer::from_lengths([length]), Arc::new(values), None);
            ScalarValue::List(Arc::new(list))
        };
        Ok(self.0.iter_mut().map(state).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let [first, second] = &self.0;
        if first.is_empty() || second.is_empty() {
            return Ok(ScalarValue::Float64(None));
        }
        let ones = |sample: &[f64]| vec![1.0; sample.len()];
        let distance = wasserstein_1d(first, &ones(first), second, &ones(second), 1.0);
        distance
            .map(ScalarValue::from)
            .map_err(|error| DataFusionError::Execution(format!("wasserstein1: {error}")))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.iter().map(|sample| sample.capacity() * size_of::<f64>()).sum::<usize>()
    }
}
