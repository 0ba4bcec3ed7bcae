//! Laws that every autoregressive model obeys, whatever it has learnt.

use dozen_data::{Column, Made, Matrix, Schema, Table, Values, make};
use dozen_generative::autoregressive::*;
use dozen_nn::{
    Decay, Device, Existing, History, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig,
    TrainingRecord,
};

fn config(architecture: Architecture) -> ModelConfig {
    let orders = if architecture == Architecture::Eonade { 3 } else { 1 };
    ModelConfig {
        architecture,
        hidden: if architecture == Architecture::Fvsbn { vec![] } else { vec![12] },
        direct: false,
        tree_start: false,
        ordering: Ordering::Natural,
        orders,
        mixtures: 3,
        dropout: 0.0,
        members: 1,
    }
}

/// All models of the family, in small.
fn every_model() -> Vec<ModelConfig> {
    use Architecture::{Eonade, Fvsbn, Made, Mlp, Nade};
    let mut models: Vec<ModelConfig> = [Fvsbn, Mlp, Nade, Made, Eonade].map(config).to_vec();
    models.push(ModelConfig { hidden: vec![12, 9], direct: true, ..config(Made) });
    models.push(ModelConfig { orders: 3, direct: true, hidden: vec![12, 12], ..config(Made) });
    models.push(ModelConfig {
        direct: true,
        ordering: Ordering::ChowLiu,
        tree_start: true,
        members: 2,
        ..config(Made)
    });
    models.push(ModelConfig { direct: true, ordering: Ordering::Random, ..config(Nade) });
    models.push(ModelConfig { hidden: vec![10, 8], ..config(Eonade) });
    models
}

fn request<'a>(model: ModelConfig, columns: &Schema, train: &'a Matrix, epochs: u64) -> TrainRequest<'a> {
    TrainRequest {
        model,
        columns: columns.clone(),
        train,
        valid: None,
        record: TrainingRecord {
            training: TrainConfig {
                epochs,
                batch_size: 50,
                patience: None,
                schedule: Schedule { rate: 0.01, warm_up: 0, decay: Decay::Constant },
                seed: 3,
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        },
        data: vec![],
    }
}

/// Trains while no other test does: the device's random numbers are the process's, and a seed holds only for who is alone.
fn train_alone(request: TrainRequest, run: &RunFolder) -> (Model, Baselines, History) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    train_model(request, run, &[Device::flex()], Progress::new(true)).unwrap()
}

fn trained(model: ModelConfig, table: &Table, epochs: u64) -> Model {
    let columns = Schema::infer(table, &[]).unwrap();
    let cells = columns.encode(table).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::begin(&folder.path().join("model"), Existing::Keep).unwrap();
    let request = request(model, &columns, &cells, epochs);
    train_alone(request, &run).0
}

/// Every row of `n` bits.
fn all_states(n: usize) -> Matrix {
    Matrix::new((0..1 << n).flat_map(|state| (0..n).map(move |bit| (state >> bit & 1) as f32)).collect(), n)
}

#[test]
fn probabilities_of_all_states_sum_to_one() {
    let Made { table, .. } = make::binary_tree(400, 8, 1);
    for model in every_model() {
        let trained = trained(model.clone(), &table, 2);
        let sum: f64 = trained.log_prob(&all_states(8)).into_iter().map(f64::exp).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{model:?}: {sum}");
    }
}

#[test]
fn own_samples_have_the_models_entropy_as_mean_log_probability() {
    let Made { table, .. } = make::binary_tree(400, 6, 2);
    for model in every_model() {
        let trained = trained(model.clone(), &table, 3);
        let log_probs = trained.log_prob(&all_states(6));
        let entropy: f64 = log_probs.iter().map(|log_p| -log_p * log_p.exp()).sum();
        let drawn = trained.sample(20_000, 5).unwrap();
        let values = trained.log_prob(&trained.config().columns.encode(&drawn).unwrap());
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        let error = deviation / (values.len() as f64).sqrt();
        assert!((mean + entropy).abs() < 5.0 * error, "{model:?}: {mean} against {entropy}, error {error}");
    }
}

#[test]
fn conditionals_multiply_to_the_whole() {
    let Made { table, .. } = make::binary_tree(300, 7, 3);
    for model in every_model().into_iter().filter(|m| m.orders == 1 && m.members == 1) {
        let trained = trained(model.clone(), &table, 1);
        let cells = trained.config().columns.encode(&table).unwrap();
        let by_column = trained.log_prob_by_column(&cells);
        for (total, parts) in trained.log_prob(&cells).into_iter().zip(by_column.chunks(7)) {
            assert!((total - parts.iter().sum::<f64>()).abs() < 1e-5, "{model:?}");
        }
    }
}

#[test]
fn the_last_conditional_has_a_table_of_two_to_the_n_minus_one_rows() {
    let Made { table, .. } = make::binary_tree(300, 6, 4);
    let trained = trained(ModelConfig { direct: true, ..config(Architecture::Made) }, &table, 2);
    let tables = conditional_tables(&trained).unwrap();
    assert_eq!(tables.iter().map(|(_, t)| t.rows()).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32]);
    // Each table agrees with the ratio of marginals from the enumerated joint.
    let joint: Vec<f64> = trained.log_prob(&all_states(6)).into_iter().map(f64::exp).collect();
    for (step, (_, table)) in tables.iter().enumerate() {
        for row in 0..table.rows() {
            let bit = |s: usize| table.columns()[s].values.number(row).unwrap() as usize;
            let matches = |state: usize| (0..step).all(|s| state >> s & 1 == bit(s));
            let context: f64 = (0..64).filter(|&state| matches(state)).map(|state| joint[state]).sum();
            let one: f64 = (0..64).filter(|&s| matches(s) && s >> step & 1 == 1).map(|s| joint[s]).sum();
            let p = table.columns()[step].values.number(row).unwrap();
            assert!((p - one / context).abs() < 1e-4, "step {step} row {row}: {p} against {}", one / context);
        }
    }
}

#[test]
fn a_tree_start_begins_at_the_likelihood_of_the_chow_liu_tree() {
    let categories = |bits: &Values| {
        let text = |row| format!("level {}", bits.number(row).unwrap());
        Values::Text((0..bits.len()).map(text).collect())
    };
    let Made { table, .. } = make::binary_tree(500, 9, 5);
    let mut columns = table.columns().to_vec();
    for column in columns.iter_mut().step_by(2) {
        column.values = categories(&column.values);
    }
    let mixed = Table::new(columns).unwrap();
    for table in [table, mixed] {
        let columns = Schema::infer(&table, &[]).unwrap();
        let cells = columns.encode(&table).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::begin(&folder.path().join("model"), Existing::Keep).unwrap();
        let shape = ModelConfig {
            direct: true,
            ordering: Ordering::ChowLiu,
            tree_start: true,
            ..config(Architecture::Made)
        };
        let mut request = request(shape, &columns, &cells, 1);
        request.record.training.schedule.rate = 1e-12;
        let (model, baselines, _) = train_alone(request, &run);
        for (row, value) in model.log_prob(&cells).into_iter().enumerate() {
            assert!((value - baselines.log_prob(cells.row(row))[1]).abs() < 1e-4);
        }
    }
}

#[test]
fn a_mixture_of_gaussians_integrates_to_one() {
    let Made { table, .. } = make::two_moons(300, 6);
    let x = table.columns()[0].clone();
    let table = Table::new(vec![x]).unwrap();
    for architecture in [Architecture::Nade, Architecture::Made, Architecture::Mlp] {
        let trained = trained(config(architecture), &table, 3);
        let step = 0.01;
        let grid: Vec<f64> = (-2000..2000).map(|i| f64::from(i) * step).collect();
        let points = Table::new(vec![Column::new("x", Values::Number(grid))]).unwrap();
        let cells = trained.config().columns.encode(&points).unwrap();
        let sum: f64 = trained.log_prob(&cells).into_iter().map(|v| v.exp() * step).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{architecture:?}: {sum}");
    }
}

#[test]
fn the_entropy_of_a_known_network_is_recovered() {
    let Made { table, truth } = make::binary_tree(20_000, 12, 7);
    let model =
        trained(ModelConfig { hidden: vec![32], direct: true, ..config(Architecture::Made) }, &table, 6);
    let fresh = make::binary_tree(20_000, 12, 8).table;
    let values = model.log_prob(&model.config().columns.encode(&fresh).unwrap());
    let mean = -values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean - truth[0].1).abs() < 0.05, "{mean} against {}", truth[0].1);
}

#[test]
fn given_columns_condition_exactly_or_within_the_stated_error() {
    let Made { table, .. } = make::binary_tree(2000, 6, 9);
    for model in every_model() {
        let trained = trained(model.clone(), &table, 3);
        let joint: Vec<f64> = trained.log_prob(&all_states(6)).into_iter().map(f64::exp).collect();
        let truth = |wanted: &[(usize, usize)]| -> f64 {
            (0..64)
                .filter(|state| wanted.iter().all(|(bit, value)| state >> bit & 1 == *value))
                .map(|s| joint[s])
                .sum()
        };
        let columns = &trained.config().columns;
        let evidence = Evidence::parse("bit_5=1, bit_2=0", columns).unwrap();
        let p = trained.probability(&evidence, 1);
        let expected = truth(&[(5, 1), (2, 0)]);
        // The order-agnostic network's conditionals need not agree between orders: its marginal is that of an order
        // that begins with the evidence.
        let tolerance =
            if model.architecture == Architecture::Eonade { 0.1 } else { 5.0 * p.standard_error + 1e-5 };
        assert!((p.value - expected).abs() < tolerance, "{model:?}: {p:?} against {expected}");
        let drawn = trained.sample_given(4000, &evidence, 2).unwrap().table;
        let column = |name: &str| &drawn.column(name).unwrap().values;
        assert!(
            (0..4000)
                .all(|row| column("bit_5").number(row) == Some(1.0)
                    && column("bit_2").number(row) == Some(0.0))
        );
        let share = (0..4000).filter_map(|row| column("bit_0").number(row)).sum::<f64>() / 4000.0;
        let expected = truth(&[(5, 1), (2, 0), (0, 1)]) / expected;
        let slack = if model.architecture == Architecture::Eonade { 0.15 } else { 0.05 };
        assert!((share - expected).abs() < slack, "{model:?}: {share} against {expected}");
    }
}

#[test]
fn a_saved_model_opens_as_it_was() {
    let Made { table, .. } = make::binary_tree(200, 5, 10);
    let columns = Schema::infer(&table, &[]).unwrap();
    let cells = columns.encode(&table).unwrap();
    for model in every_model() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::begin(&folder.path().join("model"), Existing::Keep).unwrap();
        let request = request(model.clone(), &columns, &cells, 1);
        let (before, ..) = train_alone(request, &run);
        let after = Model::open(&run.finish().unwrap(), &Device::flex()).unwrap();
        assert_eq!(before.log_prob(&cells), after.log_prob(&cells), "{model:?}");
    }
}

#[test]
fn a_network_of_one_column_is_that_columns_distribution() {
    let bits = Values::Byte((0..100).map(|row| u8::from(row % 4 == 0)).collect());
    let table = Table::new(vec![Column::new("only", bits)]).unwrap();
    for architecture in
        [Architecture::Fvsbn, Architecture::Made, Architecture::Nade, Architecture::Mlp, Architecture::Eonade]
    {
        let model = trained(config(architecture), &table, 200);
        let p = model.log_prob(&Matrix::new(vec![1.0], 1))[0].exp();
        assert!((p - 0.25).abs() < 0.05, "{architecture:?}: {p}");
    }
}
