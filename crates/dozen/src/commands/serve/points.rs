//! What needs no model: transport between points, and trees and clusters of them.

use dozen::graph::{Convention, HdbscanConfig, Points, Selection, euclidean_tree, hdbscan};
use dozen::transport::{self, Distance, PointCost, exact};
use dozen_serve::{Bound, Refusal, Request, Served, Takes, Verb};
use serde_json::{Value, json};

use super::refused;

/// More points than this on a side no plan is made for: its costs are their product.
const MOST_PLANNED: usize = 1000;

/// Points as their coordinates in one row, and how many each has.
fn points(request: &Request, name: &str, most: usize) -> Result<(Vec<f64>, usize), Refusal> {
    let given = request.get(name).and_then(Value::as_array);
    let given = given.ok_or_else(|| Refusal::request(format!("`{name}` is missing: an array of points")))?;
    if given.is_empty() || given.len() > most {
        return Err(Refusal::request(format!("`{name}` has {} points, and 1 to {most} may be", given.len())));
    }
    let width = given[0].as_array().map_or(0, Vec::len);
    let point = |point: &Value| -> Option<Vec<f64>> {
        let point = point.as_array().filter(|point| point.len() == width && width > 0)?;
        point.iter().map(Value::as_f64).collect()
    };
    let rows: Option<Vec<Vec<f64>>> = given.iter().map(point).collect();
    let rows =
        rows.ok_or_else(|| Refusal::request(format!("`{name}` is no array of points of one dimension")))?;
    Ok((rows.concat(), width))
}

/// Optimal transport.
pub(super) struct Transport;

impl Transport {
    fn plan(request: &Request) -> Result<Value, Refusal> {
        let ((from, width), (to, other)) =
            (points(request, "from", MOST_PLANNED)?, points(request, "to", MOST_PLANNED)?);
        if width != other {
            return Err(Refusal::request(format!("points of {width} and of {other} dimensions do not meet")));
        }
        let sides = [&from, &to].map(|side| transport::Points::new(side, width));
        let [left, right] = sides;
        let cost = PointCost::new(left.map_err(refused)?, right.map_err(refused)?, Distance::Euclidean, 1.0)
            .map_err(refused)?;
        let masses = |values: &[f64]| vec![1.0; values.len() / width];
        let plan = exact(&masses(&from), &masses(&to), &cost).map_err(refused)?;
        let flow = |flow: &transport::Flow| json!({ "from": flow.from, "to": flow.to, "mass": flow.mass });
        Ok(json!({
            "distance": plan.value,
            "gap": plan.certificate.gap,
            "plan": plan.flows.iter().map(flow).collect::<Value>(),
        }))
    }
}

impl Served for Transport {
    fn family(&self) -> &'static str {
        "transport"
    }

    fn verbs(&self) -> Vec<Verb> {
        let example = json!({ "from": [[0.0, 0.0], [1.0, 0.0]], "to": [[0.0, 1.0], [1.0, 1.0]] });
        vec![
            Verb::new(
                "plan",
                "The cheapest plan between two sets of points, with its proof",
                Takes::Json(example),
            )
            .needing(&["from", "to"])
            .bounded("from", Bound::Rows(MOST_PLANNED))
            .bounded("to", Bound::Rows(MOST_PLANNED)),
        ]
    }

    fn answer(&mut self, _verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        requests.iter().map(Self::plan).collect()
    }
}

/// Spanning trees and clusters.
pub(super) struct Graph;

impl Graph {
    fn told(verb: &str, request: &Request) -> Result<Value, Refusal> {
        let (values, width) = points(request, "points", request.most_rows)?;
        let all = Points::new(&values, width).map_err(refused)?;
        if verb == "tree" {
            let tree = euclidean_tree(all);
            let link = |link: &dozen::graph::Link| json!([link.a, link.b, link.weight]);
            return Ok(
                json!({ "total_weight": tree.total_weight, "links": tree.links.iter().map(link).collect::<Value>() }),
            );
        }
        let count = values.len() / width;
        let config = HdbscanConfig {
            min_cluster_size: request.count_or("min_cluster_size", 5, [2, count.max(2)])?,
            min_samples: request.count_or("min_samples", 5.min(count), [1, count])?,
            convention: Convention::Others,
            selection: Selection::ExcessOfMass,
            allow_single: false,
        };
        let found = hdbscan(all, &config).map_err(refused)?;
        Ok(json!({ "clusters": found.chosen.len(), "labels": found.labels }))
    }
}

impl Served for Graph {
    fn family(&self) -> &'static str {
        "graph"
    }

    fn verbs(&self) -> Vec<Verb> {
        let points = json!([[0.0, 0.0], [0.1, 0.0], [0.0, 0.2], [5.0, 5.0], [5.1, 5.0], [5.0, 5.2]]);
        vec![
            Verb::new(
                "tree",
                "The spanning tree of least total length",
                Takes::Json(json!({ "points": points })),
            )
            .needing(&["points"])
            .bounded("points", Bound::Rows(usize::MAX)),
            Verb::new(
                "cluster",
                "Clusters by density (HDBSCAN); a label is null where a point is in none",
                Takes::Json(json!({ "points": points, "min_cluster_size": 2, "min_samples": 1 })),
            )
            .needing(&["points"])
            .bounded("points", Bound::Rows(usize::MAX))
            .bounded("min_cluster_size", Bound::Whole([2, u64::from(u32::MAX)]))
            .bounded("min_samples", Bound::Whole([1, u64::from(u32::MAX)])),
        ]
    }

    fn answer(&mut self, verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        requests.iter().map(|request| Self::told(verb, request)).collect()
    }
}
