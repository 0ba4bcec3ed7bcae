//! Features of regions: equal to torchvision's (`parity/regions.py`), the kernel to Burn's operations, gradients to what torchvision's backward gives.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_kernels::{Border, Pooling, Region, pool_regions, pool_regions_reference};
use serde_json::Value;

const MAP: [usize; 4] = [2, 18, 9, 12];

fn map(device: &Device) -> Tensor<4> {
    let value = |i: usize| ((0.7 * i as f64).sin() + 0.3 * (0.13 * i as f64).cos()) as f32;
    let values: Vec<f32> = (0..MAP.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, MAP), device)
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn golden() -> (Value, Vec<Region>) {
    let golden: Value = serde_json::from_str(include_str!("../../../parity/regions.json")).unwrap();
    let region = |row: &Value| {
        let numbers = floats(row);
        (numbers[0] as usize, [1, 2, 3, 4].map(|at| numbers[at] as f32))
    };
    let regions = golden["rois"].as_array().unwrap().iter().map(region).collect();
    (golden, regions)
}

const CASES: [(&str, [usize; 2], Pooling); 5] = [
    ("max", [3, 2], Pooling::Max),
    ("align", [3, 2], Pooling::Align { points: 2, aligned: false }),
    ("align adaptive", [2, 3], Pooling::Align { points: 0, aligned: true }),
    ("position sensitive", [3, 3], Pooling::PositionSensitive { border: Border::Torchvision }),
    ("position sensitive align", [3, 3], Pooling::PositionSensitiveAlign { points: 2 }),
];

fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

#[test]
fn values_and_gradients_are_torchvisions() {
    let (golden, regions) = golden();
    for (name, bins, pooling) in CASES {
        let case = &golden["cases"][name];
        let mut both = Vec::new();
        for with in [pool_regions, pool_regions_reference] {
            let x = map(&Device::flex().autodiff()).require_grad();
            let y = with(x.clone(), &regions, bins, 0.25, pooling);
            let shape: Vec<f64> = y.dims().iter().map(|size| *size as f64).collect();
            assert_eq!(shape, floats(&case["shape"]), "{name}");
            let values: Vec<f32> = y.to_data().iter::<f32>().step_by(3).collect();
            let off = worst(&values, &floats(&case["values"]));
            assert!(off < 1e-5, "{name}: {off}");
            let weights: Vec<f32> =
                (0..y.shape().num_elements()).map(|i| (0.31 * i as f64).cos() as f32).collect();
            let weights = Tensor::from_data(TensorData::new(weights, y.dims()), &y.device());
            let gradients = (y * weights).sum().backward();
            let gradient: Vec<f32> = x.grad(&gradients).unwrap().to_data().iter::<f32>().step_by(7).collect();
            // torchvision's backward of this one reaches the last line and column, which its forward never reads.
            if name != "position sensitive" {
                assert!(worst(&gradient, &floats(&case["gradient"])) < 1e-4, "{name}");
            }
            both.push(gradient.into_iter().map(f64::from).collect::<Vec<f64>>());
        }
        let kernel: Vec<f32> = both[0].iter().map(|value| *value as f32).collect();
        assert!(worst(&kernel, &both[1]) < 1e-5, "{name}");
    }
}

#[test]
fn the_last_line_and_column_are_pooled_but_in_torchvisions_way() {
    let device = Device::flex();
    // Ones in the last line and column alone.
    let value = |i: usize| if i / 7 == 6 || i % 7 == 6 { 1.0 } else { 0.0 };
    let plane: Vec<f32> = (0..49).map(value).collect();
    let x = Tensor::<4>::from_data(TensorData::new(plane.repeat(49), [1, 49, 7, 7]), &device);
    let whole = [(0, [0.0, 0.0, 111.0, 111.0])];
    let of = |border| {
        let y = pool_regions(x.clone(), &whole, [7, 7], 1.0 / 16.0, Pooling::PositionSensitive { border });
        y.to_data().iter::<f32>().collect::<Vec<f32>>()
    };
    assert!(of(Border::Torchvision).iter().all(|value| *value == 0.0));
    let ours = of(Border::Rfcn);
    for (bin, value) in ours.iter().enumerate() {
        assert_eq!(*value, if bin / 7 == 6 || bin % 7 == 6 { 1.0 } else { 0.0 }, "{bin}");
    }
}

#[test]
fn no_regions_and_regions_without_sense_give_no_trouble() {
    let device = Device::flex().autodiff();
    for (_, bins, pooling) in CASES {
        let x = map(&device).require_grad();
        let none = pool_regions(x.clone(), &[], bins, 0.25, pooling);
        assert_eq!(none.dims()[0], 0);
        let odd = [f32::NAN, f32::INFINITY, -1e30, 1e30];
        let regions: Vec<Region> = odd.iter().map(|side| (0, [*side, 0.0, 10.0, *side])).collect();
        let regions: Vec<Region> = regions
            .into_iter()
            .filter(|(_, rect)| rect.iter().all(|side| side.is_nan() || side.abs() < 100.0))
            .collect();
        let y = pool_regions(x.clone(), &regions, bins, 0.25, pooling);
        assert!(y.clone().to_data().iter::<f32>().all(f32::is_finite), "{pooling:?}");
        let gradients = y.sum().backward();
        assert!(x.grad(&gradients).unwrap().to_data().iter::<f32>().all(f32::is_finite));
    }
}
