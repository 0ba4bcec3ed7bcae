//! Progress on standard error: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    quiet: bool,
    terminal: bool,
}

impl Progress {
    /// To standard error unless `quiet`.
    pub fn new(quiet: bool) -> Self {
        use std::io::IsTerminal;
        Self { quiet, terminal: std::io::stderr().is_terminal() }
    }

    /// Starts on `total` items of a kind (`rows`), `done` of them done.
    pub fn start(self, what: &str, unit: &str, total: u64, done: u64) -> Meter {
        let bar = if self.terminal && !self.quiet {
            let template =
                "{prefix} {wide_bar} {pos}/{len} {unit} {per_sec} eta {eta} {msg}".replace("{unit}", unit);
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_prefix(what.to_owned())
        } else {
            ProgressBar::hidden()
        };
        bar.set_position(done);
        Meter {
            bar,
            lines: !self.terminal && !self.quiet,
            what: what.to_owned(),
            unit: unit.to_owned(),
            total,
            started: Instant::now(),
            started_at: done,
            done,
            last_line: Instant::now(),
        }
    }

    /// A message, above the bar if there is one.
    pub fn say(self, message: &str) {
        if !self.quiet {
            dozen_run::say(message);
        }
    }
}

/// A started piece of work.
pub struct Meter {
    bar: ProgressBar,
    lines: bool,
    what: String,
    unit: String,
    total: u64,
    started: Instant,
    started_at: u64,
    done: u64,
    last_line: Instant,
}

impl Meter {
    /// `count` more items are done; `message` says how it goes.
    pub fn advance(&mut self, count: u64, message: impl FnOnce() -> String) {
        self.done += count;
        self.bar.inc(count);
        let line_due = self.lines && self.last_line.elapsed() >= LINE_EVERY;
        if !line_due && self.bar.is_hidden() {
            return;
        }
        let message = message();
        if line_due {
            self.last_line = Instant::now();
            let rate = (self.done - self.started_at) as f64 / self.started.elapsed().as_secs_f64();
            let left = (self.total.saturating_sub(self.done)) as f64 / rate;
            let Self { what, done, total, unit, .. } = self;
            dozen_run::say(&format!(
                "{what}: {done}/{total} {unit}, {rate:.0} {unit}/s, {left:.0} s left {message}"
            ));
        }
        self.bar.set_message(message);
    }

    /// Ends the bar.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
