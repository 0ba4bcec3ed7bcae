//! The program as tests call it.

#![allow(dead_code, reason = "each test file takes what it needs")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// Runs the program in a folder.
pub(crate) fn dozen(folder: &Path, line: &str) -> std::process::Output {
    Command::cargo_bin("dozen").unwrap().current_dir(folder).args(line.split_whitespace()).output().unwrap()
}

/// A command's JSON.
pub(crate) fn json(folder: &Path, line: &str) -> Value {
    let output = dozen(folder, &format!("{line} --json --quiet"));
    assert!(output.status.success(), "dozen {line}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The sentence of a command that is refused.
pub(crate) fn refused(folder: &Path, line: &str) -> String {
    let output = dozen(folder, line);
    assert_eq!(output.status.code(), Some(2), "dozen {line}");
    String::from_utf8(output.stderr).unwrap()
}

/// A number of a JSON object.
pub(crate) fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}
