//! The demo's tables.

use serde_json::Value;

use super::results::{Results, role};
use crate::{output, report::decimal_amount};

/// One line about a round that has just been published.
pub fn round_line(round: usize, outputs: Option<&Value>) -> String {
    let Some(outputs) = outputs else { return format!("round {round}") };
    let count = |key: &str| outputs[key].as_array().map_or(0, Vec::len);
    let loss = outputs["heldout_loss"].as_f64().unwrap_or(f64::NAN);
    let accuracy = outputs["heldout_accuracy"].as_f64().unwrap_or(f64::NAN);
    let mut line = format!(
        "round {round}: {} accepted, {} rejected; held-out loss {loss:.4}, accuracy {:.1} %",
        count("accepted"),
        count("rejected"),
        accuracy * 100.0
    );
    for rejected in outputs["rejected"].as_array().into_iter().flatten() {
        let text = |key: &str| rejected[key].as_str().unwrap_or_default();
        line.push_str(&format!("\n  {} is out: {}", text("name"), text("reason")));
    }
    line
}

/// Everything that the demo prints at its end.
pub fn text(results: &Results) -> String {
    let mut text = String::new();
    let mut section = |title: &str, table: comfy_table::Table| {
        text.push_str(&format!("{title}\n{table}\n\n"));
    };
    section("Rounds", rounds(results));
    section("Rewards", rewards(results));
    section("Settlement", settlement(results));
    text.trim_end().to_owned()
}

fn rounds(results: &Results) -> comfy_table::Table {
    let mut table = output::table(&[
        "round",
        "participants",
        "accepted",
        "rejected, and why",
        "held-out loss",
        "test accuracy",
    ]);
    for (round, test_accuracy) in &results.rounds {
        let rejected: Vec<String> =
            round.rejected.iter().map(|update| format!("{}: {}", update.name, update.reason)).collect();
        table.add_row([
            round.round.to_string(),
            round.participants.to_string(),
            round.accepted.len().to_string(),
            rejected.join("\n"),
            format!("{:.4}", round.heldout_loss),
            format!("{:.2} %", test_accuracy * 100.0),
        ]);
    }
    table
}

fn rewards(results: &Results) -> comfy_table::Table {
    let mut table =
        output::table(&["participant", "behaviour", "examples", "owner", "points", &results.asset]);
    for (names, reward) in &results.rewards {
        let participant = results.participants.iter().find(|participant| names.contains(&participant.name));
        table.add_row([
            names.join(", "),
            participant.map_or("validates", |participant| role(&participant.behaviour)).to_owned(),
            participant.map_or(String::new(), |participant| participant.shard.rows.to_string()),
            reward.owner.to_string(),
            reward.shares.training.points.to_string(),
            decimal_amount(&reward.net.to_string(), results.decimals),
        ]);
    }
    table
}

fn settlement(results: &Results) -> comfy_table::Table {
    let settlement = &results.settlement;
    let amount = |amount: tale_primitives::Amount| {
        format!("{} {}", decimal_amount(&amount.to_string(), results.decimals), results.asset)
    };
    let mut table = output::table(&["", ""]);
    table.add_row(["epoch", &settlement.epoch.to_string()]);
    table.add_row(["pool", &amount(settlement.pool)]);
    table.add_row(["paid", &amount(settlement.paid)]);
    table.add_row(["carried over", &amount(settlement.carried)]);
    table.add_row(["accounts", &settlement.accounts.to_string()]);
    table.add_row([
        "Merkle root",
        settlement.root.as_deref().unwrap_or("none: nobody has earned anything yet"),
    ]);
    table.add_row([
        "settled again",
        if results.rerun_changed { "changed something" } else { "nothing changed" },
    ]);
    table
}
