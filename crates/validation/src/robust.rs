//! Statistics that a minority cannot move far.

/// The middle value, or the mean of the two middle ones; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// How far each value lies from the median, in robust standard deviations (1.4826 × the median
/// absolute deviation, which is the standard deviation of a normal distribution).
///
/// `spread_min` keeps values that happen to agree from making a small difference look huge.
pub(crate) fn robust_z(values: &[f64], spread_min: f64) -> Vec<f64> {
    let centre = median(values);
    let deviations: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    let spread = (1.4826 * median(&deviations)).max(spread_min);
    values.iter().map(|value| if spread > 0.0 { (value - centre) / spread } else { 0.0 }).collect()
}
