//! Layers of recurrent cells beside PyTorch's: parity/recurrent.json, made by parity/recurrent.py.

use burn::tensor::{Device, FloatDType, Tensor, TensorData, Tolerance};
use dozen_kernels::{Cell, Layer, Parameters, Steps, recurrent};
use serde_json::Value;

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).ok();
    device.autodiff()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn matrix(value: &Value, rows: usize) -> Tensor<2> {
    let values = numbers(value);
    let columns = values.len() / rows;
    Tensor::from_data(TensorData::new(values, [rows, columns]), &device())
}

fn assert_close(ours: Tensor<2>, theirs: &Value) {
    let [rows, columns] = ours.dims();
    let theirs = TensorData::new(numbers(theirs), [rows, columns]);
    ours.into_data().assert_approx_eq::<f64>(&theirs, Tolerance::absolute(1e-6));
}

/// A parameter by PyTorch's name, tracked: `[gates hidden, inputs]`, or a bias as one row.
fn parameter(case: &Value, name: &str) -> Tensor<2> {
    let parameter = &case["parameters"][name];
    let rows = if name.starts_with("weight") { parameter["shape"][0].as_u64().unwrap() as usize } else { 1 };
    matrix(&parameter["values"], rows).require_grad()
}

#[test]
fn two_layers_in_both_directions_are_pytorchs() {
    let text = std::fs::read_to_string("../../parity/recurrent.json").unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let sizes: Vec<usize> = numbers(&golden["sizes"]).iter().map(|size| *size as usize).collect();
    let lengths: Vec<usize> =
        (0..sizes[0]).map(|sequence| sizes.iter().filter(|size| **size > sequence).count()).collect();
    let steps = Steps::of_lengths(&lengths);
    let (batch, hidden) = (steps.batch(), golden["hidden"].as_u64().unwrap() as usize);
    for case in golden["cases"].as_array().unwrap() {
        let cell = match case["cell"].as_str().unwrap() {
            "tanh" => Cell::Tanh,
            "relu" => Cell::Relu,
            "lstm" => Cell::Lstm,
            _ => Cell::Gru,
        };
        let first = matrix(&case["x"], steps.rows()).require_grad();
        let states: Vec<Tensor<2>> =
            case["states"].as_array().unwrap().iter().map(|s| matrix(s, 4 * batch).require_grad()).collect();
        let (mut x, mut lasts, mut parameters) = (first.clone(), Vec::new(), Vec::new());
        for layer in 0..2 {
            let both = [false, true].map(|reverse| {
                let ending = format!("l{layer}{}", if reverse { "_reverse" } else { "" });
                let [w, u, b, c] = ["weight_ih_", "weight_hh_", "bias_ih_", "bias_hh_"].map(|name| {
                    let name = format!("{name}{ending}");
                    let tensor = parameter(case, &name);
                    parameters.push((name, tensor.clone()));
                    tensor
                });
                let place = (2 * layer + usize::from(reverse)) * batch;
                let state = states.iter().map(|s| s.clone().narrow(0, place, batch)).collect();
                let share = x.clone().matmul(w.transpose()) + b;
                recurrent(
                    &Layer::new(cell, steps.clone()).reversed(reverse),
                    share,
                    Parameters { weight: u.transpose(), bias: c.squeeze_dim(0), scale: None },
                    Tensor::cat(state, 0),
                )
            });
            lasts.extend(both.each_ref().map(|layer| layer.last.clone()));
            x = Tensor::cat(both.map(|layer| layer.hidden).to_vec(), 1);
        }
        assert_close(x.clone().inner(), &case["y"]);
        for (which, theirs) in case["last"].as_array().unwrap().iter().enumerate() {
            let ours = lasts.iter().map(|last| last.clone().narrow(0, which * batch, batch)).collect();
            assert_close(Tensor::cat(ours, 0).inner(), theirs);
        }
        let sum = lasts.into_iter().map(Tensor::sum).reduce(|a, b| a + b).unwrap();
        let gradients = ((x * matrix(&case["weights"], steps.rows())).sum() + sum).backward();
        assert_close(first.grad(&gradients).unwrap(), &case["dx"]);
        for (state, theirs) in states.iter().zip(case["d_states"].as_array().unwrap()) {
            assert_close(state.grad(&gradients).unwrap(), theirs);
        }
        for (name, tensor) in parameters {
            assert_close(tensor.grad(&gradients).unwrap(), &case["parameters"][&name]["gradient"]);
        }
        assert_eq!(hidden * 2, case["y"].as_array().unwrap().len() / steps.rows());
    }
}
