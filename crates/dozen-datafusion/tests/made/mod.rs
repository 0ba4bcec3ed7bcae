//! Models and tables that the tests make.

#![allow(dead_code, reason = "each test file takes some")]

use std::path::Path;

use dozen_data::{Schema, Table, make};
use dozen_generative::flow::{self, BaseConfig, FlowConfig, Preset, TrainRequest, train_model};
use dozen_nn::{
    Decay, Device, Existing, ModelFolder, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig,
    TrainingRecord, save_weights,
};
use dozen_text::{Inventory, Pattern, TrainConfig as TokenizerConfig, train};
use dozen_vision::efficientnet::{self, EfficientNet, Numerics, Scaling, VariantConfig};
use dozen_vision::picture::{Picture, Preprocessing};

/// Words that recur, a line each.
pub(crate) fn lines(count: usize) -> Vec<String> {
    let words = ["low", "lower", "lowest", "new", "newer", "wide", "wider", "widest", "über", "naïve"];
    let word = |at: usize| words[(at * at / 3 + at / 7) % words.len()];
    (0..count)
        .map(|row| (0..5 + row % 4).map(|place| word(row * 5 + place)).collect::<Vec<_>>().join(" "))
        .collect()
}

/// A tokenizer trained on some lines.
pub(crate) fn tokenizer(folder: &Path) {
    let pattern = Pattern::new("cl100k").unwrap();
    let mut inventory = Inventory::new();
    for line in lines(50) {
        inventory.count(&pattern, line.as_bytes()).unwrap();
    }
    let config = TokenizerConfig { vocabulary: 280, ..TokenizerConfig::default() };
    let trained = train(&inventory, pattern, &config, |_| true).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), trained.tokenizer.to_hugging_face().unwrap()).unwrap();
}

/// A flow of two columns, and rows for it.
pub(crate) fn flow(folder: &Path) -> Table {
    let table = make::gaussian_mixture(300, 2, 1).table;
    let table =
        table.columns_where(|name| table.columns()[..2].iter().any(|column| column.name == name)).unwrap();
    let columns = Schema::infer(&table, &[]).unwrap();
    let (cells, nothing) = (columns.encode(&table).unwrap(), Schema { columns: Vec::new() });
    let given = nothing.encode(&table).unwrap();
    let config = flow::Saved {
        model: FlowConfig::preset(Preset::RealNvp, 2, &[8], 4, BaseConfig::Gaussian),
        columns,
        condition: nothing,
        whole: vec![false, false],
        variational: None,
        image: None,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 1,
                batch_size: 50,
                patience: None,
                schedule: Schedule { rate: 0.01, warm_up: 0, decay: Decay::Constant },
                seed: 4,
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
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
    let run = RunFolder::begin(folder, Existing::Keep).unwrap();
    train_model(request, &run, &[Device::flex()], Progress::new(true)).unwrap();
    run.finish().unwrap();
    table
}

/// An EfficientNet with the weights that it begins with.
pub(crate) fn efficientnet(folder: &Path) {
    let model = VariantConfig {
        scaling: Scaling { width: 0.1, depth: 0.1, resolution: 32, dropout: 0.0 },
        numerics: Numerics::Timm,
        classes: 5,
        stem_stride: 1,
        drop_path: 0.0,
    };
    let config = efficientnet::Config {
        model,
        classes: ["cat", "dog", "fox", "owl", "yak"].map(String::from).to_vec(),
        preprocessing: Preprocessing::imagenet(32),
        augmentation: None,
        settings: None,
        record: None,
        data: Vec::new(),
    };
    let run = RunFolder::begin(folder, Existing::Keep).unwrap();
    ModelFolder::write_config(&run, efficientnet::FAMILY, &config).unwrap();
    let network = EfficientNet::new(&model, &Device::flex());
    save_weights(&network, &run.path().join("model.safetensors")).unwrap();
    run.finish().unwrap();
}

/// A few colours.
pub(crate) fn picture() -> Picture {
    let pixel = |at: usize| [(at * 7 % 256) as u8, (at * 3 % 256) as u8, (at % 256) as u8];
    Picture { width: 40, height: 30, pixels: (0..1200).flat_map(pixel).collect() }
}
