use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tale_ledger::{AccountKey, Asset, LedgerError, balance, list_journals, verify};
use tale_primitives::{Amount, UtcDay};
use tale_treasury::{
    Class, Contribution, Epoch, EpochState, NewContributions, Ruleset, SealedInputs, TreasuryError,
    claims_tree, compute, find_epoch, gather_inputs, list_epochs, load_inputs, load_result, post_epoch,
    publish_epoch, record_contributions, record_result, seal_epoch, verify_proof,
};

use crate::{
    amount,
    network::{day, earn, generator, holder, network},
    owner,
};

/// Runs every step under ruleset 1, and says whether any of them changed something.
async fn settle(conn: &mut PgConnection, day: UtcDay) -> Result<(Epoch, bool), TreasuryError> {
    let inputs = gather_inputs(conn, day, 1).await?;
    let sealed = seal_epoch(conn, &inputs).await?;
    let result = compute(&inputs, &Ruleset::load(inputs.ruleset())?)?;
    let computed = record_result(conn, &result).await?;
    let posted = post_epoch(conn, day).await?;
    let published = publish_epoch(conn, day, None).await?;
    let changed = sealed.changed || computed.changed || posted.changed || published.changed;
    Ok((published.epoch, changed))
}

#[tokio::test]
async fn a_day_is_settled_from_contributions_to_a_proof_and_a_second_run_changes_nothing() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "round 1", day(1), &[(0, 50), (1, -20), (2, 30), (3, -5)]).await;
    earn(&mut conn, "round 2", day(1), &[(2, 10), (4, 30)]).await;
    let (epoch, changed) = settle(&mut conn, day(1)).await.unwrap();
    assert!(changed);
    assert_eq!(epoch.state, EpochState::Published);
    assert_eq!((epoch.paid, epoch.leaf_count), (epoch.pool, Some(3)));

    let result = load_result(&mut conn, day(1)).await.unwrap().unwrap();
    let points: Vec<i64> = result.rewards.iter().map(|reward| reward.shares.training.points).collect();
    assert_eq!(points.iter().sum::<i64>(), 95);
    for reward in &result.rewards {
        assert_eq!(balance(&mut conn, &holder(reward.owner)).await.unwrap().amount(), reward.net);
    }
    let tree = claims_tree(&mut conn, day(1)).await.unwrap();
    assert_eq!(Some(tree.root()), epoch.root);
    assert!(tree.leaves().is_sorted_by_key(|leaf| leaf.account));
    for (place, leaf) in tree.leaves().iter().enumerate() {
        assert!(verify_proof(&tree.root(), leaf, &tree.proof(place).unwrap()));
    }

    let (again, changed) = settle(&mut conn, day(1)).await.unwrap();
    assert!(!changed);
    assert_eq!(again, epoch);
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 2, "the pool's funding and the day's rewards");
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

#[tokio::test]
async fn roots_are_cumulative_over_days_and_a_day_without_earnings_carries_its_pool() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "a", day(1), &[(1, 1)]).await;
    let (first, _) = settle(&mut conn, day(1)).await.unwrap();
    let (idle, _) = settle(&mut conn, day(2)).await.unwrap();
    assert_eq!((idle.paid, idle.carried), (Some(Amount::ZERO), idle.pool));
    assert_eq!(idle.root, first.root, "nobody earned anything more");
    earn(&mut conn, "b", day(4), &[(1, 1), (2, 1)]).await;
    let (last, _) = settle(&mut conn, day(4)).await.unwrap();

    let pool = first.pool.unwrap();
    let tree = claims_tree(&mut conn, day(4)).await.unwrap();
    let cumulative = |wanted| tree.leaves().iter().find(|leaf| leaf.account == wanted).unwrap().cumulative;
    let half = cumulative(owner(2));
    assert_eq!(cumulative(owner(1)), pool.checked_add(half).unwrap());
    assert_eq!(last.leaf_count, Some(2));
    assert_eq!(
        Some(claims_tree(&mut conn, day(1)).await.unwrap().root()),
        first.root,
        "old trees can be rebuilt"
    );
    let carried = "pool:carry-over:xTALE".parse().unwrap();
    assert_eq!(balance(&mut conn, &carried).await.unwrap().amount(), pool);
    let left = balance(&mut conn, &"pool:generator:xTALE".parse().unwrap()).await.unwrap().amount();
    let emitted = pool.checked_mul(3).unwrap();
    assert_eq!(left.checked_add(emitted).unwrap(), amount("116800000000000000000000000"));
    assert_eq!(list_epochs(&mut conn).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_epoch_in_which_nobody_ever_earned_is_published_without_a_root() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "bad round", day(1), &[(1, -9)]).await;
    let (epoch, _) = settle(&mut conn, day(1)).await.unwrap();
    assert_eq!((epoch.root, epoch.leaf_count), (None, Some(0)));
    assert!(matches!(claims_tree(&mut conn, day(1)).await, Err(TreasuryError::NoClaims(_))));
    assert!(!settle(&mut conn, day(1)).await.unwrap().1);
}

#[tokio::test]
async fn contributions_are_recorded_once_and_late_ones_are_counted_by_the_next_epoch() {
    let (_database, mut conn) = network().await;
    let round = NewContributions {
        source: "round 1".to_owned(),
        day: day(1),
        class: Class::Training,
        points: vec![(generator(2), 5), (generator(1), 3)],
    };
    assert!(!record_contributions(&mut conn, &round).await.unwrap().already_recorded);
    let mut reordered = round.clone();
    reordered.points.reverse();
    assert!(record_contributions(&mut conn, &reordered).await.unwrap().already_recorded);
    let other = NewContributions { points: vec![(generator(2), 6)], ..round.clone() };
    let refused = record_contributions(&mut conn, &other).await;
    assert!(matches!(refused, Err(TreasuryError::ContributionsDiffer { .. })), "{refused:?}");
    let twice =
        NewContributions { source: "t".to_owned(), points: vec![(generator(1), 1); 2], ..round.clone() };
    let refused = record_contributions(&mut conn, &twice).await;
    assert!(matches!(refused, Err(TreasuryError::GeneratorTwice(_))), "{refused:?}");

    let (first, _) = settle(&mut conn, day(1)).await.unwrap();
    let counted = record_contributions(&mut conn, &round).await.unwrap();
    assert_eq!((counted.already_recorded, counted.settled_in), (true, Some(day(1))));

    earn(&mut conn, "late round", day(1), &[(3, 4)]).await;
    assert!(!settle(&mut conn, day(1)).await.unwrap().1, "a sealed day keeps its inputs");
    assert_eq!(find_epoch(&mut conn, day(1)).await.unwrap(), Some(first));
    settle(&mut conn, day(2)).await.unwrap();
    let inputs = load_inputs(&mut conn, day(2)).await.unwrap().unwrap();
    assert_eq!(inputs.sources(), ["late round"]);
    let text = serde_json::to_string(&inputs).unwrap();
    assert_eq!(
        serde_json::from_str::<SealedInputs>(&text).unwrap(),
        inputs,
        "sources travel with the inputs"
    );
    assert_eq!(
        inputs.contributions(),
        [Contribution {
            generator: generator(3),
            class: Class::Training,
            origin: day(2),
            owner: owner(3),
            points: 4
        }]
    );
}

#[tokio::test]
async fn other_inputs_and_other_results_after_sealing_are_errors() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "round", day(1), &[(1, 1)]).await;
    let inputs = gather_inputs(&mut conn, day(1), 1).await.unwrap();
    seal_epoch(&mut conn, &inputs).await.unwrap();
    let contribution = Contribution { points: 2, ..inputs.contributions()[0] };
    let other = SealedInputs::new(day(1), 1, vec![contribution]).unwrap();
    let refused = seal_epoch(&mut conn, &other).await;
    assert!(matches!(refused, Err(TreasuryError::InputsDiffer { .. })), "{refused:?}");

    let ruleset = Ruleset::load(1).unwrap();
    let of_other = compute(&other, &ruleset).unwrap();
    let refused = record_result(&mut conn, &of_other).await;
    assert!(matches!(refused, Err(TreasuryError::InputsDiffer { .. })), "{refused:?}");
    let result = compute(&inputs, &ruleset).unwrap();
    record_result(&mut conn, &result).await.unwrap();
    let mut wrong = result.clone();
    wrong.rewards[0].shares.training.points = 7;
    let refused = record_result(&mut conn, &wrong).await;
    assert!(matches!(refused, Err(TreasuryError::ResultDiffers { .. })), "{refused:?}");
    assert!(!record_result(&mut conn, &result).await.unwrap().changed);
}

#[tokio::test]
async fn no_step_can_be_skipped_and_days_are_settled_in_their_order() {
    let (_database, mut conn) = network().await;
    assert!(matches!(post_epoch(&mut conn, day(3)).await, Err(TreasuryError::NotSealed(_))));
    let inputs = |day| SealedInputs::new(day, 1, vec![]).unwrap();
    seal_epoch(&mut conn, &inputs(day(3))).await.unwrap();
    let early = seal_epoch(&mut conn, &inputs(day(2))).await;
    assert!(matches!(early, Err(TreasuryError::LaterEpochSealed { .. })), "{early:?}");
    let skipped = post_epoch(&mut conn, day(3)).await;
    assert!(
        matches!(skipped, Err(TreasuryError::WrongState { state: EpochState::Sealed, .. })),
        "{skipped:?}"
    );
    let skipped = publish_epoch(&mut conn, day(3), None).await;
    assert!(matches!(skipped, Err(TreasuryError::WrongState { .. })), "{skipped:?}");

    let overtaking = settle(&mut conn, day(4)).await;
    assert!(
        matches!(&overtaking, Err(TreasuryError::EarlierEpochPending { earlier, .. }) if *earlier == day(3)),
        "{overtaking:?}"
    );
    settle(&mut conn, day(3)).await.unwrap();
    assert!(settle(&mut conn, day(4)).await.unwrap().1, "it goes on where it had stopped");
}

#[tokio::test]
async fn a_settlement_cut_off_after_any_step_is_taken_up_there() {
    for steps in 0..4 {
        let (_database, mut conn) = network().await;
        earn(&mut conn, "round", day(1), &[(1, 1), (2, 2)]).await;
        let inputs = gather_inputs(&mut conn, day(1), 1).await.unwrap();
        // The last of these steps is rolled back, as when its process dies before the commit.
        for step in 0..=steps {
            let mut transaction = conn.begin().await.unwrap();
            match step {
                0 => drop(seal_epoch(&mut transaction, &inputs).await.unwrap()),
                1 => {
                    let result = compute(&inputs, &Ruleset::load(1).unwrap()).unwrap();
                    drop(record_result(&mut transaction, &result).await.unwrap());
                }
                2 => drop(post_epoch(&mut transaction, day(1)).await.unwrap()),
                _ => drop(publish_epoch(&mut transaction, day(1), None).await.unwrap()),
            }
            if step == steps {
                transaction.rollback().await.unwrap();
            } else {
                transaction.commit().await.unwrap();
            }
        }
        let (epoch, changed) = settle(&mut conn, day(1)).await.unwrap();
        assert!(changed);
        assert_eq!(
            epoch.root.unwrap().to_string(),
            "0x4ac612b852ab81bf6816fc59db6dafea7a2c5c7b4542a8c2696f98d87ac1ec05"
        );
        assert_eq!(list_journals(&mut conn).await.unwrap().len(), 2);
        assert!(verify(&mut conn).await.unwrap().is_consistent());
    }
}

#[tokio::test]
async fn two_settlements_of_one_day_at_once_make_one_journal() {
    let (database, mut conn) = network().await;
    earn(&mut conn, "round", day(1), &[(1, 1), (2, 2)]).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let pool = database.pool().clone();
        tasks.push(tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            settle(&mut conn, day(1)).await.unwrap()
        }));
    }
    let mut epochs = Vec::new();
    for task in tasks {
        epochs.push(task.await.unwrap().0);
    }
    assert!(epochs.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(list_journals(&mut conn).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_empty_pool_stops_the_emission() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "a", day(1), &[(1, 1)]).await;
    settle(&mut conn, day(1)).await.unwrap();
    let asset: Asset = "xTALE".parse().unwrap();
    let pool: AccountKey = "pool:generator:xTALE".parse().unwrap();
    let left = balance(&mut conn, &pool).await.unwrap().amount();
    let emptied = tale_ledger::NewJournal {
        key: "empty it".to_owned(),
        epoch: None,
        description: "a test".to_owned(),
        entries: vec![
            tale_ledger::Entry::debit(pool, left),
            tale_ledger::Entry::credit(AccountKey::holder(owner(9), &asset), left),
        ],
    };
    tale_ledger::post_journal(&mut conn, &emptied).await.unwrap();
    let refused = settle(&mut conn, day(2)).await;
    assert!(matches!(refused, Err(TreasuryError::Ledger(LedgerError::Overdrawn { .. }))), "{refused:?}");
    assert_eq!(find_epoch(&mut conn, day(2)).await.unwrap().unwrap().state, EpochState::Computed);
}

async fn refused_by(conn: &mut PgConnection, sql: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await.expect_err(sql);
    error.as_database_error().and_then(|e| e.constraint()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_database_refuses_to_rewrite_an_epoch() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "a", day(1), &[(1, 1)]).await;
    settle(&mut conn, day(1)).await.unwrap();
    seal_epoch(&mut conn, &SealedInputs::new(day(2), 1, vec![]).unwrap()).await.unwrap();
    for (sql, law) in [
        ("update treasury.epoch set state = 'computed' where day = '2026-03-01'", "epoch_moves_one_step"),
        ("update treasury.epoch set state = 'posted' where day = '2026-03-02'", "epoch_moves_one_step"),
        ("update treasury.epoch set state = 'computed' where day = '2026-03-02'", "epoch_computed_columns"),
        (
            "update treasury.epoch set state = 'computed', ruleset = 9 where day = '2026-03-02'",
            "epoch_steps_are_final",
        ),
        ("delete from treasury.epoch", "treasury_immutable"),
        ("update treasury.reward set amount = 1", "treasury_immutable"),
        ("delete from treasury.sealed_input", "treasury_immutable"),
        ("truncate treasury.contribution", "treasury_immutable"),
        ("update treasury.contribution_batch set origin_day = '2026-02-01'", "treasury_immutable"),
        (
            "insert into treasury.reward (day, owner, points, training_amount, amount)
            values ('2026-03-02', '\\x00', 1, 1, 1)",
            "reward_owner_is_address",
        ),
    ] {
        assert_eq!(refused_by(&mut conn, sql).await, law, "{sql}");
    }
}

#[tokio::test]
async fn rewards_slipped_in_behind_the_treasury_are_found_before_they_are_promised() {
    let (_database, mut conn) = network().await;
    earn(&mut conn, "a", day(1), &[(1, 1)]).await;
    settle(&mut conn, day(1)).await.unwrap();
    let slipped = "insert into treasury.reward (day, owner, points, training_amount, amount)
        values ('2026-03-01', decode(repeat('ab', 20), 'hex'), 5, 1000, 1000)";
    sqlx::raw_sql(slipped).execute(&mut conn).await.unwrap();
    assert!(matches!(load_result(&mut conn, day(1)).await, Err(TreasuryError::CorruptResult { .. })));
    assert!(matches!(claims_tree(&mut conn, day(1)).await, Err(TreasuryError::RootDiffers { .. })));
    let refused = settle(&mut conn, day(2)).await;
    assert!(matches!(refused, Err(TreasuryError::ClaimsDiffer { .. })), "{refused:?}");
}
