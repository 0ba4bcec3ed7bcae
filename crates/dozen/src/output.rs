//! Results on standard output, failures on standard error, and exit codes.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use dozen::data::Table;
use dozen::report::Report;
use serde_json::{Map, Value, json};

/// Why the program ends without its result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong, or help was asked for.
    Usage(clap::Error),
    /// The request or its input is wrong: exit code 2.
    Request(String),
    /// The run failed: exit code 1.
    Run(String),
    /// Another program has said why it failed, and ended with this code.
    Ended(i32),
}

impl Failure {
    pub(crate) fn usage(error: clap::Error) -> Self {
        Self::Usage(error)
    }

    pub(crate) fn request(sentence: impl Into<String>) -> Self {
        Self::Request(sentence.into())
    }

    /// What is wrong, as a sentence.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Usage(error) => error.to_string(),
            Self::Request(sentence) | Self::Run(sentence) => sentence,
            Self::Ended(code) => format!("a program ended with the code {code}"),
        }
    }

    /// Says it, and gives the exit code: 0 after help, 2 for a wrong request, 1 for a failed run.
    #[expect(clippy::print_stderr, reason = "this is where failures are said")]
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
            Self::Request(sentence) => {
                eprintln!("error: {sentence}");
                ExitCode::from(2)
            }
            Self::Run(sentence) => {
                eprintln!("error: {sentence}");
                ExitCode::from(1)
            }
            Self::Ended(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        }
    }
}

impl From<dozen::nn::Error> for Failure {
    fn from(error: dozen::nn::Error) -> Self {
        if error.is_request() { Self::Request(error.to_string()) } else { Self::Run(error.to_string()) }
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
        Self::request(error.to_string())
    }
}

/// Writes a report into a folder, which is made if it is not there, and gives the page's name.
pub(crate) fn write_report(folder: &Path, report: &Report) -> Result<String, Failure> {
    let page = folder.join("report.html");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&page, report.html()))
        .map_err(|e| Failure::Run(format!("cannot write `{}`: {e}", page.display())))?;
    Ok(page.display().to_string())
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
    pub(crate) fn print(self, as_json: bool) {
        if as_json {
            print_text(&format!("{}\n", Value::Object(self.json)));
        } else {
            print_text(&self.lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        }
    }
}

/// A table on standard output: CSV, or arrays in the JSON object.
pub(crate) fn print_table(table: &Table, mut json: Value, as_json: bool) {
    let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    let row =
        |row: usize| table.columns().iter().map(move |column| column.values.text(row)).collect::<Vec<_>>();
    if as_json {
        json["columns"] = json!(names);
        json["values"] = (0..table.rows()).map(|r| json!(row(r))).collect();
        Results::new(json).print(true);
        return;
    }
    let lines = (0..table.rows()).map(|r| row(r).join(","));
    print_text(&std::iter::once(names.join(",")).chain(lines).map(|line| line + "\n").collect::<String>());
}

/// Writes to standard output; a reader that has gone away is no failure.
pub(crate) fn print_text(text: &str) {
    print_bytes(text.as_bytes());
}

/// The same of bytes that may be no text.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
