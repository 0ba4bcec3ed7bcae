//! Counts and times of requests in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

/// Upper ends of the ranges of seconds.
const SECONDS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Default)]
struct Times {
    within: [u64; SECONDS.len()],
    count: u64,
    sum: f64,
}

/// What was asked of each model, and how it went.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By model, verb and status.
    requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    /// By model and verb, of those that were answered.
    times: Mutex<BTreeMap<(String, String), Times>>,
}

impl Metrics {
    pub(crate) fn record(&self, model: &str, verb: &str, status: u16, took: Duration) {
        let key = (model.to_owned(), verb.to_owned());
        if let Ok(mut requests) = self.requests.lock() {
            *requests.entry((key.0.clone(), key.1.clone(), status)).or_default() += 1;
        }
        if status < 300
            && let Ok(mut times) = self.times.lock()
        {
            let times = times.entry(key).or_default();
            let seconds = took.as_secs_f64();
            for (count, end) in times.within.iter_mut().zip(SECONDS) {
                *count += u64::from(seconds <= end);
            }
            times.count += 1;
            times.sum += seconds;
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::from("# TYPE dozen_requests_total counter\n");
        for ((model, verb, status), count) in self.requests.lock().iter().flat_map(|requests| requests.iter())
        {
            let _ = writeln!(
                text,
                "dozen_requests_total{{model=\"{model}\",verb=\"{verb}\",status=\"{status}\"}} {count}"
            );
        }
        text += "# TYPE dozen_request_seconds histogram\n";
        for ((model, verb), times) in self.times.lock().iter().flat_map(|times| times.iter()) {
            let labels = format!("model=\"{model}\",verb=\"{verb}\"");
            for (count, end) in times.within.iter().zip(SECONDS) {
                let _ = writeln!(text, "dozen_request_seconds_bucket{{{labels},le=\"{end}\"}} {count}");
            }
            let _ = writeln!(text, "dozen_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}", times.count);
            let _ = writeln!(text, "dozen_request_seconds_sum{{{labels}}} {}", times.sum);
            let _ = writeln!(text, "dozen_request_seconds_count{{{labels}}} {}", times.count);
        }
        text
    }
}
