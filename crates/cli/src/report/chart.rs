//! One curve over the rounds, as inline SVG.

use super::markup::{each, escape};

/// The drawing, in its own units; the page scales it.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 312.0;
/// The plot's edges. What is left of it holds the ticks' labels, what is below it the rounds.
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 8.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 34.0;
/// Room on both sides of the first and last point, so that their labels stay clear of the axis.
const INSET: f64 = 24.0;
/// From a point to the baseline of its label, above and below.
const LABEL_RISE: f64 = 11.0;
const LABEL_DROP: f64 = 20.0;
/// How far a label may step aside from a steep line.
const LABEL_ASIDE: f64 = 14.0;
/// With more points than this only the first, the last and the extremes are labelled.
const LABELS_MAX: usize = 7;
/// With more points than this they are drawn as a line alone.
const DOTS_MAX: usize = 40;

/// What to draw.
pub struct Chart<'a> {
    /// A name that is unique on the page.
    pub id: &'a str,
    /// What the curve shows.
    pub title: &'a str,
    /// The rounds and their values; a value that is not finite leaves a gap.
    pub points: &'a [(u32, f64)],
    /// Values that the axis never passes.
    pub bounds: (f64, f64),
    /// How a value is written beside its point.
    pub label: fn(f64) -> String,
}

impl Chart<'_> {
    /// The chart as an `<svg>`, or a sentence where there is nothing to draw.
    pub fn render(&self) -> String {
        let values: Vec<f64> =
            self.points.iter().map(|point| point.1).filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            return r#"<p class="empty">There is nothing to draw.</p>"#.to_owned();
        }
        let axis = Axis::over(&values, self.bounds);
        let places: Vec<Option<(f64, f64)>> =
            (0..self.points.len()).map(|index| self.place(index, &axis)).collect();
        format!(
            r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{id}-title {id}-description">
<title id="{id}-title">{title}</title><desc id="{id}-description">{description}</desc>
{grid}{rounds}{line}{dots}{labels}</svg>"#,
            id = self.id,
            title = escape(self.title),
            description = escape(&self.description()),
            grid = grid(&axis),
            rounds = self.rounds(),
            line = line(&places),
            dots = self.dots(&places),
            labels = self.labels(&places, &values),
        )
    }

    fn description(&self) -> String {
        let said: Vec<String> = self
            .points
            .iter()
            .map(|&(round, value)| format!("round {round}: {}", (self.label)(value)))
            .collect();
        format!("{}.", said.join("; "))
    }

    fn x(&self, index: usize) -> f64 {
        match self.points.len() {
            0 | 1 => (LEFT + RIGHT) / 2.0,
            several => LEFT + INSET + (RIGHT - LEFT - 2.0 * INSET) * index as f64 / (several - 1) as f64,
        }
    }

    fn place(&self, index: usize, axis: &Axis) -> Option<(f64, f64)> {
        let value = self.points[index].1;
        value.is_finite().then(|| (self.x(index), axis.y(value)))
    }

    fn rounds(&self) -> String {
        let every = self.points.len().div_ceil(10).max(1);
        let labels = each(self.points.iter().enumerate().step_by(every), |(index, (round, _))| {
            format!(
                r#"<text class="tick middle" x="{:.1}" y="{:.1}">{round}</text>"#,
                self.x(index),
                BOTTOM + 18.0
            )
        });
        format!(
            r#"<path class="axis" d="M{LEFT} {BOTTOM}H{RIGHT}"/>{labels}<text class="tick end" x="{LEFT}" y="{:.1}" dx="-8">round</text>"#,
            BOTTOM + 18.0
        )
    }

    fn dots(&self, places: &[Option<(f64, f64)>]) -> String {
        if places.len() > DOTS_MAX {
            return String::new();
        }
        let last = places.len() - 1;
        each(places.iter().zip(self.points).enumerate(), |(index, (place, (round, value)))| {
            let Some((x, y)) = place else { return String::new() };
            let class = if index == last { "dot last" } else { "dot" };
            format!(
                r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4"><title>round {round}: {}</title></circle>"#,
                escape(&(self.label)(*value))
            )
        })
    }

    fn labels(&self, places: &[Option<(f64, f64)>], values: &[f64]) -> String {
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let last = places.len() - 1;
        let extreme = |value: f64| value == lowest || value == highest;
        // Equal extremes are labelled once; many of them would be a wall of one number.
        let (mut seen_low, mut seen_high) = (false, false);
        each(places.iter().enumerate(), |(index, place)| {
            let Some((x, y)) = *place else { return String::new() };
            let value = self.points[index].1;
            let first_extreme = extreme(value)
                && ((value == lowest && !std::mem::replace(&mut seen_low, true))
                    || (value == highest && !std::mem::replace(&mut seen_high, true)));
            let ends = index == 0 || index == last;
            let beside_an_end = index == 1 || index + 1 == last;
            if places.len() > LABELS_MAX && !ends && (!first_extreme || beside_an_end) {
                return String::new();
            }
            let above = above(places, index);
            let x = x + aside(places, index, above);
            let y = if above { y - LABEL_RISE } else { y + LABEL_DROP };
            let class = if index == last { "value last" } else { "value" };
            format!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}</text>"#, escape(&(self.label)(value)))
        })
    }
}

/// Whether a point's label stands above it: on the side that the line bends away from, and never on the axis.
fn above(places: &[Option<(f64, f64)>], index: usize) -> bool {
    let Some((_, own)) = place_at(places, Some(index)) else { return true };
    let around: Vec<f64> = [index.checked_sub(1), index.checked_add(1)]
        .into_iter()
        .filter_map(|beside| place_at(places, beside))
        .map(|(_, y)| y)
        .collect();
    // Down the page is a larger y. A straight line has its labels above.
    around.is_empty()
        || own + LABEL_DROP + 6.0 > BOTTOM
        || own <= around.iter().sum::<f64>() / around.len() as f64 + 0.5
}

/// How far a label steps sideways from the line that leaves its point on the label's side; the steeper, the farther.
fn aside(places: &[Option<(f64, f64)>], index: usize, above: bool) -> f64 {
    let Some((x, y)) = place_at(places, Some(index)) else { return 0.0 };
    let rise = |beside: Option<usize>| {
        let (beside_x, beside_y) = place_at(places, beside).unwrap_or((x - 1.0, y));
        let towards_label = if above { y - beside_y } else { beside_y - y };
        (towards_label / (beside_x - x).abs()).max(0.0) * LABEL_ASIDE
    };
    (rise(index.checked_sub(1)) - rise(index.checked_add(1))).clamp(-LABEL_ASIDE, LABEL_ASIDE)
}

fn place_at(places: &[Option<(f64, f64)>], index: Option<usize>) -> Option<(f64, f64)> {
    places.get(index?).copied().flatten()
}

fn grid(axis: &Axis) -> String {
    each(&axis.ticks, |&tick| {
        let y = axis.y(tick);
        format!(
            r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/><text class="tick end" x="{LEFT}" y="{:.1}" dx="-8">{tick:.*}</text>"#,
            y + 4.0,
            axis.decimals
        )
    })
}

fn line(places: &[Option<(f64, f64)>]) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for place in places {
        if let Some((x, y)) = place {
            path.push_str(&format!("{}{x:.1} {y:.1}", if pen_down { 'L' } else { 'M' }));
        }
        pen_down = place.is_some();
    }
    format!(r#"<path class="line" d="{path}"/>"#)
}

/// A value axis with round numbers on it.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    decimals: usize,
}

impl Axis {
    /// An axis that holds these values and room for their labels, and stays in the bounds.
    fn over(values: &[f64], bounds: (f64, f64)) -> Self {
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = highest - lowest;
        // Equal values get an axis around them, not one of no height.
        let margin = if spread > lowest.abs() * 1e-9 { spread * 0.14 } else { (lowest.abs() * 0.1).max(0.5) };
        let low = (lowest - margin * 1.2).max(bounds.0.min(lowest));
        let high = (highest + margin).min(bounds.1.max(highest));
        let step = round_step((high - low) / 4.0);
        let ticks: Vec<f64> = (0..=8)
            .map(|index| ((low / step).ceil() + f64::from(index)) * step)
            .take_while(|tick| *tick <= high + step * 1e-9)
            .collect();
        let decimals = (0..12).find(|&digits| is_whole(step * 10f64.powi(digits))).unwrap_or(12);
        Self { low, high, ticks, decimals: usize::try_from(decimals).unwrap_or(0) }
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value - self.low) / (self.high - self.low)
    }
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is no less than this.
fn round_step(at_least: f64) -> f64 {
    let power = 10f64.powf(at_least.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= at_least)
        .unwrap_or(power * 10.0)
}

fn is_whole(number: f64) -> bool {
    (number - number.round()).abs() < 1e-6
}
