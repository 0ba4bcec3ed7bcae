//! A batch that is shared out to devices gives the loss and the step of the whole batch.

use std::sync::{Mutex, PoisonError};

use dozen_data::{Schema, Table, make};
use dozen_generative::autoregressive::{self, Architecture, ModelConfig, Ordering};
use dozen_generative::flow::{self, BaseConfig, FlowConfig, Preset, Solver};
use dozen_nn::{
    Decay, Device, Error, Existing, History, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig,
    TrainingRecord,
};

/// The device's random numbers, which weights begin at, are the process's: a seed holds only for who is alone.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn training() -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_size: 50,
        patience: None,
        schedule: Schedule { rate: 0.01, warm_up: 0, decay: Decay::Constant },
        seed: 3,
        tensorboard: false,
    }
}

/// Losses of training and validation, epoch by epoch.
fn losses(history: &History) -> Vec<f64> {
    let of = |terms: &[(String, f64)]| terms.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    history.epochs.iter().flat_map(|epoch| [of(&epoch.train), of(&epoch.valid)].concat()).collect()
}

fn flow_on(devices: usize, table: &Table, preset: Preset) -> Result<Vec<f64>, Error> {
    let columns = Schema::infer(table, &[])?;
    let nothing = Schema { columns: Vec::new() };
    let (cells, given) = (columns.encode(table)?, nothing.encode(table)?);
    let config = flow::Saved {
        whole: vec![false; columns.columns.len()],
        model: FlowConfig::preset(preset, 2, &[16], 4, BaseConfig::Gaussian),
        columns,
        condition: nothing,
        variational: None,
        image: None,
        record: TrainingRecord {
            training: training(),
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: Some(5.0),
            ema: None,
        },
        data: Vec::new(),
    };
    let request = flow::TrainRequest {
        config,
        train: &cells,
        train_condition: &given,
        valid: &cells,
        valid_condition: &given,
        reflow: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let run = RunFolder::begin(&folder.path().join("m"), Existing::Keep)?;
    let (_, history) = flow::train_model(request, &run, &vec![Device::flex(); devices], Progress::new(true))?;
    Ok(losses(&history))
}

fn autoregressive_on(devices: usize, table: &Table) -> Vec<f64> {
    let columns = Schema::infer(table, &[]).unwrap();
    let cells = columns.encode(table).unwrap();
    let request = autoregressive::TrainRequest {
        model: ModelConfig {
            architecture: Architecture::Made,
            hidden: vec![32],
            direct: true,
            tree_start: false,
            ordering: Ordering::Natural,
            orders: 1,
            mixtures: 3,
            dropout: 0.0,
            members: 1,
        },
        columns,
        train: &cells,
        valid: Some(&cells),
        record: TrainingRecord {
            training: training(),
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        },
        data: Vec::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let run = RunFolder::begin(&folder.path().join("m"), Existing::Keep).unwrap();
    let devices = vec![Device::flex(); devices];
    losses(&autoregressive::train_model(request, &run, &devices, Progress::new(true)).unwrap().2)
}

fn assert_close(shared: &[f64], whole: &[f64]) {
    assert_eq!(shared.len(), whole.len());
    for (shared, whole) in shared.iter().zip(whole) {
        assert!((shared - whole).abs() < 1e-4 * whole.abs().max(1.0), "{shared} against {whole}");
    }
    assert!(whole[whole.len() - 1] < whole[0], "nothing was learnt");
}

#[test]
fn a_flow_learns_the_same_on_shares() {
    let table = make::gaussian_mixture(230, 3, 1).table;
    let columns: Vec<String> = table.columns()[..3].iter().map(|column| column.name.clone()).collect();
    let table = table.columns_where(|name| columns.iter().any(|column| column == name)).unwrap();
    let whole = flow_on(1, &table, Preset::Nsf).unwrap();
    // The last batch has thirty rows, the shares of three devices ten; those of four are uneven.
    for devices in [2, 3, 4] {
        assert_close(&flow_on(devices, &table, Preset::Nsf).unwrap(), &whole);
    }
}

#[test]
fn an_autoregressive_model_learns_the_same_on_shares_and_on_more_devices_than_rows() {
    // The last batch has one row.
    let table = make::binary_tree(201, 8, 0).table;
    let whole = autoregressive_on(1, &table);
    for devices in [2, 5] {
        assert_close(&autoregressive_on(devices, &table), &whole);
    }
}

#[test]
fn a_loss_that_draws_is_not_shared_out() {
    let table = make::gaussian_mixture(60, 2, 1).table;
    let refused = flow_on(2, &table, Preset::Rectified(Solver::Euler { steps: 2 })).unwrap_err().to_string();
    assert!(refused.contains("draws random numbers"), "{refused}");
}
