//! The loop: resuming, interruption, early stopping, the guard, and the folders it leaves.

use std::path::Path;
use std::sync::Mutex;

use burn::module::{Module, Param};
use burn::tensor::{Distribution, Tensor};
use dozen_nn::*;

/// Interruption is one flag for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[derive(Module, Debug)]
struct Line {
    weight: Param<Tensor<1>>,
}

/// Fits `w` to 3 by noisy gradient steps; the noise comes from the device, as dropout's would.
struct Fit {
    line: Trained<Line>,
    interrupt_at: Option<u64>,
    break_at: Option<u64>,
    batches: Vec<Vec<usize>>,
}

impl Fit {
    fn new(ema: Option<f64>) -> Self {
        let device = Device::flex().autodiff();
        let line = Line { weight: Param::from_tensor(Tensor::zeros([4], &device)) };
        let optimizer = Optimizer::new(OptimizerConfig::adam(0.01), Some(10.0));
        Self { line: Trained::new(line, optimizer, ema), interrupt_at: None, break_at: None, batches: vec![] }
    }

    fn weights(&self) -> Vec<f32> {
        self.line.evaluated().weight.val().into_data().try_to_vec().unwrap()
    }
}

impl Learner for Fit {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        self.batches.push(rows.to_vec());
        if self.interrupt_at == Some(context.step) {
            request_interrupt(true);
        }
        let noise = Tensor::random([4], Distribution::Normal(0.0, 0.1), &self.device());
        let target = Tensor::from_inner(noise + 3.0);
        let loss = (self.line.module().weight.val() - target).square().mean();
        let mut value = f64::from(loss.clone().into_scalar::<f32>());
        if self.break_at == Some(context.step) {
            value = f64::NAN;
        } else {
            self.line.descend(&loss, context.rate);
        }
        vec![("loss", value), ("rows", rows.len() as f64)]
    }

    fn validate(&mut self) -> Terms {
        let error: f32 = self.weights().iter().map(|w| (w - 3.0).powi(2)).sum();
        vec![("error", f64::from(error))]
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.line.save(folder, "line", with_optimizer)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.line.load(folder, "line", with_optimizer)
    }

    fn remember(&mut self) {
        self.line.remember();
    }

    fn recall(&mut self) {
        self.line.recall();
    }

    fn device(&self) -> Device {
        Device::flex()
    }
}

fn config() -> TrainConfig {
    let schedule = Schedule { rate: 0.05, warm_up: 5, decay: Decay::Plateau { patience: 2, factor: 0.5 } };
    TrainConfig { epochs: 6, batch_size: 10, patience: None, schedule, seed: 7, tensorboard: true }
}

fn run(fit: &mut Fit, config: &TrainConfig, folder: &RunFolder) -> Result<History, Error> {
    let mut observer = RunObserver::new(folder, Progress::new(true), config.tensorboard)?;
    train(fit, 95, config, &mut observer)
}

fn without_seconds(mut history: History) -> History {
    history.seconds = 0.0;
    history.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    history
}

#[test]
fn a_resumed_run_ends_where_an_uninterrupted_one_does() {
    let _alone = ONE_AT_A_TIME.lock();
    for ema in [None, Some(0.9)] {
        let folder = tempfile::tempdir().unwrap();
        let whole_folder = RunFolder::begin(&folder.path().join("whole"), Existing::Keep).unwrap();
        let mut whole = Fit::new(ema);
        let history = run(&mut whole, &config(), &whole_folder).unwrap();

        // Stopped in the middle of an epoch, then at the end of one, then let go on.
        let parts_folder = RunFolder::begin(&folder.path().join("parts"), Existing::Keep).unwrap();
        let mut batches = Vec::new();
        for stop in [13, 30] {
            let mut part = Fit { interrupt_at: Some(stop), ..Fit::new(ema) };
            let error = run(&mut part, &config(), &parts_folder).unwrap_err();
            request_interrupt(false);
            assert!(
                error.to_string().contains(&format!("stopped at step {stop}; go on with --resume")),
                "{error}"
            );
            batches.extend(part.batches);
            let second = RunFolder::begin(&folder.path().join("parts"), Existing::Keep);
            assert!(second.unwrap_err().to_string().contains("is being written by process"));
        }
        let mut last = Fit::new(ema);
        drop(parts_folder);
        let folder = RunFolder::resume(&folder.path().join("parts")).unwrap().into_run().unwrap();
        let resumed = run(&mut last, &config(), &folder).unwrap();
        batches.extend(last.batches.clone());
        assert_eq!(last.weights(), whole.weights());
        assert_eq!(batches, whole.batches);
        assert_eq!(without_seconds(resumed), without_seconds(history));
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_says_where() {
    let _alone = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let folder = RunFolder::begin(&folder.path().join("m"), Existing::Keep).unwrap();
    let mut fit = Fit { break_at: Some(25), ..Fit::new(None) };
    let error = run(&mut fit, &config(), &folder).unwrap_err().to_string();
    assert!(error.contains("training stopped at step 25: the loss became NaN"), "{error}");
    assert!(folder.best(2).join("line.safetensors").exists());
}

#[test]
fn patience_ends_the_run_and_the_best_weights_are_kept() {
    let _alone = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let folder = RunFolder::begin(&folder.path().join("m"), Existing::Keep).unwrap();
    let mut fit = Fit::new(None);
    let schedule = Schedule { rate: 1.0, warm_up: 0, decay: Decay::Constant };
    let history =
        run(&mut fit, &TrainConfig { epochs: 60, patience: Some(3), schedule, ..config() }, &folder).unwrap();
    let values = history.validation();
    let best = values.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(values[history.best_epoch as usize - 1], best);
    assert_eq!(history.epochs.len() as u64, (history.best_epoch + 3).min(60));
    assert!((fit.validate()[0].1 - best).abs() < 1e-6);
    let lines = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), history.epochs.len());
    let events = std::fs::read_dir(folder.path()).unwrap();
    assert!(events.filter_map(Result::ok).any(|f| f.file_name().to_string_lossy().contains("tfevents")));
}

#[test]
fn rows_of_an_epoch_are_all_used_once_in_an_order_of_the_seed() {
    let _alone = ONE_AT_A_TIME.lock();
    let order = |seed: u64| {
        let folder = tempfile::tempdir().unwrap();
        let folder = RunFolder::begin(&folder.path().join("m"), Existing::Keep).unwrap();
        let mut fit = Fit::new(None);
        run(&mut fit, &TrainConfig { epochs: 2, seed, ..config() }, &folder).unwrap();
        fit.batches.concat()
    };
    let rows = order(1);
    for epoch in [&rows[..95], &rows[95..]] {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..95).collect::<Vec<_>>());
    }
    assert_ne!(rows[..95], rows[95..]);
    assert_eq!(rows, order(1));
    assert_ne!(rows, order(2));
}

#[test]
fn model_folders_that_cannot_be_used_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let refusal = || ModelFolder::open(&path).unwrap_err().to_string();
    assert!(refusal().contains("does not exist"));
    std::fs::create_dir(&path).unwrap();
    assert!(refusal().contains("is no model folder"));
    let config = |text: &str| std::fs::write(path.join("config.json"), text).unwrap();
    config("{");
    assert!(refusal().contains("cannot be understood"));
    config(r#"{"format": 999, "family": "flow"}"#);
    assert!(refusal().contains("was written in format 999"));
    config(r#"{"format": 1, "family": "flow"}"#);
    assert!(refusal().contains("has no model.safetensors"));
    std::fs::write(path.join("model.safetensors"), "junk").unwrap();
    let opened = ModelFolder::open(&path).unwrap();
    let error = opened.config_of::<TrainConfig>("vae").unwrap_err().to_string();
    assert!(error.contains("holds a model of the family flow, not vae"), "{error}");
    let line = || Line { weight: Param::from_tensor(Tensor::zeros([4], &Device::flex())) };
    assert!(
        load_weights(line(), &opened.weights()).unwrap_err().to_string().contains("not a whole safetensors")
    );
    let other = Line { weight: Param::from_tensor(Tensor::zeros([5], &Device::flex())) };
    save_weights(&other, &opened.weights()).unwrap();
    assert!(load_weights(line(), &opened.weights()).unwrap_err().to_string().contains("in shape"));
    #[derive(Module, Debug)]
    struct Other {
        bias: Param<Tensor<1>>,
    }
    let other = Other { bias: Param::from_tensor(Tensor::zeros([4], &Device::flex())) };
    save_weights(&other, &opened.weights()).unwrap();
    assert!(
        load_weights(line(), &opened.weights())
            .unwrap_err()
            .to_string()
            .contains("lacks the tensor `weight`")
    );
}

#[test]
fn every_optimizer_finds_the_minimum() {
    let rules = [
        (OptimizerConfig::Sgd { momentum: 0.0 }, 0.4),
        (OptimizerConfig::Sgd { momentum: 0.9 }, 0.05),
        (OptimizerConfig::RmsProp { decay: 0.9, epsilon: 1e-8 }, 0.01),
        (OptimizerConfig::adam(0.0), 0.05),
    ];
    for (rule, rate) in rules {
        let mut line = Trained::new(
            Line { weight: Param::from_tensor(Tensor::zeros([2], &Device::flex().autodiff())) },
            Optimizer::new(rule, None),
            None,
        );
        for _ in 0..600 {
            let loss = (line.module().weight.val() - 3.0).square().sum();
            line.descend(&loss, rate);
        }
        let weights: Vec<f32> = line.module().weight.val().into_data().try_to_vec().unwrap();
        assert!(weights.iter().all(|w| (w - 3.0).abs() < 0.02), "{rule:?}: {weights:?}");
    }
}

#[test]
fn a_clipped_gradient_has_the_stated_norm() {
    let start = Tensor::<1>::zeros([4], &Device::flex().autodiff());
    let optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.0 }, Some(0.5));
    let mut line = Trained::new(Line { weight: Param::from_tensor(start) }, optimizer, None);
    let loss = (line.module().weight.val() * 100.0).sum();
    line.descend(&loss, 1.0);
    let weights: Vec<f32> = line.module().weight.val().into_data().try_to_vec().unwrap();
    let norm = weights.iter().map(|w| w * w).sum::<f32>().sqrt();
    assert!((norm - 0.5).abs() < 1e-5, "{norm}");
}

#[test]
fn models_name_the_version_of_burn_that_is_pinned() {
    let workspace =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
    let pinned = format!("\"={}\"", dozen_nn::WrittenBy::default().burn);
    let burn = workspace.lines().find(|line| line.starts_with("burn =")).unwrap();
    assert!(burn.contains(&pinned), "{burn}");
}
