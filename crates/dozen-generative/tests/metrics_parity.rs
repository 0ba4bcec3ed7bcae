//! Distances between samples and data are those of torch-fidelity and prdc; `parity/gan.py` made the file.

use dozen_data::Matrix;
use dozen_generative::metrics::{
    frechet_distance, kernel_distance, neighbours, parzen_log_prob, wasserstein,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

#[test]
fn distances_are_the_peers() {
    let golden: Value = serde_json::from_str(include_str!("../../../parity/gan.json")).unwrap();
    let number = |key: &str| golden[key].as_f64().unwrap();
    let rows = |key: &str| {
        let values = golden[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32);
        Matrix::new(values.collect(), golden["columns"].as_u64().unwrap() as usize)
    };
    let (real, fake) = (rows("real"), rows("fake"));
    let near = |found: f64, key: &str| {
        let expected = number(key);
        assert!((found - expected).abs() < 1e-8 * expected.abs().max(1.0), "{key}: {found} {expected}");
    };
    near(frechet_distance(&real, &fake), "frechet");
    near(kernel_distance(&real, &fake), "kernel_distance");
    let found = neighbours(&real, &fake, 3);
    near(found.precision, "precision");
    near(found.recall, "recall");
    near(found.density, "density");
    near(found.coverage, "coverage");
    assert!(frechet_distance(&real, &real).abs() < 1e-9 && wasserstein(&real, &real).unwrap() < 1e-9);
}

#[test]
fn a_window_of_the_right_width_gives_the_density() {
    // The density of a standard normal by many samples of it: minus its entropy on average.
    let normal = |seed: u64, rows: usize| {
        let mut rng = StdRng::seed_from_u64(seed);
        Matrix::new((0..rows).map(|_| StandardNormal.sample(&mut rng)).collect(), 1)
    };
    let found = parzen_log_prob(&normal(1, 2000), &normal(2, 5000));
    assert!((found.log_prob + 1.4189).abs() < 0.08, "{found:?}");
}
