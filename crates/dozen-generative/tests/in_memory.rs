//! Training in memory, and from what `config.json` keeps.

use std::sync::Mutex;

use dozen_data::{Schema, Table, make};
use dozen_generative::{LatentModel, TableModel, autoregressive, flow, gan, vae};
use dozen_nn::{Device, Existing, Progress, RunFolder, TrainConfig};

/// The device's random numbers are the process's, and a seed holds only for who is alone.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn moons() -> Table {
    let table = make::two_moons(300, 3).table;
    table.columns_where(|name| name != "label").unwrap()
}

fn short(training: &mut TrainConfig) {
    (training.epochs, training.batch_size) = (3, 50);
}

#[test]
fn every_family_of_tables_trains_scores_draws_and_comes_back_from_its_folder() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let data = moons();
    let mut of_flow = flow::Config::default();
    let mut of_autoregressive = autoregressive::Config::default();
    let (mut of_vae, mut of_gan) = (vae::Config::default(), gan::Config::default());
    short(&mut of_flow.record.training);
    short(&mut of_autoregressive.record.training);
    short(&mut of_vae.record.training);
    short(&mut of_gan.record.training);
    of_gan.model.steps_per_epoch = 5;
    let models: Vec<Box<dyn TableModel>> = vec![
        Box::new(of_flow.fit(&data).unwrap()),
        Box::new(of_autoregressive.fit(&data).unwrap()),
        Box::new(of_vae.fit(&data).unwrap()),
        Box::new(of_gan.fit(&data).unwrap()),
    ];
    for model in models {
        let family = model.family();
        let folder = tempfile::tempdir().unwrap();
        let saved = model.save(&folder.path().join("m")).unwrap();
        let again = dozen_generative::open(&saved, &Device::flex()).unwrap();
        let scores = model.score(&data).unwrap();
        assert_eq!(scores.len(), data.rows(), "{family}");
        assert!(scores.iter().all(|score| score.is_finite()), "{family}");
        assert_eq!(again.score(&data).unwrap(), scores, "{family}");
        let figures = again.figures(&data).unwrap();
        assert_eq!(figures[0].name, again.measure().name(), "{family}");
        let nothing = model.condition().encode(&data).unwrap();
        let cells = model.draw(20, &nothing, 4).unwrap();
        assert_eq!(cells.values(), again.draw(20, &nothing, 4).unwrap().values(), "{family}");
        let drawn = again.table(&cells).unwrap();
        assert_eq!((drawn.rows(), drawn.columns().len()), (20, 2), "{family}");
        assert!(model.save(&folder.path().join("m")).is_err(), "{family} overwrites");
    }
}

#[test]
fn codes_of_a_flow_lead_back_to_their_rows() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let data = moons();
    let mut config = flow::Config::default();
    short(&mut config.record.training);
    let model = config.fit(&data).unwrap();
    let (cells, condition) = LatentModel::cells(&model, &data).unwrap();
    let back = LatentModel::decode(&model, &LatentModel::encode(&model, &cells, &condition), &condition);
    for (a, b) in cells.values().iter().zip(back.values()) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

#[test]
fn a_training_in_memory_and_one_in_a_folder_give_the_same_weights_and_the_config_alone_repeats_them() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let data = moons();
    let columns = Schema::infer(&data, &[]).unwrap();
    let (cells, nothing) = (columns.encode(&data).unwrap(), Schema { columns: Vec::new() });
    let none = nothing.encode(&data).unwrap();
    let mut record = flow::Config::default().record;
    short(&mut record.training);
    (record.ema, record.training.seed) = (Some(0.9), 11);
    let saved = flow::Saved {
        model: flow::Config::default().model,
        columns,
        condition: nothing,
        whole: vec![false; 2],
        variational: None,
        image: None,
        record,
        data: Vec::new(),
    };
    let request = |config: flow::Saved| flow::TrainRequest {
        config,
        train: &cells,
        train_condition: &none,
        valid: &cells,
        valid_condition: &none,
        reflow: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, config: flow::Saved| {
        let run = RunFolder::begin(&folder.path().join(name), Existing::Keep).unwrap();
        flow::train_model(request(config), &run, &[Device::flex()], Progress::new(true)).unwrap();
        let out = run.finish().unwrap();
        let kept: flow::Saved =
            serde_json::from_str(&std::fs::read_to_string(out.join("config.json")).unwrap()).unwrap();
        (std::fs::read(out.join("model.safetensors")).unwrap(), kept)
    };
    let (first, kept) = weights("first", saved.clone());
    assert_eq!(kept, saved);
    let (again, _) = weights("again", kept);
    assert!(first == again);
    let (model, _) = flow::fit(request(saved), &[Device::flex()], &mut ()).unwrap();
    let in_memory = model.save(&folder.path().join("memory")).unwrap();
    assert!(std::fs::read(in_memory.join("model.safetensors")).unwrap() == first);
}

#[test]
fn nothing_need_be_held_out_and_settings_without_sense_are_named() {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let data = moons();
    let mut config = flow::Config::default();
    short(&mut config.record.training);
    config.held_out = 0.0;
    let model = config.fit(&data).unwrap();
    // Without held-out rows there is nothing to compare with.
    assert_eq!(model.figures(&data).unwrap().len(), 1);
    let mut autoregressive = autoregressive::Config::default();
    short(&mut autoregressive.record.training);
    autoregressive.held_out = 0.0;
    assert!(autoregressive.fit(&data).is_ok());
    let refused = |change: &dyn Fn(&mut flow::Config)| {
        let mut config = config.clone();
        change(&mut config);
        config.fit(&data).unwrap_err().to_string()
    };
    assert!(refused(&|c| c.held_out = 1.0).contains("held_out must lie in [0, 1)"));
    assert!(refused(&|c| c.record.training.epochs = 0).contains("`epochs`"));
    assert!(refused(&|c| c.record.ema = Some(1.0)).contains("`ema` must lie in [0, 1)"));
    assert!(refused(&|c| c.record.clip_norm = Some(0.0)).contains("`clip_norm`"));
    assert!(refused(&|c| c.condition = vec!["x".into(), "y".into()]).contains("none is left to model"));
    assert!(refused(&|c| c.condition = vec!["z".into()]).contains("no column `z`"));
    let bits = make::binary_tree(100, 4, 0).table;
    assert!(config.fit(&bits).unwrap_err().to_string().contains("of which a flow has no density"));
}
