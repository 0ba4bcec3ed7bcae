//! The report of a tokenizer.

use std::collections::BTreeMap;

use dozen::report::{LinePlot, Report, Table as Cells, escape};
use dozen::text::{Inventory, Tokenizer, Trained};

use super::shown;
use crate::output::Failure;

/// Pieces from which the page's figures come.
const SAMPLE: usize = 200_000;

pub(super) fn report(trained: &Trained, inventory: &Inventory, command: String) -> Result<Report, Failure> {
    let Trained { tokenizer, counts } = trained;
    let lead = format!(
        "{} tokens, learnt from {} bytes in {} different pieces.",
        tokenizer.len(),
        inventory.bytes(),
        inventory.len()
    );
    let mut report = Report::new("A byte-pair tokenizer", lead, command);
    let mut pieces: Vec<(&[u8], u64)> = inventory.pieces().collect();
    pieces.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut scripts: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for (piece, count) in pieces.iter().take(SAMPLE) {
        let tokens = tokenizer.offsets(piece)?.len() as f64;
        let [bytes, in_all] = scripts.entry(script(piece)).or_default();
        *bytes += piece.len() as f64 * *count as f64;
        *in_all += tokens * *count as f64;
    }
    let mut cells = Cells::new(["pieces", "bytes", "tokens", "bytes a token"]);
    for (name, [bytes, tokens]) in &scripts {
        cells = cells.row([
            (*name).to_owned(),
            format!("{bytes:.0}"),
            format!("{tokens:.0}"),
            format!("{:.2}", bytes / tokens),
        ]);
    }
    report
        .section("Compression")
        .text(&format!(
            "Of the {} most frequent pieces, by the script of their first letter.",
            SAMPLE.min(pieces.len())
        ))
        .table(cells);
    let points =
        counts.iter().zip(1..).map(|(count, merge)| ((merge as f64).log10(), (*count as f64).log10()));
    // As many points as a page can show.
    let step = counts.len().div_ceil(1000).max(1);
    let plot = LinePlot::new("", "merge, log10", "occurrences of the pair, log10")
        .line("pairs", points.step_by(step).collect());
    report
        .section("Merges")
        .text("How often the pair of each merge occurred: what later tokens are worth.")
        .plot(plot.svg(), "The first merges are letters that stand together everywhere; the last are words.");
    let text: Vec<u8> = inventory.pieces().take(400).flat_map(|(piece, _)| piece.to_vec()).collect();
    report.section("Tokens").plot(
        coloured(tokenizer, &text)?,
        "The first pieces that were seen, each once; a colour is a token.",
    );
    let mut cells = Cells::new(["id", "token", "occurrences of its pair"]);
    let merges = tokenizer.tokens().skip(256).zip(counts);
    for ((token, id), count) in
        merges.clone().take(20).chain(merges.skip(counts.len().saturating_sub(20).max(20)))
    {
        cells = cells.row([id.to_string(), shown(token), count.to_string()]);
    }
    report.section("First and last").table(cells);
    Ok(report)
}

/// Text whose tokens have colours in turn.
pub(super) fn coloured(tokenizer: &Tokenizer, text: &[u8]) -> Result<String, Failure> {
    const COLOURS: [&str; 4] = ["80,140,255", "240,160,40", "90,190,110", "220,90,150"];
    let mut html = String::from(
        "<p style=\"line-height:1.9;font-family:monospace;overflow-wrap:anywhere;text-align:left\">",
    );
    for (place, token) in tokenizer.offsets(text)?.into_iter().enumerate() {
        let words = String::from_utf8_lossy(&text[token.range]).replace('\n', "\u{23ce}\n");
        let colour = COLOURS[place % COLOURS.len()];
        let span = format!(
            "<span title=\"{}\" style=\"background:rgba({colour},.3);white-space:pre-wrap\">{}</span>",
            token.id,
            escape(&words)
        );
        html.push_str(&span);
    }
    html.push_str("</p>");
    Ok(html)
}

/// Tokens by the script of their first letter: how many, and their mean length in bytes.
pub(super) fn scripts(tokenizer: &Tokenizer) -> Vec<(&'static str, usize, f64)> {
    let mut scripts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (token, _) in tokenizer.tokens() {
        let (count, bytes) = scripts.entry(script(token)).or_default();
        (*count, *bytes) = (*count + 1, *bytes + token.len());
    }
    let mut scripts: Vec<_> = scripts
        .into_iter()
        .map(|(name, (count, bytes))| (name, count, bytes as f64 / count as f64))
        .collect();
    scripts.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
    scripts
}

/// The script of the first letter, by Unicode's blocks; or what stands in place of letters.
fn script(bytes: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(bytes) else { return "with parts of characters" };
    let Some(letter) = text.chars().find(|c| c.is_alphabetic()) else {
        let all = |test: fn(&char) -> bool| text.chars().all(|c| test(&c));
        return if all(|c| c.is_numeric() || *c == ' ') && text.trim() != "" {
            "of numbers"
        } else if all(|c| c.is_whitespace()) {
            "of white space"
        } else {
            "of signs"
        };
    };
    match u32::from(letter) {
        0..=0x7f => "in English letters",
        0x80..=0x24f | 0x1e00..=0x1eff => "in other Latin letters",
        0x370..=0x3ff => "in Greek",
        0x400..=0x52f => "in Cyrillic",
        0x590..=0x5ff => "in Hebrew",
        0x600..=0x77f => "in Arabic",
        0x900..=0xdff => "in scripts of India",
        0xe00..=0xe7f => "in Thai",
        0x3040..=0x30ff => "in Kana",
        0x2e80..=0x2fdf | 0x3400..=0x9fff | 0x2_0000..=0x3_ffff => "in Han",
        0xac00..=0xd7af | 0x1100..=0x11ff => "in Hangul",
        _ => "in other scripts",
    }
}
