//! What holds for all commands: the flags that mean the same everywhere, and the command line itself.

use clap::Args;
use dozen::data::{MOST_PIXELS, set_most_pixels};
use dozen::nn::{Progress, RunFolder, choose_device};

use crate::output::Failure;

/// Flags that every command takes.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Fixes everything random
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where to compute: auto, cpu, cuda:N or wgpu
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Threads to use [default: one for each core]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    /// A TOML file of flags by their long names; flags on the command line win
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// The most pixels of a picture; larger ones are refused before they are decoded
    #[arg(long, global = true, alias = "pixel-limit", default_value_t = MOST_PIXELS, value_name = "N")]
    max_pixels: usize,
    /// No progress and no messages
    #[arg(long, global = true)]
    quiet: bool,
}

/// What holds for all commands.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    global: Global,
    /// The command line after the program's name, `--config` resolved.
    pub(crate) arguments: Vec<String>,
    /// The run that goes on.
    pub(crate) resumed: Option<RunFolder>,
}

impl Context {
    /// Of a command line whose `--config` is resolved.
    pub(crate) fn new(global: Global, arguments: Vec<String>) -> Self {
        Self { global, arguments, resumed: None }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.global.seed
    }

    pub(crate) fn json(&self) -> bool {
        self.global.json
    }

    pub(crate) fn quiet(&self) -> bool {
        self.global.quiet
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.global.quiet)
    }

    pub(crate) fn device(&self) -> Result<dozen::nn::Device, Failure> {
        Ok(choose_device(&self.global.device)?)
    }

    /// The command as it can be typed again.
    pub(crate) fn command_line(&self) -> String {
        let quoted = self.arguments.iter().map(|argument| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
            if !argument.is_empty() && argument.chars().all(plain) {
                argument.clone()
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        });
        std::iter::once("dozen".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
    }

    /// These settings with the arguments, seed and device of the run that goes on.
    pub(crate) fn resuming(&self, original: &Self, run: RunFolder) -> Self {
        let mut global = original.global.clone();
        (global.json, global.quiet) = (self.global.json, self.global.quiet);
        global.threads = self.global.threads.or(global.threads);
        Self { global, arguments: original.arguments.clone(), resumed: Some(run) }
    }

    /// Sets what holds for the whole process: threads, and how large pictures may be.
    pub(crate) fn set_limits(&self) -> Result<(), Failure> {
        set_most_pixels(self.global.max_pixels);
        let Some(threads) = self.global.threads else { return Ok(()) };
        if threads == 0 {
            return Err(Failure::request("--threads must be at least 1"));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|e| Failure::request(format!("--threads {threads} cannot be set: {e}")))
    }
}
