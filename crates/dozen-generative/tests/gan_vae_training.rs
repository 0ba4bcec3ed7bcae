//! A run of an adversarial network or of an autoencoder that was cut off goes on to where an uninterrupted one ends, with all that has a state.

use std::sync::Mutex;

use dozen_data::{ImageShape, Matrix, Schema, make};
use dozen_generative::{gan, vae};
use dozen_nn::{
    Decay, Device, Error, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig,
    TrainingRecord, request_interrupt,
};

/// The device has one generator, and the process one request to stop.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn training() -> TrainConfig {
    TrainConfig {
        epochs: 2,
        batch_size: 16,
        patience: None,
        schedule: Schedule { rate: 0.003, warm_up: 0, decay: Decay::Linear },
        seed: 4,
        tensorboard: false,
    }
}

fn rows() -> (Schema, Matrix, Matrix) {
    let table = make::blobs(90, 1).table.columns_where(|name| name != "label").unwrap();
    let schema = Schema::infer(&table, &[]).unwrap();
    let cells = schema.encode(&table).unwrap();
    let part = |rows: std::ops::Range<usize>| cells.select(&rows.collect::<Vec<_>>());
    let (train, valid) = (part(0..60), part(60..90));
    (schema, train, valid)
}

fn nothing() -> (Schema, Matrix) {
    (Schema { columns: Vec::new() }, Matrix::new(Vec::new(), 0))
}

/// What `train` leaves after it was stopped at its first step and went on, if asked, or went through.
fn weights(name: &str, interrupted: bool, train: impl Fn(&RunFolder) -> Result<(), Error>) -> Vec<Vec<u8>> {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join(name);
    let run = RunFolder::begin(&out, Existing::Keep).unwrap();
    if interrupted {
        request_interrupt(true);
        let stopped = train(&run);
        request_interrupt(false);
        assert!(matches!(stopped, Err(Error::Interrupted { step: 1, .. })), "{stopped:?}");
    }
    let run = if interrupted {
        // It locks the folder.
        drop(run);
        RunFolder::resume(&out).unwrap().into_run().unwrap()
    } else {
        run
    };
    train(&run).unwrap();
    let files = ["model.safetensors", "critic.safetensors"].map(|file| run.path().join(file));
    files.iter().filter(|file| file.exists()).map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn both_networks_and_both_optimizers_go_on() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (columns, train, valid) = rows();
    let (condition, none) = nothing();
    // Spectral norms, batch normalisation and a moving average all have a state of their own.
    let network = gan::NetworkConfig::Mlp { generator: vec![8, 8], critic: vec![8] };
    let model = gan::GanConfig {
        noise: 3,
        critic_steps: 2,
        batch_norm: true,
        critic_batch_norm: true,
        dropout: 0.2,
        minibatch_features: 2,
        generator_rate: 0.5,
        steps_per_epoch: 3,
        ..gan::GanConfig::plain(network, gan::Loss::Hinge, gan::Lipschitz::Spectral { slope: 1.0 })
    };
    let image: Option<ImageShape> = None;
    let run = |folder: &RunFolder| {
        let config = gan::Saved {
            model: model.clone(),
            layout: gan::Columns::fit(&columns, &train, gan::Numbers::Modes, image),
            columns: columns.clone(),
            condition: condition.clone(),
            image,
            record: TrainingRecord {
                training: training(),
                optimizer: OptimizerConfig::adam(0.0),
                clip_norm: None,
                ema: Some(0.9),
            },
            data: Vec::new(),
        };
        let request = gan::TrainRequest {
            config,
            train: &train,
            train_condition: &none,
            valid: &valid,
            valid_condition: &none,
        };
        gan::train_model(request, folder, &Device::flex(), Progress::new(true)).map(|_| ())
    };
    let (whole, resumed) = (weights("m", false, run), weights("m", true, run));
    assert_eq!(whole.len(), 2);
    assert!(whole == resumed);
}

#[test]
fn an_autoencoder_goes_on() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (columns, train, valid) = rows();
    let (condition, none) = nothing();
    let kinds = [
        vae::LatentConfig::Variational {
            posterior: vae::PosteriorConfig::Iaf { steps: 1, hidden: vec![6] },
            prior: vae::PriorConfig::Mixture { parts: 2 },
        },
        vae::LatentConfig::Quantized { codes: 5, width: 1, commitment: 0.25 },
    ];
    for kind in kinds {
        let run = |folder: &RunFolder| {
            let model = vae::VaeConfig {
                network: vae::NetworkConfig::Mlp { hidden: vec![8] },
                latent: 2,
                kind: kind.clone(),
                likelihood: vae::Likelihood::Gaussian { deviation: None },
                condition_networks: false,
                objective: vae::Objective { warm_up: 5, ..vae::Objective::default() },
            };
            let config = vae::Saved {
                model,
                columns: columns.clone(),
                condition: condition.clone(),
                image: None,
                record: TrainingRecord {
                    training: training(),
                    optimizer: OptimizerConfig::adam(0.0),
                    clip_norm: None,
                    ema: Some(0.9),
                },
                data: Vec::new(),
            };
            let request = vae::TrainRequest {
                config,
                train: &train,
                train_condition: &none,
                valid: &valid,
                valid_condition: &none,
            };
            vae::train_model(request, folder, &Device::flex(), Progress::new(true)).map(|_| ())
        };
        assert!(weights("m", false, run) == weights("m", true, run), "{kind:?}");
    }
}
