//! What must hold of any network: however sequences are batched or cut, they give the same; a CRF sums to one; samples follow the model.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use dozen_nn::{Decay, Device, OptimizerConfig, Schedule, TrainConfig, TrainingRecord};
use dozen_sequence::network::{Crf, Packed};
use dozen_sequence::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Every shape of network that reads tokens forward.
fn shapes() -> Vec<NetworkConfig> {
    let plain = |cell| NetworkConfig {
        cell,
        hidden: 17,
        layers: 2,
        bidirectional: false,
        projection: None,
        layer_norm: false,
        embedding: 6,
        tied: false,
        learned_state: true,
        forget_bias: 1.0,
        dropout: DropoutConfig::default(),
    };
    let mut shapes: Vec<NetworkConfig> =
        [CellKind::Tanh, CellKind::Relu, CellKind::Lstm, CellKind::Gru].map(plain).to_vec();
    let zoneout = DropoutConfig { zoneout: 0.2, ..DropoutConfig::default() };
    shapes.push(NetworkConfig { layer_norm: true, dropout: zoneout, ..plain(CellKind::Lstm) });
    shapes.push(NetworkConfig { layer_norm: true, dropout: zoneout, ..plain(CellKind::Gru) });
    shapes.push(NetworkConfig { projection: Some(6), tied: true, ..plain(CellKind::Lstm) });
    shapes
}

fn model(network: &NetworkConfig, task: Task) -> Model {
    let config = Config {
        model: network.clone(),
        task,
        sequence_length: 10,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 1,
                batch_size: 4,
                patience: None,
                schedule: Schedule { rate: 0.01, warm_up: 0, decay: Decay::Constant },
                seed: 0,
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        },
        data: Vec::new(),
    };
    let mut model =
        Model::fresh(config, Some(Units::of_characters(('a'..='h').map(String::from))), &Device::flex());
    // First states that matter.
    let mut network = model.network().clone();
    for layer in &mut network.layers.layers {
        layer.first = layer.first.take().map(|first| Param::from_tensor(first.val() + 0.3));
    }
    model = Model::new(model.config().clone(), model.units().cloned(), network, &Device::flex());
    model
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

const TEXT: [u32; 12] = [1, 5, 0, 0, 7, 3, 2, 6, 4, 4, 1, 0];

#[test]
fn cutting_a_sequence_changes_nothing_when_the_state_is_carried() {
    for shape in shapes() {
        let model = model(&shape, Task::LanguageModel);
        let (whole, _) = model.run(&Sequence::Tokens(TEXT.to_vec()), None);
        for cuts in [vec![5, 12], vec![1, 2, 3, 12], vec![11, 12]] {
            let (mut state, mut start, mut parts) = (None, 0, Vec::new());
            for end in cuts {
                let (outputs, after) =
                    model.run(&Sequence::Tokens(TEXT[start..end].to_vec()), state.as_ref());
                parts.extend(outputs);
                (state, start) = (Some(after), end);
            }
            assert_close(&whole, &parts);
        }
    }
}

#[test]
fn a_packed_batch_is_its_sequences_one_by_one() {
    let labels = || ["x", "y", "z"].map(str::to_owned).to_vec();
    let sequences: Vec<Sequence> =
        [3, 12, 1, 7, 7].map(|length| Sequence::Tokens(TEXT[..length].to_vec())).to_vec();
    for shape in shapes() {
        let both = NetworkConfig { bidirectional: true, tied: false, ..shape };
        let classifier = model(&both, Task::Classify { labels: labels() });
        let together = predict_classes(&classifier, &sequences);
        let tagger = model(&both, Task::Tag { labels: labels(), crf: true });
        let tags = predict_tags(&tagger, &sequences);
        for (at, sequence) in sequences.iter().enumerate() {
            let alone = std::slice::from_ref(sequence);
            assert_close(&together[at], &predict_classes(&classifier, alone)[0]);
            assert_eq!(tags[at], predict_tags(&tagger, alone)[0]);
            assert!((together[at].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn a_generator_takes_the_models_steps() {
    for shape in shapes() {
        let model = model(&shape, Task::LanguageModel);
        let (whole, _) = model.run(&Sequence::Tokens(TEXT.to_vec()), None);
        let mut generator = Generator::new(&model, 3).unwrap();
        let units = whole.len() / TEXT.len();
        for (id, expected) in TEXT.iter().zip(whole.chunks_exact(units)) {
            let logits = generator.step(&[*id; 3]);
            logits.chunks_exact(units).for_each(|logits| assert_close(logits, expected));
        }
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.0_f32, 1.0, 2.0, -1.0];
    let mut rng = StdRng::seed_from_u64(4);
    let mut shares = |sampling: Sampling| {
        let mut counts = [0.0; 4];
        (0..40_000).for_each(|_| counts[sampling.draw(&logits, &mut rng) as usize] += 1.0 / 40_000.0);
        counts
    };
    let softmax = |temperature: f64| {
        let powers = logits.map(|x| (f64::from(x) / temperature).exp());
        powers.map(|power| power / powers.iter().sum::<f64>())
    };
    let plain = Sampling { temperature: 1.0, top_k: None, top_p: None };
    let close = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.01);
    assert!(close(shares(plain), softmax(1.0)));
    assert!(close(shares(Sampling { temperature: 0.5, ..plain }), softmax(0.5)));
    let [_, one, two, _] = softmax(1.0);
    let of_two = [0.0, one / (one + two), two / (one + two), 0.0];
    assert!(close(shares(Sampling { top_k: Some(2), ..plain }), of_two));
    assert!(close(shares(Sampling { top_p: Some(0.7), ..plain }), of_two));
    assert_eq!(shares(Sampling { temperature: 0.0, ..plain })[2].round(), 1.0);
}

fn crf() -> (Crf, Tensor<2>, Packed, Vec<usize>) {
    let device = Device::flex();
    let number = |i: usize| ((i * 31 + 7) % 17) as f32 / 6.0 - 1.4;
    let matrix = |rows: usize, from: usize| {
        let values: Vec<f32> = (0..rows * 3).map(|i| number(i + from)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, 3]), &device)
    };
    let crf = Crf {
        transitions: Param::from_tensor(matrix(3, 0)),
        first: Param::from_tensor(matrix(1, 9)),
        last: Param::from_tensor(matrix(1, 12)),
    };
    let lengths = vec![2, 4, 1];
    (crf, matrix(7, 15), Packed::new(&lengths), lengths)
}

/// All ways to label sequences of these lengths with three labels, in packed order.
fn labelings(packed: &Packed) -> impl Iterator<Item = Vec<u32>> {
    let rows = packed.steps().rows();
    (0..3_u32.pow(rows as u32))
        .map(move |code| (0..rows as u32).map(|row| code / 3_u32.pow(row) % 3).collect())
}

#[test]
fn a_crf_sums_to_one_and_finds_the_best() {
    let (crf, scores, packed, _) = crf();
    let nats = |labels: &[u32]| {
        f64::from(crf.negative_log_likelihood(scores.clone(), &packed, labels).into_scalar::<f32>())
    };
    let (mut sum, mut best) = (0.0, (f64::INFINITY, Vec::new()));
    for labels in labelings(&packed) {
        let nats = nats(&labels);
        sum += (-nats).exp();
        if nats < best.0 {
            best = (nats, labels);
        }
    }
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    assert_eq!(crf.decode(&scores, &packed), best.1);
}

#[test]
fn only_language_models_generate_and_networks_are_checked() {
    let shape = &shapes()[2];
    let classifier = model(shape, Task::Classify { labels: vec!["a".into(), "b".into()] });
    assert!(
        Generator::new(&classifier, 1)
            .unwrap_err()
            .to_string()
            .contains("only a model of `task` language-model")
    );
    let refused = |config: NetworkConfig| config.validate().unwrap_err().to_string();
    assert!(refused(NetworkConfig { hidden: 0, ..shape.clone() }).contains("`hidden`"));
    assert!(refused(NetworkConfig { tied: true, embedding: 5, ..shape.clone() }).contains("`embedding` 17"));
    assert!(refused(NetworkConfig { projection: Some(17), ..shape.clone() }).contains("`projection`"));
    let dropout = DropoutConfig { zoneout: 1.0, ..DropoutConfig::default() };
    assert!(refused(NetworkConfig { dropout, ..shape.clone() }).contains("`zoneout` must lie in [0, 1)"));
}
