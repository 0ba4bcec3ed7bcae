//! What a family shows on the tour, and what that is checked against.

use dozen::report::Report;
use serde_json::Value;

/// What a family shows on the tour.
pub(crate) struct Stop {
    /// Its part of the report.
    pub(crate) report: Report,
    /// What it measured.
    pub(crate) json: Value,
    /// What it was checked against.
    pub(crate) checks: Vec<Check>,
}

/// Something whose truth is known, and whether it came out so.
pub(crate) struct Check {
    pub(crate) passed: bool,
    pub(crate) sentence: String,
}

impl Check {
    pub(crate) fn new(passed: bool, sentence: impl Into<String>) -> Self {
        Self { passed, sentence: sentence.into() }
    }

    pub(crate) fn mark(&self) -> &'static str {
        if self.passed { "\u{2713}" } else { "\u{2717}" }
    }
}
