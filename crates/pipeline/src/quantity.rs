//! Durations (`1h30m`) and percentages (`0.5%`).

/// The longest duration: a year.
const MILLISECONDS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// The milliseconds of a duration such as `500ms`, `10m` or `1h30m`: whole numbers, each unit at most once,
/// from the largest to the smallest. Nothing where the text is something else, or is more than a year.
pub fn milliseconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (_, factor) = units.by_ref().find(|(unit, _)| *unit == &rest[..letters])?;
        rest = &rest[letters..];
        total = total.checked_add(number.checked_mul(*factor)?)?;
    }
    (!text.is_empty() && total <= MILLISECONDS_MAX).then_some(total)
}

/// The parts per million of a percentage such as `25%` or `0.5%`: at most 100 %, at most four decimals.
pub(crate) fn parts_per_million(text: &str) -> Option<u32> {
    const PPM_OF_PERCENT: u32 = 10_000;
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
    let ppm = whole.checked_mul(PPM_OF_PERCENT)?.checked_add(decimals)?;
    (ppm <= 100 * PPM_OF_PERCENT).then_some(ppm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_to_the_millisecond() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("0s", Some(0)),
            ("", None),
            ("10", None),
            ("m", None),
            ("30m1h", None),
            ("1m1m", None),
            ("1.5h", None),
            ("-1s", None),
            ("1 h", None),
            ("367d", None),
            ("99999999999999999999s", None),
            ("1é", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn percentages_are_read_to_the_millionth() {
        for (text, expected) in [
            ("25%", Some(250_000)),
            ("0.5%", Some(5_000)),
            ("0.0001%", Some(1)),
            ("100%", Some(1_000_000)),
            ("100.1%", None),
            ("25", None),
            ("%", None),
            ("-1%", None),
            (".5%", None),
            ("1.%", None),
            ("99999999999%", None),
        ] {
            assert_eq!(parts_per_million(text), expected, "{text}");
        }
    }
}
