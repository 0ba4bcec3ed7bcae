//! Deformable convolution: values and gradients equal torchvision's (`parity/deform.py`), of the kernel and of Burn's operations.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use dozen_kernels::{Deformation, deform_conv2d, deform_conv2d_reference};
use serde_json::Value;

struct Case {
    name: &'static str,
    x: [usize; 4],
    outputs: usize,
    groups: usize,
    parts: usize,
    how: Deformation,
    masked: bool,
}

fn cases() -> [Case; 3] {
    let how = |taps, stride, padding, dilation| Deformation { taps, stride, padding, dilation };
    [
        Case {
            name: "plain",
            x: [2, 4, 7, 6],
            outputs: 3,
            groups: 1,
            parts: 1,
            how: how([3, 3], [1, 1], [1, 1], [1, 1]),
            masked: false,
        },
        Case {
            name: "masked, in parts",
            x: [1, 4, 6, 8],
            outputs: 4,
            groups: 2,
            parts: 2,
            how: how([3, 2], [2, 1], [0, 1], [1, 2]),
            masked: true,
        },
        Case {
            name: "far",
            x: [1, 2, 5, 5],
            outputs: 2,
            groups: 1,
            parts: 1,
            how: how([3, 3], [1, 2], [2, 2], [2, 1]),
            masked: true,
        },
    ]
}

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).ok();
    device.autodiff()
}

fn wave<const D: usize>(shape: [usize; D], rate: f64, size: f64) -> Tensor<D> {
    let values: Vec<f64> =
        (1..=shape.iter().product()).map(|at: usize| size * (rate * at as f64).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-7, "{what}: {found} against {expected}");
    }
}

#[test]
fn values_and_gradients_are_torchvisions() {
    let golden: Value = serde_json::from_str(include_str!("../../../parity/deform.json")).unwrap();
    for case in cases() {
        let expected = &golden["cases"][case.name];
        let shape: Vec<usize> = floats(&expected["shape"]).iter().map(|side| *side as usize).collect();
        let taps = case.how.taps[0] * case.how.taps[1];
        let [images, channels, ..] = case.x;
        for (which, convolve) in
            [("kernel", deform_conv2d as fn(_, _, _, _, _, _) -> _), ("reference", deform_conv2d_reference)]
        {
            let far = if case.name == "far" { 9.0 } else { 1.7 };
            let x = wave(case.x, 0.37, 1.0).require_grad();
            let offset = wave([images, 2 * case.parts * taps, shape[2], shape[3]], 0.48, far).require_grad();
            let mask = wave([images, case.parts * taps, shape[2], shape[3]], 0.59, 1.0).require_grad();
            let weight_shape = [case.outputs, channels / case.groups, case.how.taps[0], case.how.taps[1]];
            let weight = wave(weight_shape, 0.7, 0.5).require_grad();
            let bias = wave([case.outputs], 0.81, 0.2).require_grad();
            let given = case.masked.then(|| mask.clone());
            let y: Tensor<4> =
                convolve(x.clone(), offset.clone(), given, weight.clone(), Some(bias.clone()), case.how);
            let what = format!("{}, {which}", case.name);
            assert_eq!(y.dims().to_vec(), shape, "{what}");
            let values: Vec<f64> = y.to_data().iter().collect();
            assert_close(&values, &floats(&expected["values"]), &what);
            let gradients = (y.clone() * wave(y.dims(), 0.31, 1.0)).sum().backward();
            let of = |data: TensorData| data.iter::<f64>().step_by(3).collect::<Vec<f64>>();
            let mut found = vec![
                ("x", of(x.grad(&gradients).unwrap().to_data())),
                ("offset", of(offset.grad(&gradients).unwrap().to_data())),
                ("weight", of(weight.grad(&gradients).unwrap().to_data())),
                ("bias", of(bias.grad(&gradients).unwrap().to_data())),
            ];
            if case.masked {
                found.push(("mask", of(mask.grad(&gradients).unwrap().to_data())));
            }
            for (name, found) in found {
                assert_close(&found, &floats(&expected["gradients"][name]), &format!("{what}, {name}"));
            }
        }
    }
}

#[test]
fn without_offsets_it_is_a_convolution_and_no_number_is_nothing() {
    let how = Deformation { taps: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] };
    let (x, weight) = (wave([1, 3, 6, 5], 0.4, 1.0), wave([2, 3, 3, 3], 0.3, 1.0));
    let none = Tensor::<4>::zeros([1, 18, 6, 5], &device()).cast(x.dtype());
    let y = deform_conv2d(x.clone(), none.clone(), None, weight.clone(), None, how);
    let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let plain = burn::tensor::module::conv2d(x.clone(), weight.clone(), None, options);
    let off: f64 = (y - plain).abs().max().into_scalar();
    assert!(off < 1e-12, "{off}");
    let nowhere = none + f64::NAN;
    let y = deform_conv2d(x, nowhere, None, weight, None, how);
    assert!(y.to_data().iter::<f64>().all(|value| value == 0.0));
}
