//! Laws of the exact plan.

mod common;

use dozen_transport::{Cost, Distance, Error, Matrix, Plan, PointCost, Points, exact, line_plan};
use proptest::prelude::*;

use common::noise;

/// The plan moves each weight whole, its prices are allowed everywhere, and both values are one.
fn assert_optimal<C: Cost>(plan: &Plan, a: &[f64], b: &[f64], cost: &C) {
    let scale = cost_scale(cost);
    let share = |weights: &[f64]| -> Vec<f64> {
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    };
    let (mut from, mut to) = (vec![0.0; a.len()], vec![0.0; b.len()]);
    for flow in &plan.flows {
        assert!(flow.mass > 0.0);
        from[flow.from] += flow.mass;
        to[flow.to] += flow.mass;
    }
    for (found, expected) in [(from, share(a)), (to, share(b))] {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
    assert!(plan.flows.len() < a.len() + b.len());
    assert!(plan.certificate.infeasibility <= 1e-12 * scale, "{:?}", plan.certificate);
    assert!(plan.certificate.gap.abs() <= 1e-11 * scale, "{:?}", plan.certificate);
    assert_eq!(plan.value, plan.certificate.primal);
}

fn cost_scale<C: Cost>(cost: &C) -> f64 {
    let (n, m) = cost.sizes();
    let mut buffer = vec![0.0; m];
    (0..n)
        .flat_map(|i| cost.row(i, &mut buffer).to_vec())
        .fold(f64::MIN_POSITIVE, |most, c| most.max(c.abs()))
}

/// The least cost of all orders, tried one by one.
fn least_of_all_orders(costs: &[f64], n: usize) -> f64 {
    fn visit(costs: &[f64], n: usize, row: usize, taken: &mut Vec<bool>, sum: f64, best: &mut f64) {
        if row == n {
            *best = best.min(sum);
            return;
        }
        for column in 0..n {
            if !taken[column] {
                taken[column] = true;
                visit(costs, n, row + 1, taken, sum + costs[row * n + column], best);
                taken[column] = false;
            }
        }
    }
    let mut best = f64::INFINITY;
    visit(costs, n, 0, &mut vec![false; n], 0.0, &mut best);
    best / n as f64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_masses_find_the_best_order(n in 1..7_usize, seed in 1..10_000_u64, ties in 1..8_u32) {
        let costs: Vec<f64> = noise(n * n, seed).iter().map(|c| (c * f64::from(ties)).floor() - 2.0).collect();
        let cost = Matrix::new(&costs, n).unwrap();
        let plan = exact(&vec![1.0; n], &vec![1.0; n], &cost).unwrap();
        assert_optimal(&plan, &vec![1.0; n], &vec![1.0; n], &cost);
        prop_assert!((plan.value - least_of_all_orders(&costs, n)).abs() < 1e-12);
    }

    #[test]
    fn any_weights_have_a_certificate(n in 1..60_usize, m in 1..60_usize, seed in 1..10_000_u64, empty in 0.0..0.5_f64) {
        let weights = |count: usize, seed: u64| -> Vec<f64> {
            let mut weights: Vec<f64> =
                noise(count, seed).iter().map(|&w| if w < empty { 0.0 } else { w }).collect();
            weights[0] += 0.1;
            weights
        };
        let (a, b) = (weights(n, seed), weights(m, seed + 1));
        let costs = noise(n * m, seed + 2);
        let cost = Matrix::new(&costs, m).unwrap();
        assert_optimal(&exact(&a, &b, &cost).unwrap(), &a, &b, &cost);
    }

    #[test]
    fn on_the_line_both_ways_agree(n in 1..150_usize, m in 1..150_usize, seed in 1..10_000_u64, squared: bool) {
        let (x, y) = (noise(n, seed), noise(m, seed + 1));
        let (a, b) = (noise(n, seed + 2), noise(m, seed + 3));
        let power = if squared { 2.0 } else { 1.0 };
        let line = line_plan(&x, &a, &y, &b, power).unwrap();
        let (points, others) = (Points::new(&x, 1).unwrap(), Points::new(&y, 1).unwrap());
        let cost = PointCost::new(points, others, Distance::Cityblock, power).unwrap();
        let plan = exact(&a, &b, &cost).unwrap();
        assert_optimal(&plan, &a, &b, &cost);
        prop_assert!((plan.value - line.cost).abs() < 1e-12, "{} {}", plan.value, line.cost);
    }

    #[test]
    fn distances_obey_the_axioms(n in 1..20_usize, seed in 1..10_000_u64) {
        let sets: Vec<Vec<f64>> = (0..3).map(|k| noise(2 * n, seed + k)).collect();
        let weights: Vec<Vec<f64>> = (0..3).map(|k| noise(n, seed + 10 + k)).collect();
        for kind in [Distance::Euclidean, Distance::Chebyshev, Distance::Minkowski(3.0)] {
            let distance = |i: usize, j: usize| {
                let [a, b] = [i, j].map(|k| Points::new(&sets[k], 2).unwrap());
                exact(&weights[i], &weights[j], &PointCost::new(a, b, kind, 1.0).unwrap()).unwrap().value
            };
            prop_assert!(distance(0, 0).abs() < 1e-12);
            prop_assert!((distance(0, 1) - distance(1, 0)).abs() < 1e-12);
            prop_assert!(distance(0, 2) <= distance(0, 1) + distance(1, 2) + 1e-12);
        }
    }
}

#[test]
fn large_problems_of_every_kind_have_certificates() {
    let uniform = |n: usize| vec![1.0; n];
    let grid: Vec<f64> = (0..900).flat_map(|i| [f64::from(i / 30), f64::from(i % 30)]).collect();
    let shifted: Vec<f64> = grid.iter().map(|v| v + 3.0).collect();
    let clustered: Vec<f64> =
        noise(1400, 5).iter().enumerate().map(|(i, v)| v * 0.01 + (i / 2 % 3) as f64).collect();
    let cloud = noise(1000, 7);
    for (x, y) in [(&grid, &shifted), (&grid, &grid), (&clustered, &cloud), (&cloud, &clustered)] {
        let (a, b) = (uniform(x.len() / 2), uniform(y.len() / 2));
        let (points, others) = (Points::new(x, 2).unwrap(), Points::new(y, 2).unwrap());
        for (distance, power) in
            [(Distance::Euclidean, 1.0), (Distance::SquaredEuclidean, 1.0), (Distance::Cityblock, 2.0)]
        {
            let cost = PointCost::new(points, others, distance, power).unwrap();
            assert_optimal(&exact(&a, &b, &cost).unwrap(), &a, &b, &cost);
        }
    }
    // All the same.
    let cost = vec![2.5; 300 * 200];
    let cost = Matrix::new(&cost, 200).unwrap();
    let plan = exact(&uniform(300), &uniform(200), &cost).unwrap();
    assert!((plan.value - 2.5).abs() < 1e-12);
}

#[test]
fn huge_costs_and_tiny_weights_are_no_trouble() {
    let costs: Vec<f64> = noise(400 * 300, 3).iter().map(|c| c * 1e32).collect();
    let cost = Matrix::new(&costs, 300).unwrap();
    let (a, b) = (noise(400, 4), noise(300, 5));
    assert_optimal(&exact(&a, &b, &cost).unwrap(), &a, &b, &cost);
    let tiny: Vec<f64> = a.iter().map(|w| w * 1e-280).collect();
    let (plain, scaled) = (exact(&a, &b, &cost).unwrap(), exact(&tiny, &b, &cost).unwrap());
    assert!((plain.value - scaled.value).abs() <= 1e-12 * plain.value);
}

#[test]
fn mistakes_are_sentences() {
    let costs = [1.0, 2.0];
    let cost = Matrix::new(&costs, 2).unwrap();
    let say = |result: Result<Plan, Error>| result.err().unwrap().to_string();
    assert_eq!(say(exact(&[1.0, 1.0], &[1.0, 1.0], &cost)), "the first side has 1 points but 2 weights");
    assert_eq!(
        say(exact(&[f64::NAN], &[1.0, 1.0], &cost)),
        "weight 0 of the first side is NaN; weights are finite and not negative"
    );
    let error = Matrix::new(&[1.0, f64::INFINITY], 2).err().unwrap().to_string();
    assert_eq!(error, "cost 1 is inf; coordinates, costs and prices are finite numbers");
    let (a, b) = ([0.0, 1.0], [0.0, 1.0, 2.0]);
    let (a, b) = (Points::new(&a, 2).unwrap(), Points::new(&b, 3).unwrap());
    let error = PointCost::new(a, b, Distance::Euclidean, 1.0).err().unwrap().to_string();
    assert_eq!(error, "the first side has 2 coordinates a point, the second 3");
}
