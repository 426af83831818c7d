//! What was earned, and how the epoch was closed.

use super::figures::{amount_markup, counted, decimal_amount, fraction_width, percent, signed};
use super::markup::{each, escape, mark};
use super::{DemoReport, RewardLine, SettlementLine};

/// Who earned how much.
pub fn rewards(report: &DemoReport) -> String {
    if report.rewards.is_empty() {
        return r#"<p class="empty">Nobody earned anything.</p>"#.to_owned();
    }
    let settlement = &report.settlement;
    let amounts = report.rewards.iter().map(|line| line.amount.as_str()).chain([settlement.paid.as_str()]);
    let largest = report.rewards.iter().filter_map(|line| for_the_eye(&line.amount)).fold(0.0, f64::max);
    let column = Column {
        decimals: settlement.decimals,
        width: fraction_width(amounts, settlement.decimals),
        largest,
    };
    let points: i64 = report.rewards.iter().fold(0, |sum, line| sum.saturating_add(line.points));
    format!(
        r#"<table class="records rewards" role="table" aria-labelledby="rewards"><thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Participant</th><th scope="col" role="columnheader">Owner</th><th scope="col" role="columnheader" class="number">Points</th><th scope="col" role="columnheader" class="number">Share</th><th scope="col" role="columnheader" class="number">{asset}, and base units</th></tr></thead>
<tbody role="rowgroup">
{lines}</tbody>
<tfoot role="rowgroup"><tr role="row"><th scope="row" role="rowheader">Paid in all</th><td role="cell"></td><td role="cell" data-label="Points" class="number">{points}</td><td role="cell"></td><td role="cell" data-label="{asset}" class="number">{paid}</td></tr></tfoot></table>
"#,
        asset = escape(&settlement.asset),
        lines = each(&report.rewards, |line| reward(line, settlement, &column)),
        points = signed(points),
        paid = column.amount(&settlement.paid),
    )
}

/// How amounts are set in their column.
struct Column {
    decimals: u8,
    width: usize,
    largest: f64,
}

impl Column {
    fn amount(&self, base_units: &str) -> String {
        format!(
            r#"<span class="amount">{}</span><code class="units">{}</code>"#,
            amount_markup(base_units, self.decimals, self.width),
            escape(base_units)
        )
    }
}

fn reward(line: &RewardLine, settlement: &SettlementLine, column: &Column) -> String {
    format!(
        r#"<tr role="row"><th scope="row" role="rowheader">{names}</th><td role="cell" data-label="Owner"><code>{owner}</code></td><td role="cell" data-label="Points" class="number">{points}</td><td role="cell" data-label="Share" class="number">{share}</td><td role="cell" data-label="{asset}" class="number">{amount}</td></tr>
"#,
        names = if line.names.is_empty() {
            "–".to_owned()
        } else {
            each(&line.names, |name| format!("<span>{}</span> ", escape(name)))
        },
        owner = escape(&line.owner),
        points = signed(line.points),
        share = share(&line.amount, &settlement.paid, column.largest),
        asset = escape(&settlement.asset),
        amount = column.amount(&line.amount),
    )
}

/// A share for the eye, and a bar that compares it with the largest; the exact amount stands beside it.
fn share(amount: &str, paid: &str, largest: f64) -> String {
    match (for_the_eye(amount), for_the_eye(paid)) {
        (Some(part), Some(whole)) if whole > 0.0 => format!(
            r#"{}<span class="bar" aria-hidden="true"><span style="width:{:.1}%"></span></span>"#,
            percent(part / whole),
            if largest > 0.0 { part / largest * 100.0 } else { 0.0 }
        ),
        _ => "–".to_owned(),
    }
}

/// About how much an amount is: enough to draw it, never to compute with it.
fn for_the_eye(base_units: &str) -> Option<f64> {
    base_units.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// The epoch's books, in a list.
pub fn settlement(settlement: &SettlementLine) -> String {
    let amount = |base_units: &str| {
        format!(
            r#"{} {} <code class="units">{}</code>"#,
            escape(&decimal_amount(base_units, settlement.decimals)),
            escape(&settlement.asset),
            escape(base_units)
        )
    };
    let rerun = if settlement.rerun_changed {
        format!("{} <strong>changed something</strong>, which it must not", mark("no", "Wrong:"))
    } else {
        format!("{} changed nothing", mark("yes", "Right:"))
    };
    let root = settlement.root.as_deref().map_or_else(
        || r#"<span class="faint">none: nobody was ever paid</span>"#.to_owned(),
        |root| format!("<code>{}</code>", escape(root)),
    );
    let entries = [
        ("Epoch", escape(&settlement.epoch)),
        ("Pool", amount(&settlement.pool)),
        ("Paid", amount(&settlement.paid)),
        ("Carried over", amount(&settlement.carried)),
        ("Tree", counted(settlement.accounts, "account", "accounts")),
        ("Merkle root", root),
        ("Settled again", rerun),
    ];
    format!(
        r#"<dl class="books">{}</dl>"#,
        each(entries, |(term, text)| format!("<div><dt>{term}</dt><dd>{text}</dd></div>\n"))
    )
}
