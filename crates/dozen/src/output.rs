//! Results on standard output, failures on standard error, and exit codes.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use dozen::data::{DataError, Table, write_csv, write_file};
use dozen::report::Report;
use serde_json::{Map, Value, json};

/// Why the program ends without its result. Each has its exit code, and there is one rule for all commands.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong, or help was asked for: 2, or 0.
    Usage(clap::Error),
    /// The request or its input is wrong: 2.
    Request(String),
    /// The run failed, by the disk, the network, or because what it checked does not hold: 1.
    Run(String),
    /// Somebody stopped it: 130.
    Interrupted(String),
    /// The program itself is at fault: 3.
    Fault(String),
    /// Another program has said why it failed, and ended with this code.
    Ended(i32),
    /// Whoever read standard output has gone away, and wants no more: 0, quietly.
    Unread,
}

impl Failure {
    pub(crate) fn usage(error: clap::Error) -> Self {
        Self::Usage(error)
    }

    pub(crate) fn request(sentence: impl Into<String>) -> Self {
        Self::Request(sentence.into())
    }

    /// Of a sentence that `is_request` sorts.
    fn sorted(is_request: bool, error: impl std::fmt::Display) -> Self {
        if is_request { Self::Request(error.to_string()) } else { Self::Run(error.to_string()) }
    }

    /// What is wrong, as a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Usage(error) => error.to_string(),
            Self::Request(sentence)
            | Self::Run(sentence)
            | Self::Interrupted(sentence)
            | Self::Fault(sentence) => sentence.clone(),
            Self::Ended(code) => format!("a program ended with the code {code}"),
            Self::Unread => "nobody reads standard output".to_owned(),
        }
    }

    /// The same with advice, where the run failed and not its request.
    pub(crate) fn advise(self, advice: Option<String>) -> Self {
        match (self, advice) {
            (Self::Run(sentence), Some(advice)) => Self::Run(format!("{sentence}; {advice}")),
            (Self::Fault(sentence), Some(advice)) => Self::Fault(format!("{sentence}; {advice}")),
            (other, _) => other,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::Request(_) => 2,
            Self::Run(_) => 1,
            Self::Interrupted(_) => 130,
            Self::Fault(_) => 3,
            Self::Ended(code) => u8::try_from(*code).unwrap_or(1),
            Self::Unread => 0,
        }
    }

    /// Says it on standard error, as an object on standard output too if that is to be JSON, and gives the exit code.
    pub(crate) fn report(self, as_json: bool) -> ExitCode {
        let code = self.code();
        let said = match &self {
            // Help and the version are results.
            Self::Usage(error) if !error.use_stderr() => {
                return match error.print() {
                    Err(fault) if fault.kind() != ErrorKind::BrokenPipe => not_printed(&fault).report(false),
                    _ => ExitCode::from(code),
                };
            }
            Self::Usage(error) => error.print().is_ok(),
            Self::Ended(_) | Self::Unread => return ExitCode::from(code),
            other => {
                dozen::run::say(&format!("error: {}", other.sentence()));
                true
            }
        };
        // A command that has printed its result, and fails by what that is, has printed its one object.
        if (as_json || !said) && !PRINTED.load(Ordering::Relaxed) {
            let sentence = self.sentence();
            let sentence = sentence.trim_end();
            let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence);
            // Whether that can be written changes nothing any more.
            let _ = print_text(&format!("{}\n", json!({ "error": sentence, "code": code })));
        }
        ExitCode::from(code)
    }
}

impl From<dozen::nn::Error> for Failure {
    fn from(error: dozen::nn::Error) -> Self {
        match error {
            dozen::nn::Error::Interrupted { .. } => Self::Interrupted(error.to_string()),
            dozen::nn::Error::Setting(_) => Self::request(with_flags(&error.to_string())),
            dozen::nn::Error::NotFinite { .. } => {
                // The folder of the checkpoint comes after the advice.
                let sentence = error.to_string();
                let (advice, rest) = sentence.split_once("; ").unwrap_or((&sentence, ""));
                Self::Run(format!("{}; {rest}", with_flags(advice)))
            }
            _ => Self::sorted(error.is_request(), error),
        }
    }
}

impl From<dozen::Error> for Failure {
    fn from(error: dozen::Error) -> Self {
        match error {
            dozen::Error::Model(error) => error.into(),
            dozen::Error::Text(error) => error.into(),
            other => Self::request(other.to_string()),
        }
    }
}

impl From<dozen::run::Error> for Failure {
    fn from(error: dozen::run::Error) -> Self {
        dozen::nn::Error::from(error).into()
    }
}

impl From<dozen::data::DataError> for Failure {
    fn from(error: dozen::data::DataError) -> Self {
        dozen::nn::Error::from(error).into()
    }
}

impl From<dozen::transport::Error> for Failure {
    fn from(error: dozen::transport::Error) -> Self {
        Self::request(error.to_string())
    }
}

impl From<dozen::graph::Error> for Failure {
    fn from(error: dozen::graph::Error) -> Self {
        Self::request(error.to_string())
    }
}

impl From<dozen::text::Error> for Failure {
    fn from(error: dozen::text::Error) -> Self {
        Self::sorted(error.is_request(), error)
    }
}

/// A library's sentence about settings, which alone stand in backticks in it, with the flags that set them.
fn with_flags(sentence: &str) -> String {
    let shown = |(at, part): (usize, &str)| {
        if at % 2 == 0 { part.to_owned() } else { format!("--{}", part.replace('_', "-")) }
    };
    sentence.split('`').enumerate().map(shown).collect()
}

/// Writes a report into a folder, which is made if it is not there, and gives the page's name.
pub(crate) fn write_report(folder: &Path, report: &Report) -> Result<String, Failure> {
    let page = folder.join("report.html");
    std::fs::create_dir_all(folder).map_err(|error| DataError::write(folder, error))?;
    write_file(&page, report.html())?;
    Ok(page.display().to_string())
}

/// Whether a result was printed.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Whether results are to be JSON, for those who cannot be told otherwise.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Notes whether results are to be JSON.
pub(crate) fn expect_json(as_json: bool) {
    AS_JSON.store(as_json, Ordering::Relaxed);
}

/// Says that somebody stopped the program where there was nothing to save.
pub(crate) fn say_interrupted() {
    let _ = Failure::Interrupted("interrupted".into()).report(AS_JSON.load(Ordering::Relaxed));
}

/// A result: JSON for programs and lines for people.
pub(crate) struct Results {
    json: Map<String, Value>,
    lines: Vec<String>,
}

impl Results {
    /// From a JSON object.
    pub(crate) fn new(json: Value) -> Self {
        match json {
            Value::Object(json) => Self { json, lines: Vec::new() },
            _ => unreachable!("a result is a JSON object"),
        }
    }

    /// Adds the figures of a JSON object.
    pub(crate) fn figures(mut self, json: Value) -> Self {
        self.json.extend(Self::new(json).json);
        self
    }

    /// Adds a line for people.
    pub(crate) fn line(self, line: impl Into<String>) -> Self {
        self.lines([line.into()])
    }

    /// Adds lines for people.
    pub(crate) fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// Prints one or the other.
    pub(crate) fn print(self, as_json: bool) -> Result<(), Failure> {
        PRINTED.store(true, Ordering::Relaxed);
        if as_json {
            print_text(&format!("{}\n", Value::Object(self.json)))
        } else {
            print_text(&self.lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        }
    }
}

/// A table on standard output: CSV as in files, or arrays in the JSON object.
pub(crate) fn print_table(table: &Table, mut json: Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
        let row =
            |row: usize| table.columns().iter().map(|column| column.values.text(row)).collect::<Vec<_>>();
        json["columns"] = json!(names);
        json["values"] = (0..table.rows()).map(|r| json!(row(r))).collect();
        return Results::new(json).print(true);
    }
    let mut text = Vec::new();
    write_csv(table, &mut text).map_err(|error| Failure::Run(error.to_string()))?;
    print_bytes(&text)
}

/// Writes to standard output.
pub(crate) fn print_text(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// The same of bytes that may be no text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| not_printed(&error))
}

fn not_printed(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Run(format!("cannot write to standard output: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::with_flags;

    #[test]
    fn settings_become_flags() {
        let said = with_flags("a lower `rate` or a `clip_norm` of 1 helps");
        assert_eq!(said, "a lower --rate or a --clip-norm of 1 helps");
        let fault = dozen::nn::Error::NotFinite {
            step: 3,
            term: "loss".into(),
            value: f64::NAN,
            checkpoint: Some("a`rate`b`/last".into()),
        };
        let said = super::Failure::from(fault).sentence();
        assert!(
            said.contains("A lower --rate or a --clip-norm of 1") && said.ends_with("`a`rate`b`/last`"),
            "{said}"
        );
    }
}
