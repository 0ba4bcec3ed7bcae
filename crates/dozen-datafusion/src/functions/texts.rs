//! Functions of texts: tokens, pieces, words, embeddings.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, Float32Builder, Int64Array, ListBuilder, StringBuilder, StructBuilder,
    UInt32Builder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, UInt32Type};
use datafusion::error::{DataFusionError, Result};
use dozen_text::Pattern;
use dozen_text::word2vec::{Pooling, text_vectors};

use super::{Function, as_texts, wrong};
use crate::Models;

pub(super) fn functions(models: &Arc<Models>) -> Vec<Function> {
    let list = |of: DataType| DataType::List(Arc::new(Field::new_list_field(of, true)));
    vec![
        Function::new("tokens", true, Some(1), list(DataType::UInt32), models, tokens),
        Function::new("token_count", true, Some(1), DataType::Int64, models, token_count),
        Function::new("pieces", true, Some(1), list(DataType::Binary), models, pieces),
        Function::new("pairs", false, Some(1), list(DataType::Struct(pair())), models, pairs),
        Function::new("words", false, Some(1), list(DataType::Utf8), models, words),
        Function::new("embedding", true, Some(1), list(DataType::Float32), models, embedding),
    ]
}

fn failed(error: dozen_text::Error) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// The ids of ordinary tokens; special ones in a text are text.
fn tokens(models: &Models, name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let tokenizer = models.tokenizer(name)?;
    let mut lists = ListBuilder::new(UInt32Builder::new());
    for text in &as_texts("tokens", &columns[0])? {
        if let Some(text) = text {
            lists.values().append_slice(&tokenizer.encode_ordinary(text).map_err(failed)?);
        }
        lists.append(text.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn token_count(models: &Models, name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let tokenizer = models.tokenizer(name)?;
    let count = |text: &str| tokenizer.count(text.as_bytes()).map(|count| count as i64).map_err(failed);
    let texts = as_texts("token_count", &columns[0])?;
    let counts: Int64Array = texts.iter().map(|text| text.map(count).transpose()).collect::<Result<_>>()?;
    Ok(Arc::new(counts))
}

/// The pieces of a text by a pattern: gpt2, cl100k, o200k, llama3, qwen2 or a regular expression.
fn pieces(_models: &Models, pattern: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let pattern = Pattern::new(pattern).map_err(failed)?;
    let mut lists = ListBuilder::new(BinaryBuilder::new());
    for text in &as_texts("pieces", &columns[0])? {
        if let Some(text) = text {
            let mut start = 0;
            let each = |end| {
                lists.values().append_value(&text.as_bytes()[start..end]);
                start = end;
            };
            pattern.each_end(text.as_bytes(), each).map_err(failed)?;
        }
        lists.append(text.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn pair() -> Fields {
    let end = |name| Field::new(name, DataType::UInt32, true);
    Fields::from(vec![end("left"), end("right")])
}

/// Neighbours, from the left.
fn pairs(_models: &Models, _name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::UInt32, true)));
    let ids = match columns[0].data_type() {
        DataType::List(_) | DataType::LargeList(_) | DataType::Null => cast(&columns[0], &list)?,
        other => {
            return Err(wrong("pairs", &format!("takes lists of ids, as tokens gives them, not {other}")));
        }
    };
    let mut lists = ListBuilder::new(StructBuilder::from_fields(pair(), 0));
    for list in ids.as_list::<i32>().iter() {
        let valid = list.is_some();
        if let Some(list) = list {
            for pair in list.as_primitive::<UInt32Type>().values().windows(2) {
                for (end, id) in pair.iter().enumerate() {
                    if let Some(builder) = lists.values().field_builder::<UInt32Builder>(end) {
                        builder.append_value(*id);
                    }
                }
                lists.values().append(true);
            }
        }
        lists.append(valid);
    }
    Ok(Arc::new(lists.finish()))
}

/// Words stand between blanks, tabs, ends of lines and other control characters, as word2vec's training reads them.
fn words(_models: &Models, _name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for text in &as_texts("words", &columns[0])? {
        for word in text.unwrap_or_default().split(|c: char| c <= ' ').filter(|word| !word.is_empty()) {
            lists.values().append_value(word);
        }
        lists.append(text.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

/// The mean of the vectors of a text's words; none where no word is known.
fn embedding(models: &Models, name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let vectors = models.words(name)?;
    let texts = as_texts("embedding", &columns[0])?;
    let split = texts.iter().map(|text| text.unwrap_or_default().split_whitespace().collect());
    let (pooled, known) = text_vectors(&vectors, split, Pooling::Mean);
    let mut lists = ListBuilder::new(Float32Builder::new());
    for (row, known) in (0..).zip(known) {
        if known > 0 {
            lists.values().append_slice(pooled.row(row));
        }
        lists.append(known > 0);
    }
    Ok(Arc::new(lists.finish()))
}
