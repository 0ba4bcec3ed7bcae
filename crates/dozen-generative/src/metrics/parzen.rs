//! The log-probability of rows under Gaussians at samples, as the first paper on adversarial networks gave it.

use dozen_data::Matrix;

use super::distances::for_each_row;

/// Gaussians at samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parzen {
    /// The mean log-density of rows, in nats.
    pub log_prob: f64,
    /// Of that mean over rows.
    pub standard_error: f64,
    /// The Gaussians' deviation, which every other row chose.
    pub deviation: f64,
}

/// `ln 1/n sum_i N(x; s_i, deviation^2)` of the even rows of data, with the deviation that is best for the odd ones (Goodfellow et al. 2014, section 5). In
/// many columns it says little of how good samples are (Theis et al. 2016).
///
/// # Panics
/// When widths differ, or there are not two rows of data and a sample.
pub fn parzen_log_prob(real: &Matrix, samples: &Matrix) -> Parzen {
    assert!(real.rows() > 1 && samples.rows() > 0, "rows to choose by, to measure, and samples");
    let squared = for_each_row(real, samples, |_, distances| distances.to_vec());
    let columns = real.columns() as f64;
    let log_prob = |distances: &[f64], deviation: f64| {
        let exponent = |squared: &f64| -squared / (2.0 * deviation * deviation);
        let most = distances.iter().map(exponent).fold(f64::MIN, f64::max);
        let sum: f64 = distances.iter().map(|squared| (exponent(squared) - most).exp()).sum();
        most + (sum / distances.len() as f64).ln()
            - columns * (deviation.ln() + 0.5 * std::f64::consts::TAU.ln())
    };
    let part = |odd: usize, deviation: f64| -> Vec<f64> {
        squared.iter().skip(odd).step_by(2).map(|distances| log_prob(distances, deviation)).collect()
    };
    let total = |deviation: f64| part(1, deviation).iter().sum::<f64>();
    let grid = (0..60).map(|step| 0.01 * 10.0_f64.powf(f64::from(step) / 20.0));
    let deviation = grid.max_by(|a, b| f64::total_cmp(&total(*a), &total(*b))).unwrap_or(1.0);
    let values = part(0, deviation);
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    Parzen { log_prob: mean, standard_error: (variance / count).sqrt(), deviation }
}
