//! The transport stop of the tour.

use std::path::Path;

use dozen::data::{Table, make};
use dozen::report::{Report, ScatterPlot, Table as Cells};
use dozen::transport::{Distance, PointCost, Points, Sinkhorn, exact};
use serde_json::json;

use crate::context::Context;
use crate::data::rows_of;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// A cloud against itself moved by a known step, and against another.
pub(crate) fn tour(_: &Path, context: &Context) -> Result<Stop, Failure> {
    let cloud = |table: &Table| Ok::<_, Failure>(rows_of(table, "", &["x", "y"])?.0);
    let moons = cloud(&make::two_moons(300, context.seed()).table)?;
    let rings = cloud(&make::rings(300, context.seed() + 1).table)?;
    let moved: Vec<f64> = moons.chunks(2).flat_map(|p| [p[0] + 3.0, p[1] + 4.0]).collect();
    let weights = vec![1.0; 300];
    let points = |values| Points::new(values, 2);
    let cost = |other| PointCost::new(points(&moons)?, points(other)?, Distance::Euclidean, 1.0);
    let shift = exact(&weights, &weights, &cost(&moved)?)?;
    let between = cost(&rings)?;
    let plan = exact(&weights, &weights, &between)?;
    let entropic = Sinkhorn::new(0.01).solve(&weights, &weights, &between)?;
    let (lower, upper) = entropic.exact_between.unwrap_or((f64::NAN, f64::NAN));

    let lead = "The least work of turning one cloud of points into another, with prices that prove that no plan does better.";
    let mut report = Report::new("Transport", lead, context.command_line());
    let pairs = |values: &[f64]| values.chunks(2).map(|p| (p[0], p[1])).collect::<Vec<_>>();
    let (from, to) = (pairs(&moons), pairs(&rings));
    let segments = plan.flows.iter().map(|flow| [from[flow.from], to[flow.to]]).collect();
    let picture = ScatterPlot::new("", "x", "y").segments(segments).group("moons", from).group("rings", to);
    let row = |name: &str, value: f64| [name.to_owned(), format!("{value:.12}")];
    report
        .section("A plan and its proof")
        .plot(picture.svg(), "Each line is mass on its way from the moons to the rings.")
        .table(
            Cells::new(["", "value"])
                .row(row("cost of the plan", plan.certificate.primal))
                .row(row("what its prices earn, which no plan undercuts", plan.certificate.dual))
                .row(row("entropic plan, epsilon 0.01", entropic.cost))
                .row(row("the exact value is at least, by entropic prices", lower))
                .row(row("and at most, by the entropic plan mended", upper)),
        )
        .text(&format!(
            "A cloud moved by (3, 4) is 5 away from where it was; the exact distance is {:.12}.",
            shift.value
        ));
    let checks = vec![
        Check::new(
            (shift.value - 5.0).abs() < 1e-9,
            format!("a cloud moved by 5 is {:.12} away", shift.value),
        ),
        Check::new(
            plan.certificate.gap.abs() < 1e-9,
            format!("moons to rings {:.6}: prices prove it, gap {:.0e}", plan.value, plan.certificate.gap),
        ),
        Check::new(
            lower <= plan.value + 1e-9 && plan.value <= upper + 1e-9,
            format!("the entropic plan's bounds {lower:.4} and {upper:.4} hold it"),
        ),
    ];
    let json = json!({
        "moved_by": 5.0,
        "distance_of_moved": shift.value,
        "moons_to_rings": plan.value,
        "gap": plan.certificate.gap,
    });
    Ok(Stop { report, json, checks })
}
