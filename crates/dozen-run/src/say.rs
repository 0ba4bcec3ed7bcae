//! Messages on standard error.

use std::io::Write;

/// Writes a line to standard error. Where that is closed or full, the work goes on without the message.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
