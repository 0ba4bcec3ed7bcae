//! The tokenizer stop of the tour.

use std::path::Path;

use dozen::text::{Inventory, Pattern, TrainConfig, train};
use serde_json::json;

use super::page;
use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// This program's own help for its text, and a vocabulary cut short for the law of ladders.
pub(crate) fn tour(_: &Path, context: &Context) -> Result<Stop, Failure> {
    let text = include_str!("../../../../../README.md");
    let pattern = Pattern::new("cl100k")?;
    let mut inventory = Inventory::new();
    inventory.count(&pattern, text.as_bytes())?;
    let config = TrainConfig { vocabulary: 512, ..TrainConfig::default() };
    let trained = train(&inventory, pattern, &config, |_| true)?;
    let ids = trained.tokenizer.encode_ordinary(text)?;
    let report = page::report(&trained, &inventory, context.command_line())?;
    let bytes_per_token = text.len() as f64 / ids.len() as f64;
    let checks = vec![Check::new(
        trained.tokenizer.decode(&ids)? == text,
        format!(
            "{} merges make {} tokens of this program's README, {bytes_per_token:.2} bytes each, and give it back",
            trained.counts.len(),
            ids.len()
        ),
    )];
    let json =
        json!({ "merges": trained.counts.len(), "tokens": ids.len(), "bytes_per_token": bytes_per_token });
    Ok(Stop { report, json, checks })
}
