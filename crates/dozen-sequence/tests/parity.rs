//! Networks beside PyTorch's, from one safetensors file made by parity/rnn.py: values packed and padded, gradients, and the files between both.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData, Tolerance};
use dozen_kernels::cross_entropy;
use dozen_nn::{Device, read_tensors, write_tensors};
use dozen_sequence::network::{Inputs, Network, Noise, Packed};
use dozen_sequence::{CellKind, Model, Task, Units, export_onnx, export_pytorch, import_pytorch};

const CASES: [&str; 7] = ["tanh", "relu", "lstm", "lstm_both", "lstm_projected", "gru", "gru_both"];
const GOLDEN: &str = "../../parity/rnn.safetensors";

fn golden() -> HashMap<String, TensorData> {
    read_tensors(Path::new(GOLDEN)).unwrap()
}

fn numbers(data: &TensorData) -> Vec<f32> {
    data.clone().try_to_vec().unwrap()
}

/// A case's own tensors without its name.
fn case(golden: &HashMap<String, TensorData>, name: &str) -> HashMap<String, TensorData> {
    let prefix = format!("{name}.");
    let own =
        golden.iter().filter_map(|(key, data)| Some((key.strip_prefix(&prefix)?.to_owned(), data.clone())));
    own.collect()
}

/// The case's model, read as any other program's weights are.
fn import(case: &HashMap<String, TensorData>, name: &str, device: &Device) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let parts = ["embedding.", "rnn.", "head."];
    let weights = case.iter().filter(|(key, _)| parts.iter().any(|part| key.starts_with(part)));
    let weights: Vec<_> = weights.map(|(key, data)| (key.clone(), data.clone())).collect();
    write_tensors(&file, &weights).unwrap();
    let labels = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let units = Units::of_characters(('a'..='k').map(String::from));
    let cell = (name == "relu").then_some(CellKind::Relu);
    import_pytorch(&file, Task::Tag { labels, crf: false }, Some(units), cell, device).unwrap()
}

/// Each sequence's integers of a padded matrix.
fn sequences(padded: &TensorData, lengths: &[usize]) -> Vec<Vec<u32>> {
    let columns = padded.shape()[1];
    let values = numbers(padded);
    let rows = values.chunks_exact(columns).zip(lengths);
    rows.map(|(row, &length)| row[..length].iter().map(|value| *value as u32).collect()).collect()
}

fn logits(network: &Network, tokens: &[Vec<u32>]) -> (Packed, Tensor<2>, Tensor<2>) {
    let packed = Packed::new(&tokens.iter().map(Vec::len).collect::<Vec<_>>());
    let slices: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    let features = network.features(Inputs::Tokens(packed.pack(&slices).into()), &packed, None, Noise::None);
    (packed, network.outputs(features.steps, &Arc::from([]), Noise::None), features.last)
}

/// Rows in packed order against a padded tensor.
fn assert_steps(packed: &Packed, ours: Tensor<2>, theirs: &TensorData) {
    let [_, columns] = ours.dims();
    let (ours, theirs, longest) = (numbers(&ours.into_data()), numbers(theirs), theirs.shape()[1]);
    for ((sequence, step), row) in packed.rows().zip(ours.chunks_exact(columns)) {
        let other = &theirs[(sequence * longest + step) * columns..][..columns];
        for (a, b) in row.iter().zip(other) {
            assert!((a - b).abs() < 1e-5, "sequence {sequence}, step {step}: {a} {b}");
        }
    }
}

#[test]
fn values_and_gradients_are_pytorchs() {
    let golden = golden();
    let lengths: Vec<usize> = numbers(&golden["lengths"]).iter().map(|length| *length as usize).collect();
    let tokens = sequences(&golden["tokens"], &lengths);
    let labels = sequences(&golden["labels"], &lengths);
    let device = Device::flex().autodiff();
    for name in CASES {
        let case = case(&golden, name);
        let model = import(&case, name, &device);
        let network = model.network();
        let (packed, outputs, last) = logits(network, &tokens);
        assert_steps(&packed, outputs.clone().inner(), &case["logits"]);
        // The states after the last steps, directions side by side: PyTorch has them one after the other.
        let width = case["last"].shape()[2];
        let theirs = numbers(&case["last"]);
        let ours = numbers(&last.inner().into_data());
        let directions = case["last"].shape()[0];
        for (place, &sequence) in packed.order().iter().enumerate() {
            for at in 0..directions * width {
                let other = theirs[(at / width * lengths.len() + sequence) * width + at % width];
                let own = ours[place * directions * width + at];
                assert!((own - other).abs() < 1e-5, "{name}: {own} {other}");
            }
        }
        let slices: Vec<&[u32]> = labels.iter().map(Vec::as_slice).collect();
        let targets: Vec<i64> = packed.pack(&slices).into_iter().map(i64::from).collect();
        let loss = cross_entropy(outputs, Tensor::from_data(targets.as_slice(), &device)).mean();
        let value: f32 = loss.clone().into_scalar();
        assert!((value - numbers(&case["loss"])[0]).abs() < 1e-5, "{name}");
        let gradients = loss.backward();
        let close = |name: &str, ours: TensorData| {
            ours.assert_approx_eq::<f32>(&case[&format!("gradient.{name}")], Tolerance::absolute(1e-4));
        };
        let matrix = |key: String, param: &Param<Tensor<2>>, transposed: bool| {
            let gradient = param.val().grad(&gradients).unwrap();
            close(&key, if transposed { gradient.transpose() } else { gradient }.into_data());
        };
        let vector = |key: String, param: &Param<Tensor<1>>| {
            close(&key, param.val().grad(&gradients).unwrap().into_data());
        };
        matrix("embedding.weight".into(), network.embedding.as_ref().unwrap(), false);
        matrix("head.weight".into(), network.head.as_ref().unwrap(), true);
        let directions = network.config().directions();
        for (index, layer) in network.layers.layers.iter().enumerate() {
            let reverse = if index % directions == 1 { "_reverse" } else { "" };
            let key = |part: &str| format!("rnn.{part}_l{}{reverse}", index / directions);
            matrix(key("weight_ih"), &layer.weight_ih, true);
            matrix(key("weight_hh"), &layer.weight_hh, true);
            vector(key("bias_ih"), &layer.bias_ih);
            vector(key("bias_hh"), &layer.bias_hh);
            if let Some(projection) = &layer.projection {
                matrix(key("weight_hr"), projection, true);
            }
        }
    }
}

#[test]
fn padded_to_one_length_they_are_pytorchs_too() {
    let golden = golden();
    let tokens = sequences(&golden["tokens"], &[golden["tokens"].shape()[1]; 5]);
    for name in CASES {
        let case = case(&golden, name);
        let model = import(&case, name, &Device::flex());
        let (packed, outputs, _) = logits(model.network(), &tokens);
        assert_steps(&packed, outputs, &case["padded_logits"]);
    }
}

#[test]
fn what_is_exported_is_what_was_imported() {
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.safetensors");
    for name in CASES {
        let case = case(&golden, name);
        export_pytorch(&import(&case, name, &Device::flex()), &file).unwrap();
        let written = read_tensors(&file).unwrap();
        assert!(written.len() > 10);
        for (key, data) in &written {
            assert_eq!(numbers(data), numbers(&case[key]), "{name}: {key}");
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.safetensors");
    let matrix =
        |rows: usize, columns: usize| TensorData::new(vec![0.5_f32; rows * columns], [rows, columns]);
    let vector = |size: usize| TensorData::new(vec![0.5_f32; size], [size]);
    let mut tensors = vec![("head.weight".to_owned(), matrix(3, 5)), ("head.bias".to_owned(), vector(3))];
    let units = || Some(Units::of_characters(["x", "y", "z"].map(str::to_owned)));
    let refused = |tensors: &[(String, TensorData)]| {
        write_tensors(&file, tensors).unwrap();
        import_pytorch(&file, Task::LanguageModel, units(), None, &Device::flex()).unwrap_err().to_string()
    };
    assert!(refused(&tensors).contains("no recurrent layer"));
    for (name, data) in [
        ("embedding.weight", matrix(4, 2)),
        ("lstm.weight_ih_l0", matrix(20, 2)),
        ("lstm.weight_hh_l0", matrix(20, 5)),
        ("lstm.bias_ih_l0", vector(20)),
        ("lstm.bias_hh_l0", vector(20)),
    ] {
        tensors.push((name.to_owned(), data));
    }
    let error = refused(&tensors);
    assert!(error.contains("`embedding.weight` in shape [4, 2]") && error.contains("[3, 2]"), "{error}");
}

/// The graphs were run by onnxruntime and gave PyTorch's logits (parity/rnn_onnx.py); they must stay what they were then.
#[test]
fn onnx_graphs_are_those_that_onnxruntime_ran() {
    let golden = golden();
    for name in ["relu", "lstm_both", "gru_both"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        export_onnx(&import(&case(&golden, name), name, &Device::flex()), &file).unwrap();
        let committed = format!("../../parity/rnn_{name}.onnx");
        if std::env::var_os("DOZEN_WRITE_GOLDEN").is_some() {
            std::fs::copy(&file, &committed).unwrap();
        }
        assert!(std::fs::read(&file).unwrap() == std::fs::read(&committed).unwrap(), "{name}");
    }
    let projected = import(&case(&golden, "lstm_projected"), "lstm_projected", &Device::flex());
    let error = export_onnx(&projected, Path::new("never.onnx")).unwrap_err().to_string();
    assert!(error.contains("a projection"), "{error}");
}
