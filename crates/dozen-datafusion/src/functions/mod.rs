//! The functions that queries can call.

mod pictures;
mod tables;
mod texts;
mod wasserstein;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray, new_empty_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::Models;

/// Makes all functions known to a context, a session's state or an executor's registry.
///
/// # Errors
/// When the registry takes none.
pub fn register(registry: &mut dyn FunctionRegistry, models: &Arc<Models>) -> Result<()> {
    for function in scalar(models) {
        registry.register_udf(function)?;
    }
    registry.register_udaf(aggregate())?;
    Ok(())
}

/// One value for each row.
pub(crate) fn scalar(models: &Arc<Models>) -> Vec<Arc<ScalarUDF>> {
    texts::functions(models)
        .into_iter()
        .chain([tables::log_prob(models), pictures::class(models)])
        .map(|function| Arc::new(ScalarUDF::new_from_impl(function)))
        .collect()
}

/// One value for each group.
pub(crate) fn aggregate() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(wasserstein::Wasserstein1::new()))
}

/// What a function does with a batch: `name`, the text that is its first argument where it takes one, and the columns after
/// it, all of one length.
type Call = fn(models: &Models, name: &str, columns: &[ArrayRef]) -> Result<ArrayRef>;

/// A function of the values of a row.
#[derive(Debug)]
struct Function {
    name: &'static str,
    /// The first argument is a text that is the same for all rows.
    named: bool,
    signature: Signature,
    gives: DataType,
    models: Arc<Models>,
    call: Call,
}

impl Function {
    /// `columns` counts the arguments after the name; `None` is any number.
    fn new(
        name: &'static str,
        named: bool,
        columns: Option<usize>,
        gives: DataType,
        models: &Arc<Models>,
        call: Call,
    ) -> Self {
        let signature = match columns {
            Some(columns) => Signature::any(columns + usize::from(named), Volatility::Immutable),
            None => Signature::variadic_any(Volatility::Immutable),
        };
        Self { name, named, signature, gives, models: Arc::clone(models), call }
    }
}

/// The name says what it does; models say on what.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.models == other.models
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.models.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ScalarFunctionArgs { args, number_rows, .. } = arguments;
        let (name, columns) = if self.named {
            let first = args.first().ok_or_else(|| wrong(self.name, "takes a name first"))?;
            (constant(self.name, first)?, &args[1..])
        } else {
            (String::new(), &args[..])
        };
        if number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(&self.gives)));
        }
        let columns: Vec<ArrayRef> =
            columns.iter().map(|column| column.to_array(number_rows)).collect::<Result<_>>()?;
        Ok(ColumnarValue::Array((self.call)(&self.models, &name, &columns)?))
    }
}

/// The text that an argument is for all rows.
fn constant(function: &str, value: &ColumnarValue) -> Result<String> {
    let text = match value {
        ColumnarValue::Scalar(value) => match value {
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)) => Some(text.clone()),
            _ => None,
        },
        // An engine may have spread it over the rows.
        ColumnarValue::Array(array) => {
            let texts = as_texts(function, array)?;
            let mut values = texts.iter();
            match values.next() {
                Some(Some(first)) if values.all(|other| other == Some(first)) => Some(first.to_owned()),
                _ => None,
            }
        }
    };
    text.ok_or_else(|| wrong(function, "takes a name in quotes first, the same for all rows"))
}

/// A column of texts of any layout.
fn as_texts(function: &str, column: &ArrayRef) -> Result<StringArray> {
    if !matches!(
        column.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    ) {
        return Err(wrong(function, &format!("takes texts, not {}", column.data_type())));
    }
    let texts = cast(column, &DataType::Utf8)?;
    Ok(StringArray::from(texts.to_data()))
}

/// What is wrong with the use of a function.
fn wrong(function: &str, problem: &str) -> DataFusionError {
    DataFusionError::Execution(format!("{function} {problem}"))
}
