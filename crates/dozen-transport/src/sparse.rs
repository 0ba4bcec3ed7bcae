//! Transport along listed arcs only.

use crate::masses::Masses;
use crate::simplex::{Arc, Simplex};
use crate::{Error, Plan};

/// A way that mass may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// In the first side.
    pub from: usize,
    /// In the second side.
    pub to: usize,
    /// Of a unit of mass.
    pub cost: f64,
}

/// The cheapest way to move the weights `a` onto the weights `b`, each divided by its sum, along `routes`. Prices obey
/// `f_i + g_j <= c_ij` on those, and so the certificate speaks of them alone. Time and memory grow with the routes.
///
/// # Errors
/// When a side is empty, weights are negative, not finite or all zero, a route leads nowhere or its cost is not finite, or
/// the routes cannot carry all of the mass.
pub fn exact_sparse(a: &[f64], b: &[f64], routes: &[Route]) -> Result<Plan, Error> {
    let masses = Masses::new(a, b)?;
    let (n, m) = (a.len(), b.len());
    for (position, route) in routes.iter().enumerate() {
        if route.from >= n || route.to >= m {
            let Route { from, to, .. } = route;
            return Err(Error::Shape(format!(
                "route {position} is from {from} to {to}, and the sides have {n} and {m} points, counted from 0"
            )));
        }
        if !route.cost.is_finite() {
            return Err(Error::NotFinite { what: "cost", position, value: route.cost });
        }
    }
    let largest = routes.iter().fold(0.0_f64, |most, route| most.max(route.cost.abs()));
    // Dearer than any way round: a path has fewer than n + m routes.
    let big = (n + m) as f64 * largest.max(f64::MIN_POSITIVE);
    let mut simplex =
        Simplex::new(&masses.first, &masses.second, (&vec![0.0; n], &vec![0.0; m]), big, big * 1e-14);
    simplex.add(routes.iter().map(|route| Arc {
        source: route.from as u32,
        target: (n + route.to) as u32,
        cost: route.cost,
    }));
    simplex.solve();
    let (flows, stranded) = simplex.flows();
    if stranded > 0 {
        // Each stranded unit was counted where it leaves and where it should have arrived.
        return Err(Error::Stranded { share: stranded as f64 / 2.0 / masses.total as f64 });
    }
    let (mut f, g) = simplex.prices(n);
    // Each price as high as its routes allow, which takes away what the tolerance left.
    let mut highest = vec![f64::INFINITY; n];
    for route in routes {
        highest[route.from] = highest[route.from].min(route.cost - g[route.to]);
    }
    for (price, highest) in f.iter_mut().zip(highest).filter(|(_, highest)| highest.is_finite()) {
        *price = highest;
    }
    let infeasibility =
        routes.iter().fold(0.0_f64, |most, route| most.max(f[route.from] + g[route.to] - route.cost));
    let units = [&masses.first[..], &masses.second];
    Ok(Plan::new(flows, units, masses.total, (f, g), infeasibility, simplex.pivots))
}
