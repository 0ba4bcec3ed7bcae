//! Laws of entropic, sparse, circular and single-price transport, and of barycentres.

mod common;

use dozen_transport::*;
use proptest::prelude::*;

use common::noise;

fn rows<C: Cost>(cost: &C) -> Vec<f64> {
    let (n, m) = cost.sizes();
    let mut buffer = vec![0.0; m];
    (0..n).flat_map(|i| cost.row(i, &mut buffer).to_vec()).collect()
}

/// Ten points in a row; 0.5493 moves two steps and 0.0574 one step.
fn trap() -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut p, mut q) = (vec![0.0; 10], vec![0.0; 10]);
    (p[0], p[5], p[9]) = (0.5493, 0.0574, 0.3933);
    (q[2], q[6], q[9]) = (0.5493, 0.0574, 0.3933);
    ((0..10).map(f64::from).collect(), p, q)
}

#[test]
fn one_price_for_both_sides_loses_nothing_for_a_metric() {
    let (x, p, q) = trap();
    let points = Points::new(&x, 1).unwrap();
    let cost = PointCost::new(points, points, Distance::Euclidean, 1.0).unwrap();
    let plan = exact(&p, &q, &cost).unwrap();
    let single = single_price(&p, &q, &cost).unwrap();
    assert!(
        (plan.certificate.primal - 1.1560).abs() < 1e-12 && (plan.certificate.dual - 1.1560).abs() < 1e-12
    );
    assert!(single.metric && (single.value - 1.1560).abs() < 1e-12);
    let earned: f64 = (0..10).map(|i| (p[i] - q[i]) * single.f[i]).sum();
    assert!((earned - 1.1560).abs() < 1e-12);
}

#[test]
fn one_price_for_both_sides_is_half_of_the_truth_for_squares() {
    let (x, p, q) = trap();
    let points = Points::new(&x, 1).unwrap();
    let cost = PointCost::new(points, points, Distance::SquaredEuclidean, 1.0).unwrap();
    let plan = exact(&p, &q, &cost).unwrap();
    let single = single_price(&p, &q, &cost).unwrap();
    assert!(
        (plan.certificate.primal - 2.2546).abs() < 1e-12 && (plan.certificate.dual - 2.2546).abs() < 1e-12
    );
    assert!(!single.metric && (single.value - 1.1560).abs() < 1e-12);
    let allowed =
        (0..100).all(|k| single.f[k / 10] - single.f[k % 10] <= (x[k / 10] - x[k % 10]).powi(2) + 1e-12);
    assert!(allowed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_price_is_allowed_and_earns_the_distance_of_a_metric(n in 2..25_usize, seed in 1..10_000_u64) {
        let x = noise(2 * n, seed);
        let (p, q) = (noise(n, seed + 1), noise(n, seed + 2));
        let points = Points::new(&x, 2).unwrap();
        let cost = PointCost::new(points, points, Distance::Euclidean, 1.0).unwrap();
        let (plan, single) = (exact(&p, &q, &cost).unwrap(), single_price(&p, &q, &cost).unwrap());
        prop_assert!(single.metric && (plan.value - single.value).abs() < 1e-12);
        let costs = rows(&cost);
        let allowed = (0..n * n).all(|k| single.f[k / n] - single.f[k % n] <= costs[k] + 1e-12);
        prop_assert!(allowed);
    }

    #[test]
    fn entropic_values_bracket_the_exact_one(n in 1..40_usize, m in 1..40_usize, seed in 1..10_000_u64, size in -4..1_i32, empty in 0.0..0.4_f64) {
        let weights = |count: usize, seed: u64| -> Vec<f64> {
            let mut weights: Vec<f64> = noise(count, seed).iter().map(|&w| if w < empty { 0.0 } else { w }).collect();
            weights[0] += 0.1;
            weights
        };
        let (a, b) = (weights(n, seed), weights(m, seed + 1));
        let costs = noise(n * m, seed + 2);
        let cost = Matrix::new(&costs, m).unwrap();
        let exact = exact(&a, &b, &cost).unwrap().value;
        let solved = Sinkhorn { iterations: 300, ..Sinkhorn::new(10.0_f64.powi(size)) }.solve(&a, &b, &cost).unwrap();
        let (lower, upper) = solved.exact_between.unwrap();
        prop_assert!(lower <= exact + 1e-12 && exact <= upper + 1e-12, "{lower} {exact} {upper}");
        prop_assert!(solved.cost.is_finite() && solved.value.is_finite() && (solved.mass - 1.0).abs() < 1e-9);
        prop_assert_eq!(solved.converged, solved.error <= 1e-9);
        if solved.converged {
            prop_assert!(solved.value >= exact - 1e-9 && solved.cost >= exact - 1e-9);
        }
    }

    #[test]
    fn all_routes_give_the_dense_plan_and_fewer_never_a_cheaper_one(n in 1..30_usize, m in 1..30_usize, seed in 1..10_000_u64) {
        let (a, b, costs) = (noise(n, seed), noise(m, seed + 1), noise(n * m, seed + 2));
        let dense = exact(&a, &b, &Matrix::new(&costs, m).unwrap()).unwrap();
        let route = |k: usize| Route { from: k / m, to: k % m, cost: costs[k] };
        let all: Vec<Route> = (0..n * m).map(route).collect();
        let sparse = exact_sparse(&a, &b, &all).unwrap();
        prop_assert!((dense.value - sparse.value).abs() < 1e-11);
        prop_assert!(sparse.certificate.gap.abs() < 1e-10 && sparse.certificate.infeasibility < 1e-12 * (n + m) as f64);
        let kept = noise(n * m, seed + 3);
        let some: Vec<Route> = (0..n * m).filter(|k| kept[*k] < 0.6 || k / m == 0 || k % m == 0).map(route).collect();
        if let Ok(fewer) = exact_sparse(&a, &b, &some) {
            prop_assert!(fewer.value >= dense.value - 1e-11 && fewer.certificate.gap.abs() < 1e-10);
        }
    }

    #[test]
    fn the_circle_is_the_plan_of_the_shorter_arcs(n in 1..25_usize, m in 1..25_usize, seed in 1..10_000_u64, squared: bool) {
        let (x, y) = (noise(n, seed), noise(m, seed + 1));
        let (a, b) = (noise(n, seed + 2), noise(m, seed + 3));
        let power = if squared { 2.0 } else { 1.0 };
        let arc = |k: usize| {
            let d = (x[k / m] * 7.0 - y[k % m] * 7.0).abs();
            d.min(7.0 - d).powf(power)
        };
        let costs: Vec<f64> = (0..n * m).map(arc).collect();
        let plan = exact(&a, &b, &Matrix::new(&costs, m).unwrap()).unwrap();
        let turned = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v * 7.0 - 14.0).collect() };
        let (first, second) = (Line::new(&turned(&x), &a).unwrap(), Line::new(&turned(&y), &b).unwrap());
        let cost = first.circle_cost(&second, power, 7.0).unwrap();
        prop_assert!((cost - plan.value).abs() < 1e-9, "{cost} {}", plan.value);
        let (x, y) = (turned(&x), turned(&y));
        let on_circle = exact(&a, &b, &CircleCost::new(&x, &y, 7.0, power).unwrap()).unwrap();
        prop_assert!((on_circle.value - cost).abs() < 1e-9 && on_circle.certificate.gap.abs() < 1e-9);
    }

    #[test]
    fn prices_on_the_line_are_allowed(n in 1..40_usize, m in 1..40_usize, seed in 1..10_000_u64, power in 1.0..4.0_f64) {
        let (x, y) = (noise(n, seed), noise(m, seed + 1));
        let (mut a, b) = (noise(n, seed + 2), noise(m, seed + 3));
        a[n / 2] = if n > 1 { 0.0 } else { 1.0 };
        let plan = line_plan(&x, &a, &y, &b, power).unwrap();
        prop_assert!((plan.cost - plan.dual).abs() < 1e-12);
        for k in 0..n * m {
            let slack = (x[k / m] - y[k % m]).abs().powf(power) - plan.f[k / m] - plan.g[k % m];
            prop_assert!(slack > -1e-12, "{slack}");
        }
        let (first, second) = (Line::new(&x, &a).unwrap(), Line::new(&y, &b).unwrap());
        let (primal, dual) = first.certified_cost(&second, power).unwrap();
        prop_assert!((primal - plan.cost).abs() < 1e-12 && (dual - plan.cost).abs() < 1e-12);
        let direct = wasserstein_1d(&x, &a, &y, &b, power).unwrap();
        prop_assert!((direct.powf(power) - plan.cost).abs() < 1e-12);
    }
}

#[test]
fn a_warm_start_leaves_less_to_do() {
    let (x, y) = (noise(2 * 600, 3), noise(2 * 500, 4));
    let (a, b) = (vec![1.0; 600], vec![1.0; 500]);
    let solve = |y: &[f64], start: Option<&Plan>| {
        let points = (Points::new(&x, 2).unwrap(), Points::new(y, 2).unwrap());
        let cost = PointCost::new(points.0, points.1, Distance::Euclidean, 1.0).unwrap();
        match start {
            Some(plan) => exact_from(&a, &b, &cost, Prices { f: &plan.f, g: &plan.g }).unwrap(),
            None => exact(&a, &b, &cost).unwrap(),
        }
    };
    let first = solve(&y, None);
    let again = solve(&y, Some(&first));
    assert!((first.value - again.value).abs() < 1e-12 && again.pivots < first.pivots);
    let nudged: Vec<f64> = y.iter().zip(noise(y.len(), 5)).map(|(y, n)| y + 0.001 * n).collect();
    let (cold, warm) = (solve(&nudged, None), solve(&nudged, Some(&first)));
    assert!((cold.value - warm.value).abs() < 1e-12 && warm.certificate.gap.abs() < 1e-12);
}

#[test]
fn extreme_settings_stay_numbers() {
    let costs: Vec<f64> = noise(60 * 50, 9).iter().map(|c| c * 1e32).collect();
    let (mut a, b) = (noise(60, 10), noise(50, 11));
    a[3] = 0.0;
    for (epsilon, reach) in [(1e24, None), (1e31, None), (1e40, None), (1e30, Some(1e29)), (1e30, Some(1e35))]
    {
        let settings = Sinkhorn { reach, iterations: 200, ..Sinkhorn::new(epsilon) };
        let solved = settings.solve(&a, &b, &Matrix::new(&costs, 50).unwrap()).unwrap();
        for value in [solved.cost, solved.value, solved.mass, solved.error] {
            assert!(value.is_finite(), "{epsilon} {reach:?}: {solved:?}");
        }
    }
    // A point so far away that its kernel is nothing.
    let (x, y) = ([0.0, 1.0, 1e6], [0.5, 2.0, 3.0]);
    let points = (Points::new(&x, 1).unwrap(), Points::new(&y, 1).unwrap());
    let cost = PointCost::new(points.0, points.1, Distance::Euclidean, 1.0).unwrap();
    let solved = Sinkhorn::new(0.01).solve(&[1.0; 3], &[1.0; 3], &cost).unwrap();
    let exact = exact(&[1.0; 3], &[1.0; 3], &cost).unwrap().value;
    assert!(solved.converged && (solved.cost / exact - 1.0).abs() < 1e-6, "{solved:?} {exact}");
}

#[test]
fn the_divergence_of_equal_sides_is_zero_and_of_others_positive() {
    let (x, y) = (noise(2 * 40, 1), noise(2 * 30, 2));
    let points = (Points::new(&x, 2).unwrap(), Points::new(&y, 2).unwrap());
    let cost = |a, b| PointCost::new(a, b, Distance::SquaredEuclidean, 1.0).unwrap();
    let (xx, xy, yy) = (cost(points.0, points.0), cost(points.0, points.1), cost(points.1, points.1));
    let (a, b) = (noise(40, 3), noise(30, 4));
    for reach in [None, Some(0.5)] {
        let settings = Sinkhorn { reach, ..Sinkhorn::new(0.05) };
        let (same, _) = sinkhorn_divergence(&settings, &a, &a, [&xx, &xx, &xx]).unwrap();
        let (apart, _) = sinkhorn_divergence(&settings, &a, &b, [&xy, &xx, &yy]).unwrap();
        assert!(same.abs() < 1e-12 && apart > 1e-3, "{same} {apart}");
    }
    let settings = Sinkhorn::new(0.002);
    let (apart, _) = sinkhorn_divergence(&settings, &a, &b, [&xy, &xx, &yy]).unwrap();
    let exact = exact(&a, &b, &xy).unwrap().value;
    assert!((apart / exact - 1.0).abs() < 0.05, "{apart} {exact}");
}

#[test]
fn a_long_reach_keeps_the_weights_and_a_short_one_loses_far_mass() {
    let (x, y) = ([0.0, 0.1, 5.0], [0.05, 0.15]);
    let points = (Points::new(&x, 1).unwrap(), Points::new(&y, 1).unwrap());
    let cost = PointCost::new(points.0, points.1, Distance::Euclidean, 1.0).unwrap();
    let solve = |reach| {
        Sinkhorn { reach, ..Sinkhorn::new(0.01) }.solve(&[0.4, 0.4, 0.2], &[0.5, 0.5], &cost).unwrap()
    };
    let (kept, long, short) = (solve(None), solve(Some(1e4)), solve(Some(0.5)));
    assert!((kept.cost - long.cost).abs() < 1e-2 * kept.cost, "{} {}", kept.cost, long.cost);
    assert!(short.cost < 0.1 && short.mass < 0.95, "{short:?}");
}

#[test]
fn routes_that_cannot_carry_all_say_so() {
    let routes = [Route { from: 0, to: 0, cost: 1.0 }, Route { from: 1, to: 0, cost: 1.0 }];
    let error = exact_sparse(&[1.0, 1.0], &[3.0, 1.0], &routes).unwrap_err().to_string();
    assert_eq!(
        error,
        "the routes leave 25.0000 % of the mass where it is; every point needs routes to enough others"
    );
    let error = exact_sparse(&[1.0], &[1.0], &routes[1..]).unwrap_err().to_string();
    assert_eq!(error, "route 0 is from 1 to 0, and the sides have 1 and 1 points, counted from 0");
}

#[test]
fn the_barycenter_of_shifted_clouds_is_the_cloud_between() {
    let cloud = noise(2 * 50, 8);
    let shifted: Vec<f64> = cloud.chunks(2).flat_map(|p| [p[0] + 4.0, p[1] - 2.0]).collect();
    let ones = vec![1.0; 50];
    let measure = |values, share| Measure { points: Points::new(values, 2).unwrap(), weights: &ones, share };
    let measures = [measure(&cloud, 1.0), measure(&shifted, 3.0)];
    let found = free_barycenter(&measures, Points::new(&shifted, 2).unwrap(), 50, 1e-20).unwrap();
    assert!(found.converged);
    for (point, original) in found.points.chunks(2).zip(shifted.chunks(2)) {
        assert!((point[0] - original[0] + 1.0).abs() < 1e-9 && (point[1] - original[1] - 0.5).abs() < 1e-9);
    }
    // W_2^2 between clouds shifted by v is |v|^2 = 20; at a quarter of the way: 3/4 * (1/4)^2 + 1/4 * (3/4)^2 of it.
    assert!((found.cost - 20.0 * 3.0 / 16.0).abs() < 1e-9);
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let (x, y) = (noise(3 * 300, 1), noise(3 * 200, 2));
    let points = (Points::new(&x, 3).unwrap(), Points::new(&y, 3).unwrap());
    let cost = PointCost::new(points.0, points.1, Distance::Euclidean, 1.0).unwrap();
    let (a, b) = (noise(300, 3), noise(200, 4));
    let directions = random_directions(3, 20, 5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let entropic = Sinkhorn::new(0.05).solve(&a, &b, &cost).unwrap();
            (entropic.cost, sliced(points.0, &a, points.1, &b, &directions, 2.0).unwrap().distance)
        })
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(3));
}
