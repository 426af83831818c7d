//! A report as the demo makes it, for tests.

use super::{
    DatasetLine, DemoReport, ParticipantLine, RewardLine, RoundLine, RunGraph, SettlementLine, StepNode,
};

/// Twelve participants, five rounds, one who poisons and one who free-rides.
pub fn report() -> DemoReport {
    let participants: Vec<ParticipantLine> = (1..=12)
        .map(|number| ParticipantLine {
            name: name(number),
            role: match number {
                4 => "poisons",
                9 => "free-rides",
                _ => "honest",
            }
            .to_owned(),
            rows: 400 + 37 * number,
        })
        .collect();
    let curve = [
        (1.083, 0.612, 0.604),
        (0.789, 0.716, 0.709),
        (0.661, 0.764, 0.752),
        (0.594, 0.79, 0.778),
        (0.552, 0.806, 0.799),
    ];
    let rounds = (1..=5).zip(curve).map(|(number, measured)| round(number, measured)).collect();
    let honest: Vec<u64> = (1..=12).filter(|number| *number != 4 && *number != 9).collect();
    DemoReport {
        seed: 1,
        variant: "with PoV".to_owned(),
        command: "tale demo --data-dir ./taleworks --seed 1".to_owned(),
        seconds: 61.83,
        dataset: DatasetLine {
            name: "fashion".to_owned(),
            rows: 10_000,
            shape: "28×28×1".to_owned(),
            classes: 10,
        },
        rounds,
        participants,
        rewards: honest.into_iter().map(reward).collect(),
        settlement: SettlementLine {
            epoch: "2026-03-14".to_owned(),
            pool: "1000000000000000000000".to_owned(),
            paid: "1000000000000000000000".to_owned(),
            carried: "0".to_owned(),
            accounts: 10,
            root: Some("0xd4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77".to_owned()),
            rerun_changed: false,
            asset: "xTALE".to_owned(),
            decimals: 18,
        },
        graphs: vec![training(), training_round()],
    }
}

fn name(number: u64) -> String {
    format!("participant-{number:02}")
}

fn round(number: u32, (heldout_loss, heldout_accuracy, test_accuracy): (f64, f64, f64)) -> RoundLine {
    let strength = 9.0 - f64::from(number);
    RoundLine {
        round: number,
        participants: 12,
        accepted: (1..=12).filter(|one| *one != 4 && *one != 9).map(name).collect(),
        rejected: vec![
            (
                name(4),
                format!(
                    "makes the aggregate worse on held-out rows (z {:.1}; {:.1} spreads below the others, {:.1} over rounds)",
                    -strength * 1.7,
                    strength * 2.3,
                    strength * f64::from(number)
                ),
            ),
            (name(9), "copy of the earlier update of participant-02 (cosine 0.9987)".to_owned()),
        ],
        heldout_loss,
        heldout_accuracy,
        test_accuracy,
    }
}

fn reward(number: u64) -> RewardLine {
    RewardLine {
        names: vec![name(number)],
        owner: format!("0x{:040x}", u128::from(number) * 0x3f5c_e41b_7a92_d01d_8c5e_6611_9b27u128),
        points: 183_204_771 - 9_412_337 * i64::try_from(number).unwrap_or_default(),
        amount: format!(
            "{}",
            83_333_333_333_333_333_333u128 + 3_871_202_556_104_901_223 * u128::from(number)
        ),
    }
}

/// A step that succeeded.
pub fn step(name: &str, kind: &str, tasks: u64, seconds: f64, dependents: &[usize]) -> StepNode {
    StepNode {
        name: name.to_owned(),
        kind: kind.to_owned(),
        state: "succeeded".to_owned(),
        tasks,
        seconds: Some(seconds),
        dependents: dependents.to_vec(),
    }
}

fn training() -> RunGraph {
    RunGraph {
        title: "federated-training".to_owned(),
        steps: vec![
            step("enroll", "network.enroll", 1, 0.021, &[1, 3]),
            step("partition", "learning.partition", 1, 0.412, &[3]),
            step("initialise", "learning.initialise", 1, 0.038, &[3]),
            step("rounds", "pipeline", 5, 54.21, &[4]),
            step("report", "learning.report", 1, 1.91, &[]),
        ],
    }
}

fn training_round() -> RunGraph {
    RunGraph {
        title: "training-round".to_owned(),
        steps: vec![
            step("select", "learning.select", 1, 0.009, &[1]),
            step("train", "learning.train", 12, 6.41, &[2, 3, 4, 5, 7]),
            step("validate", "pov.validate", 3, 3.02, &[3]),
            step("decide", "pov.decide", 1, 0.031, &[4, 5, 7]),
            step("approve", "pov.approve", 1, 0.008, &[5]),
            step("aggregate", "learning.aggregate", 1, 0.22, &[6, 7]),
            step("evaluate", "learning.evaluate", 1, 0.87, &[7]),
            step("publish", "learning.publish", 1, 0.019, &[]),
        ],
    }
}
