//! The EfficientNet stop of the tour.

use std::path::Path;
use std::sync::Arc;

use dozen::nn::{
    Decay, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig, TrainingRecord,
};
use dozen::vision::efficientnet::{
    Config, EfficientNet, Engine, Numerics, Scaling, Settings, TrainRequest, VariantConfig, cost, evaluate,
    train_model,
};
use dozen::vision::labelled::Labelled;
use dozen::vision::made::{SHAPES, shapes};
use dozen::vision::picture::{Augmentation, Preprocessing, Resized};
use serde_json::json;

use super::train::report;
use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// Sides of the pictures.
const SIZE: usize = 24;

/// Made shapes are told apart by a small network; B0 itself is what was published.
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let device = context.device()?;
    let pictures = |count, seed| Labelled::made(&SHAPES, shapes(count, SIZE, seed));
    let (train, valid) = (pictures(1600, context.seed()), pictures(400, context.seed() + 1));
    let scaling = Scaling { width: 0.25, depth: 0.1, resolution: SIZE, dropout: 0.0 };
    let model = VariantConfig {
        scaling,
        numerics: Numerics::Timm,
        classes: SHAPES.len(),
        stem_stride: 1,
        drop_path: 0.0,
    };
    let config = Config {
        model,
        classes: train.classes.clone(),
        preprocessing: Preprocessing { resized: Resized::Centre(SIZE), ..Preprocessing::imagenet(SIZE) },
        augmentation: Some(Augmentation { flip: true, shift: 1, ..Augmentation::NONE }),
        settings: Some(Settings {
            label_smoothing: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
            class_weights: None,
            frozen_epochs: 0,
            layer_decay: 1.0,
        }),
        record: Some(TrainingRecord {
            training: TrainConfig {
                epochs: 25,
                batch_size: 32,
                patience: None,
                schedule: Schedule { rate: 0.01, warm_up: 50, decay: Decay::Cosine },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: Some(0.97),
        }),
        data: Vec::new(),
    };
    device.seed(context.seed());
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest {
        config,
        network: EfficientNet::new(&model, &device.clone().autodiff()),
        train: Arc::new(train),
        valid: &valid,
    };
    let (model, history) = train_model(request, &run, std::slice::from_ref(&device), Progress::new(true))?;
    run.finish()?;
    let found = evaluate(&model, &valid)?;
    let report = report(&model, &history, &found, &valid, &context.command_line());
    // The engine for use and the network as it is written down are two pieces of code.
    let few: Vec<_> = valid.items.iter().take(16).map(dozen::vision::labelled::Item::picture).collect();
    let inputs = model.inputs(&few);
    let plain = model.network().forward(inputs.clone(), None);
    let off = (Engine::new(model.network()).logits(inputs) - plain).abs().max().into_scalar::<f32>();
    let b0 = cost(&VariantConfig {
        scaling: Scaling::of_variant(0)?,
        classes: 1000,
        stem_stride: 2,
        ..model.config().model
    });
    let checks = vec![
        Check::new(
            found.top1 > 0.85,
            format!("{:.1} % of held-out shapes of {} kinds told right", 100.0 * found.top1, SHAPES.len()),
        ),
        Check::new(off < 1e-3, format!("the engine's logits are the network's, {off:.0e} apart")),
        Check::new(b0.parameters == 5_288_548, format!("B0 has {} parameters, as published", b0.parameters)),
    ];
    let json = json!({ "valid_top1": found.top1, "engine_difference": off, "b0_parameters": b0.parameters });
    Ok(Stop { report, json, checks })
}
