//! Numbers as people read them. A space inside a figure is a no-break space.

use super::markup::escape;

/// What stands where there is no number.
const NOTHING: &str = "–";

/// Fraction digits of an amount that are always set in full ink; those after them step back.
const LEADING_DECIMALS: usize = 2;

/// An amount of base units in whole units, exactly: thousands grouped, no trailing zeros.
///
/// `decimal_amount("1234500000000000000000", 18)` is `1,234.5`. Text that is not a natural number is given back as it is.
pub fn decimal_amount(base_units: &str, decimals: u8) -> String {
    match Amount::parse(base_units, decimals) {
        Some(amount) if amount.fraction.is_empty() => amount.whole,
        Some(amount) => format!("{}.{}", amount.whole, amount.fraction),
        None => base_units.to_owned(),
    }
}

/// An amount for running text: two decimals, and an ellipsis where that is not all of it.
pub fn brief_amount(base_units: &str, decimals: u8) -> String {
    let Some(amount) = Amount::parse(base_units, decimals) else { return base_units.to_owned() };
    let shown = amount.fraction.get(..LEADING_DECIMALS).unwrap_or(&amount.fraction);
    // So small an amount would read as nothing.
    let vanishes = amount.whole == "0" && shown.bytes().all(|digit| digit == b'0');
    if amount.fraction.len() <= LEADING_DECIMALS || vanishes {
        return decimal_amount(base_units, decimals);
    }
    format!("{}.{shown}…", amount.whole)
}

/// An amount for a column: exact, whole units and leading decimals in full ink, aligned at the point.
///
/// `fraction_width` is how many characters the column leaves for the point and what follows it.
pub fn amount_markup(base_units: &str, decimals: u8, fraction_width: usize) -> String {
    let Some(amount) = Amount::parse(base_units, decimals) else { return escape(base_units) };
    let (lead, rest) = amount.fraction.split_at(LEADING_DECIMALS.min(amount.fraction.len()));
    let point = if lead.is_empty() { "" } else { "." };
    format!(
        r#"{}<span class="fraction" style="width:{fraction_width}ch">{point}{lead}<span class="faint">{rest}</span></span>"#,
        amount.whole
    )
}

/// How many characters the point and the decimals of the longest of these amounts take.
pub fn fraction_width<'a>(amounts: impl Iterator<Item = &'a str>, decimals: u8) -> usize {
    amounts
        .filter_map(|amount| Amount::parse(amount, decimals))
        .map(|amount| if amount.fraction.is_empty() { 0 } else { amount.fraction.len() + 1 })
        .max()
        .unwrap_or(0)
}

/// An amount, cut at its point.
struct Amount {
    whole: String,
    fraction: String,
}

impl Amount {
    fn parse(base_units: &str, decimals: u8) -> Option<Self> {
        if base_units.is_empty() || !base_units.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let decimals = usize::from(decimals);
        let padded = format!("{:0>width$}", base_units, width = decimals + 1);
        let (whole, fraction) = padded.split_at(padded.len() - decimals);
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        Some(Self { whole: group(whole), fraction: fraction.trim_end_matches('0').to_owned() })
    }
}

/// Thousands set apart.
fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count: `12,000`.
pub fn count(number: u64) -> String {
    group(&number.to_string())
}

/// A signed whole number, with a real minus sign.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    format!("{sign}{}", group(&number.unsigned_abs().to_string()))
}

/// A count and its noun: `1 class`, `10 classes`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", count(number), if number == 1 { one } else { many })
}

/// A small number as a word, a larger one in digits.
pub fn in_words(number: u64) -> String {
    const WORDS: [&str; 11] =
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    usize::try_from(number)
        .ok()
        .and_then(|place| WORDS.get(place))
        .map_or_else(|| count(number), |&word| word.to_owned())
}

/// A fraction as a percentage: `82.4 %`.
pub fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.1}\u{a0}%", fraction * 100.0) } else { NOTHING.to_owned() }
}

/// The same without its sign, from a fraction in hundredths.
pub fn hundredths(number: f64) -> String {
    if number.is_finite() { format!("{number:.1}") } else { NOTHING.to_owned() }
}

/// A loss: three decimals, or three significant digits where that would say nothing.
pub fn loss(nats: f64) -> String {
    match nats {
        _ if !nats.is_finite() => NOTHING.to_owned(),
        _ if nats != 0.0 && !(0.001..1e6).contains(&nats.abs()) => format!("{nats:.2e}"),
        _ => format!("{nats:.3}"),
    }
}

/// A duration: `480 ms`, `3.4 s`, `1 min 12 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_owned();
    }
    let whole = seconds.round() as u64;
    match seconds {
        _ if seconds < 0.9995 => format!("{:.0}\u{a0}ms", seconds * 1000.0),
        _ if seconds < 59.95 => format!("{seconds:.1}\u{a0}s"),
        _ if whole < 3600 => format!("{}\u{a0}min {:02}\u{a0}s", whole / 60, whole % 60),
        _ => format!("{}\u{a0}h {:02}\u{a0}min", whole / 3600, whole % 3600 / 60),
    }
}
