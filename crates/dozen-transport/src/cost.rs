//! Costs: a matrix, or distances between points worked out when asked for, so that memory grows with the points and not
//! with their pairs.

use rayon::prelude::*;

use crate::Error;
use crate::vector::vectorized;

/// The cost `c_ij` of moving a unit from point `i` of the first side to point `j` of the second.
pub trait Cost: Sync {
    /// Points of both sides.
    fn sizes(&self) -> (usize, usize);

    /// All costs from point `i`: the matrix's own row, or worked out into `buffer`, which has room for them.
    fn row<'a>(&'a self, i: usize, buffer: &'a mut [f64]) -> &'a [f64];

    /// All costs, row by row.
    fn to_matrix(&self) -> Vec<f64> {
        let (n, m) = self.sizes();
        let mut all = vec![0.0; n * m];
        let fill =
            |buffer: &mut Vec<f64>, (i, row): (usize, &mut [f64])| row.copy_from_slice(self.row(i, buffer));
        all.par_chunks_mut(m.max(1)).enumerate().for_each_init(|| vec![0.0; m], fill);
        all
    }
}

/// Costs in memory, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f64],
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// A row for each point of the first side, a column for each of the second.
    ///
    /// # Errors
    /// When the values are not whole rows, or not finite.
    pub fn new(values: &'a [f64], columns: usize) -> Result<Self, Error> {
        check_rows(values, columns, "cost")?;
        Ok(Self { values, columns })
    }
}

impl Cost for Matrix<'_> {
    fn sizes(&self) -> (usize, usize) {
        (self.values.len() / self.columns, self.columns)
    }

    fn row<'a>(&'a self, i: usize, _: &'a mut [f64]) -> &'a [f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }
}

/// Points of one dimension, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    values: &'a [f64],
    dimension: usize,
}

impl<'a> Points<'a> {
    /// `dimension` coordinates for each point.
    ///
    /// # Errors
    /// When the values are not whole points, or not finite.
    pub fn new(values: &'a [f64], dimension: usize) -> Result<Self, Error> {
        check_rows(values, dimension, "coordinate")?;
        Ok(Self { values, dimension })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Coordinates of a point.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// All coordinates, row by row.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Each point's product with a direction.
    pub(crate) fn project(&self, direction: &[f64]) -> Vec<f64> {
        let along = |point: &[f64]| point.iter().zip(direction).map(|(x, d)| x * d).sum();
        self.values.chunks_exact(self.dimension).map(along).collect()
    }

    /// The coordinates of one point.
    pub fn point(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.dimension..(index + 1) * self.dimension]
    }
}

/// Values must be finite, and whole rows.
pub(crate) fn check_rows(values: &[f64], width: usize, what: &'static str) -> Result<(), Error> {
    if width == 0 || !values.len().is_multiple_of(width) {
        return Err(Error::Shape(format!("{} {what}s are not whole rows of {width}", values.len())));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(Error::NotFinite { what, position, value: values[position] }),
        None => Ok(()),
    }
}

/// How far apart two points are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// `sqrt(sum (x - y)^2)`.
    Euclidean,
    /// `sum (x - y)^2`: no metric, for it breaks the triangle inequality.
    SquaredEuclidean,
    /// `sum |x - y|`.
    Cityblock,
    /// `max |x - y|`.
    Chebyshev,
    /// `(sum |x - y|^p)^(1/p)` for `p >= 1`.
    Minkowski(f64),
    /// `1 - x.y / (|x| |y|)`; one where a point is zero. No metric.
    Cosine,
}

impl Distance {
    /// Whether it obeys the triangle inequality, so that a single price serves both sides (Kantorovich and Rubinstein).
    pub fn is_metric(self) -> bool {
        !matches!(self, Self::SquaredEuclidean | Self::Cosine)
    }
}

/// Distances between two sets of points, to a power. The second set is kept coordinate by coordinate, so that a row of
/// distances is a few passes over consecutive numbers.
#[derive(Clone, Debug)]
pub struct PointCost<'a> {
    first: Points<'a>,
    /// `[coordinate][point]`.
    second: Vec<f64>,
    count: usize,
    distance: Distance,
    power: f64,
    /// One over the length of each point of either side, for the cosine.
    inverse_lengths: [Vec<f64>; 2],
}

impl<'a> PointCost<'a> {
    /// `distance(x, y)^power` between points of one dimension.
    ///
    /// # Errors
    /// When the dimensions differ, or a power is below 1.
    pub fn new(first: Points<'a>, second: Points<'_>, distance: Distance, power: f64) -> Result<Self, Error> {
        if first.dimension != second.dimension {
            let (a, b) = (first.dimension, second.dimension);
            return Err(Error::Shape(format!("the first side has {a} coordinates a point, the second {b}")));
        }
        Error::check_power(power)?;
        if let Distance::Minkowski(order) = distance {
            Error::check_power(order)?;
        }
        let count = second.len();
        let column = |coordinate: usize| (0..count).map(move |point| second.point(point)[coordinate]);
        let columns = (0..second.dimension).flat_map(column).collect();
        let inverse_lengths = |points: Points<'_>| -> Vec<f64> {
            let length = |i: usize| points.point(i).iter().map(|x| x * x).sum::<f64>().sqrt();
            (0..points.len()).map(|i| if length(i) > 0.0 { length(i).recip() } else { 0.0 }).collect()
        };
        let inverse_lengths = match distance {
            Distance::Cosine => [inverse_lengths(first), inverse_lengths(second)],
            _ => [Vec::new(), Vec::new()],
        };
        Ok(Self { first, second: columns, count, distance, power, inverse_lengths })
    }

    /// Adds up each column's part of a row, and finishes each sum; for the best instruction set.
    fn fill(
        &self,
        i: usize,
        row: &mut [f64],
        add: impl Fn(f64, f64, f64) -> f64,
        finish: impl Fn(usize, f64) -> f64,
    ) {
        vectorized(
            #[inline(always)]
            || {
                row.fill(0.0);
                let columns = self.second.chunks_exact(self.count.max(1));
                for (&x, column) in self.first.point(i).iter().zip(columns) {
                    for (sum, &y) in row.iter_mut().zip(column) {
                        *sum = add(*sum, x, y);
                    }
                }
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = finish(j, *sum);
                }
            },
        );
    }
}

impl Cost for PointCost<'_> {
    fn sizes(&self) -> (usize, usize) {
        (self.first.len(), self.count)
    }

    fn row<'a>(&'a self, i: usize, buffer: &'a mut [f64]) -> &'a [f64] {
        let row = &mut buffer[..self.count];
        let square = |sum: f64, x: f64, y: f64| (x - y) * (x - y) + sum;
        match self.distance {
            Distance::Euclidean => self.fill(i, row, square, |_, sum| sum.sqrt()),
            Distance::SquaredEuclidean => self.fill(i, row, square, |_, sum| sum),
            Distance::Cityblock => self.fill(i, row, |sum, x, y| sum + (x - y).abs(), |_, sum| sum),
            Distance::Chebyshev => self.fill(i, row, |most, x, y| most.max((x - y).abs()), |_, most| most),
            Distance::Minkowski(p) => {
                self.fill(i, row, |sum, x, y| sum + (x - y).abs().powf(p), |_, sum| sum.powf(p.recip()));
            }
            Distance::Cosine => {
                let [first, second] = &self.inverse_lengths;
                self.fill(
                    i,
                    row,
                    |sum, x, y| sum + x * y,
                    |j, sum| (1.0 - sum * first[i] * second[j]).max(0.0),
                );
            }
        }
        if self.power != 1.0 {
            for cost in row.iter_mut() {
                *cost = cost.powf(self.power);
            }
        }
        row
    }
}

/// Distances along the shorter arc of a circle, to a power: with [`exact`](crate::exact) it gives plan and prices there, where
/// [`Line::circle_cost`](crate::Line::circle_cost) gives the value alone in `O(n log n)`.
#[derive(Clone, Copy, Debug)]
pub struct CircleCost<'a> {
    first: &'a [f64],
    second: &'a [f64],
    period: f64,
    power: f64,
}

impl<'a> CircleCost<'a> {
    /// Positions on a circle of circumference `period`, from any turn of it.
    ///
    /// # Errors
    /// When a position is not finite, the period not positive or the power below 1.
    pub fn new(first: &'a [f64], second: &'a [f64], period: f64, power: f64) -> Result<Self, Error> {
        check_rows(first, 1, "coordinate")?;
        check_rows(second, 1, "coordinate")?;
        Error::check_positive("the period", period)?;
        Error::check_power(power)?;
        Ok(Self { first, second, period, power })
    }
}

impl Cost for CircleCost<'_> {
    fn sizes(&self) -> (usize, usize) {
        (self.first.len(), self.second.len())
    }

    fn row<'a>(&'a self, i: usize, buffer: &'a mut [f64]) -> &'a [f64] {
        let row = &mut buffer[..self.second.len()];
        for (cost, y) in row.iter_mut().zip(self.second) {
            let arc = (self.first[i] - y).rem_euclid(self.period);
            *cost = arc.min(self.period - arc).powf(self.power);
        }
        row
    }
}
