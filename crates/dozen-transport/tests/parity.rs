//! The same values as POT and SciPy, from `parity/transport.json`, which `parity/transport.py` made.

use dozen_transport::*;
use serde_json::Value;

fn golden() -> Value {
    // Tests run in their package's folder.
    let path = "../../parity/transport.json";
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

#[track_caller]
fn assert_near(ours: f64, theirs: f64, relative: f64) {
    assert!((ours - theirs).abs() <= relative * theirs.abs().max(1e-3), "{ours} and {theirs}");
}

#[test]
fn exact_values_are_those_of_emd2() {
    for problem in items(&golden()["exact"]) {
        let [x, y, a, b] = ["x", "y", "a", "b"].map(|key| list(&problem[key]));
        let dimension = number(&problem["dimension"]) as usize;
        let (x, y) = (Points::new(&x, dimension).unwrap(), Points::new(&y, dimension).unwrap());
        for (name, value) in problem["values"].as_object().unwrap() {
            let distance = match name.as_str() {
                "euclidean" => Distance::Euclidean,
                "sqeuclidean" => Distance::SquaredEuclidean,
                "cityblock" => Distance::Cityblock,
                "chebyshev" => Distance::Chebyshev,
                "cosine" => Distance::Cosine,
                _ => Distance::Minkowski(3.0),
            };
            let cost = PointCost::new(x, y, distance, 1.0).unwrap();
            assert_near(exact(&a, &b, &cost).unwrap().value, number(value), 1e-9);
        }
    }
}

#[test]
fn values_on_the_line_are_those_of_scipy_and_on_the_circle_those_of_pot() {
    for problem in items(&golden()["line"]) {
        let [x, y, a, b] = ["x", "y", "a", "b"].map(|key| list(&problem[key]));
        assert_near(wasserstein_1d(&x, &a, &y, &b, 1.0).unwrap(), number(&problem["scipy"]), 1e-12);
        let (first, second) = (Line::new(&x, &a).unwrap(), Line::new(&y, &b).unwrap());
        for power in [1.0, 2.0] {
            let key = power.to_string();
            let expected = number(&problem["emd2_1d"][&key]);
            assert_near(first.cost(&second, power).unwrap(), expected, 1e-12);
            assert_near(line_plan(&x, &a, &y, &b, power).unwrap().cost, expected, 1e-12);
            let period = number(&problem["period"]);
            let expected = number(&problem["circle"][&key]);
            assert_near(first.circle_cost(&second, power, period).unwrap(), expected, 1e-9);
        }
    }
}

#[test]
fn entropic_costs_are_those_of_sinkhorn2() {
    let golden = &golden()["entropic"];
    let [x, y, a, b, more] = ["x", "y", "a", "b", "unbalanced_b"].map(|key| list(&golden[key]));
    let (x, y) = (Points::new(&x, 2).unwrap(), Points::new(&y, 2).unwrap());
    let cost = PointCost::new(x, y, Distance::SquaredEuclidean, 1.0).unwrap();
    for run in items(&golden["runs"]) {
        let reach = run["reach"].as_f64();
        let settings = Sinkhorn {
            reach,
            tolerance: 1e-13,
            iterations: 1_000_000,
            ..Sinkhorn::new(number(&run["epsilon"]))
        };
        let solved = settings.solve(&a, if reach.is_some() { &more } else { &b }, &cost).unwrap();
        assert!(solved.converged, "{} after {}", solved.error, solved.iterations);
        assert_near(solved.cost, number(&run["cost"]), 1e-9);
        if let Some(value) = run["value"].as_f64() {
            assert_near(solved.value, value, 1e-9);
        }
    }
}

#[test]
fn sliced_values_are_those_along_the_same_directions() {
    let golden = &golden()["sliced"];
    let [x, y, a, b, directions] = ["x", "y", "a", "b", "directions"].map(|key| list(&golden[key]));
    let (x, y) = (Points::new(&x, 4).unwrap(), Points::new(&y, 4).unwrap());
    for power in [1.0, 2.0] {
        let found = sliced(x, &a, y, &b, &directions, power).unwrap();
        assert_near(found.distance, number(&golden["values"][power.to_string()]), 1e-9);
        // POT takes the best of the directions; ours goes on from there.
        let largest = max_sliced(x, &a, y, &b, &directions, power).unwrap();
        assert!(largest.distance >= number(&golden["largest"][power.to_string()]) * (1.0 - 1e-12));
        let along = sliced(x, &a, y, &b, &largest.direction, power).unwrap();
        assert_near(along.distance, largest.distance, 1e-9);
    }
}

#[test]
fn barycenters_are_those_of_pot() {
    let golden = &golden()["barycenters"];
    let support = list(&golden["support"]);
    let points = Points::new(&support, 1).unwrap();
    let cost = PointCost::new(points, points, Distance::SquaredEuclidean, 1.0).unwrap();
    let mut buffer = vec![0.0; support.len()];
    let costs: Vec<f64> = (0..support.len()).flat_map(|i| cost.row(i, &mut buffer).to_vec()).collect();
    let measures: Vec<Vec<f64>> = items(&golden["measures"]).map(list).collect();
    let shares = list(&golden["shares"]);
    let weights: Vec<(&[f64], f64)> = measures.iter().map(Vec::as_slice).zip(shares).collect();
    let fixed = fixed_barycenter(&costs, &weights, number(&golden["epsilon"]), 100_000, 1e-13).unwrap();
    assert!(fixed.converged);
    for (ours, theirs) in fixed.weights.iter().zip(list(&golden["fixed"])) {
        assert!((ours - theirs).abs() < 1e-9, "{ours} and {theirs}");
    }
    let clouds: Vec<Vec<f64>> = items(&golden["clouds"]).map(list).collect();
    let ones = vec![1.0; 100];
    let measures: Vec<Measure> = clouds
        .iter()
        .zip(list(&golden["cloud_shares"]))
        .map(|(cloud, share)| Measure {
            points: Points::new(cloud, 2).unwrap(),
            weights: &ones[..cloud.len() / 2],
            share,
        })
        .collect();
    let start = list(&golden["start"]);
    let free = free_barycenter(&measures, Points::new(&start, 2).unwrap(), 200, 0.0).unwrap();
    assert!(free.converged);
    for (ours, theirs) in free.points.iter().zip(list(&golden["free"])) {
        assert!((ours - theirs).abs() < 1e-9, "{ours} and {theirs}");
    }
}
