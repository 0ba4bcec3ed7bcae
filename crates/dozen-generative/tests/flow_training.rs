//! A flow that is stopped goes on as if it had not been, and one that is opened gives what the trained one gave.

use std::path::Path;

use dozen_data::{Schema, make};
use dozen_generative::flow::{BaseConfig, FlowConfig, Model, Preset, Saved, TrainRequest, train_model};
use dozen_nn::{
    Decay, Device, Error, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig,
    TrainingRecord, request_interrupt,
};

/// Trains a flow with everything that has a state; interrupted after its first step if asked. Gives log-probabilities.
fn run_in(folder: &Path, resume: bool, interrupt: bool) -> Result<Vec<f64>, Error> {
    let run = if resume {
        RunFolder::resume(folder)?.into_run()?
    } else {
        RunFolder::begin(folder, Existing::Keep)?
    };
    let table = make::gaussian_mixture(300, 2, 1).table;
    let part = |from: usize, to: usize| {
        Schema::infer(&table.select(&(0..300).collect::<Vec<_>>()), &[]).map(|schema| {
            let columns = Schema { columns: schema.columns[from..to].to_vec() };
            let cells = columns.encode(&table).unwrap();
            (columns, cells)
        })
    };
    let ((columns, cells), (condition, given)) = (part(0, 2)?, part(2, 3)?);
    let preset = FlowConfig::preset(Preset::RealNvp, 2, &[8], 4, BaseConfig::Mixture { parts: 2 });
    let config = Saved {
        model: preset.with_batch_norm(),
        columns,
        condition,
        whole: vec![true, false],
        variational: Some(vec![6]),
        image: None,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 2,
                batch_size: 50,
                patience: None,
                schedule: Schedule { rate: 0.01, warm_up: 0, decay: Decay::Cosine },
                seed: 4,
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: Some(5.0),
            ema: Some(0.9),
        },
        data: Vec::new(),
    };
    let request = TrainRequest {
        config,
        train: &cells,
        train_condition: &given,
        valid: &cells,
        valid_condition: &given,
        reflow: None,
    };
    request_interrupt(interrupt);
    let result = train_model(request, &run, &[Device::flex()], Progress::new(true));
    request_interrupt(false);
    let (model, _) = result?;
    run.finish()?;
    Ok(model.log_prob(&cells, &given))
}

#[test]
fn a_stopped_flow_goes_on_and_an_opened_one_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let trained = run_in(&whole, false, false).unwrap();
    assert!(matches!(run_in(&cut, false, true), Err(Error::Interrupted { step: 1, .. })));
    assert!(matches!(run_in(&cut, true, true), Err(Error::Interrupted { step: 2, .. })));
    assert!(run_in(&cut, true, false).unwrap() == trained, "the log-probabilities differ");
    let model = Model::open(&whole, &Device::flex()).unwrap();
    let (cells, given) = model.cells(&make::gaussian_mixture(300, 2, 1).table).unwrap();
    assert!(model.log_prob(&cells, &given) == trained, "the opened model's log-probabilities differ");
}
