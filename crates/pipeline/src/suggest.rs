//! "Did you mean": the nearest of the names that would be right.

/// The help for `wrong`, which should have been one of `right`: the nearest name, or all of them where none is near.
pub(crate) fn help(wrong: &str, right: &[&str], plural: &str) -> String {
    const LISTED: usize = 50;
    if let Some(nearest) = nearest(wrong, right.iter().copied()) {
        return format!("did you mean {nearest}?");
    }
    match right.len() {
        0 => format!("there are no {plural} here"),
        count if count <= LISTED => format!("the {plural} here are {}", right.join(", ")),
        count => format!("there are {count} {plural} here, none with a name like it"),
    }
}

/// The name nearest to `wrong`, where one is near enough to be meant.
pub(crate) fn nearest<'n>(wrong: &str, right: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// No name is longer; a longer text is not a name with a typing error in it.
    const LENGTH_MAX: usize = 100;
    if wrong.len() > LENGTH_MAX {
        return None;
    }
    let allowed = match wrong.chars().count() {
        0..=3 => 1,
        4..=8 => 2,
        longer => longer / 3,
    };
    right
        .filter_map(|name| {
            // A word left out or added (`train` for `learning.train`) is near, whatever its length.
            let part = wrong.len() >= 3 && (name.ends_with(wrong) || name.starts_with(wrong));
            let comparable = part || name.len().abs_diff(wrong.len()) <= allowed * 4;
            let distance = comparable.then(|| distance(wrong, name))?;
            (distance <= allowed || part).then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

/// The optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut least = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(from != to));
            if i > 0 && j > 0 && a[i - 1] == *to && b[j - 1] == *from {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_name_and_nonsense_finds_none() {
        let names = ["learning.train", "learning.select", "sleep", "shell"];
        for (wrong, right) in [
            ("learning.trian", Some("learning.train")),
            ("slep", Some("sleep")),
            ("train", Some("learning.train")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names.iter().copied()), right, "{wrong}");
        }
    }
}
