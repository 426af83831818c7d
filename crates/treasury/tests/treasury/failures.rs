//! Failures that other payout systems had, and that this one must not have.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tale_ledger::{balance, list_journals, verify};
use tale_primitives::{Digest, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{
    Class, Epoch, EpochState, MerkleHash, Ruleset, TreasuryError, claims_tree, compute, find_epoch,
    gather_inputs, list_epochs, load_result, post_epoch, publish_epoch, read_claims_file, record_result,
    seal_epoch, settle_epoch,
};

use crate::network::{day, earn_in, holder, network};

const STEPS: [&str; 4] = ["seal", "compute", "post", "publish"];

async fn take(conn: &mut PgConnection, day: UtcDay, step: &str) -> Result<bool, TreasuryError> {
    Ok(match step {
        "seal" => {
            let inputs = gather_inputs(conn, day, Ruleset::CURRENT_VERSION).await?;
            seal_epoch(conn, &inputs).await?.changed
        }
        "compute" => {
            let inputs = tale_treasury::load_inputs(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
            record_result(conn, &compute(&inputs, &Ruleset::load(inputs.ruleset())?)?).await?.changed
        }
        "post" => post_epoch(conn, day).await?.changed,
        _ => publish_epoch(conn, day, None).await?.changed,
    })
}

/// Ends the server's side of a connection, as when its process or the machine dies.
async fn kill(database: &TestDatabase, mut victim: PgConnection) {
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut victim).await.unwrap();
    sqlx::query("select pg_terminate_backend($1, 5000)").bind(pid).execute(database.pool()).await.unwrap();
    assert!(victim.ping().await.is_err());
}

/// Double pay on retry: a bank paid £130 m twice, pools paid what they had recorded as an error.
#[tokio::test]
async fn failure_1_a_settlement_killed_at_any_boundary_and_run_five_times_more_pays_once() {
    let (database, mut conn) = network().await;
    for (number, (place, commits)) in
        (1..).zip((0..STEPS.len()).flat_map(|place| [(place, false), (place, true)]))
    {
        earn_in(&mut conn, Class::Training, &number.to_string(), day(number), &[(1, 1), (2, 2), (3, 9)])
            .await;
        let mut victim = database.connection().await;
        for step in &STEPS[..place] {
            assert!(take(&mut victim, day(number), step).await.unwrap());
        }
        sqlx::raw_sql("begin").execute(&mut victim).await.unwrap();
        assert!(take(&mut victim, day(number), STEPS[place]).await.unwrap());
        if commits {
            // done, and nobody was told
            sqlx::raw_sql("commit").execute(&mut victim).await.unwrap();
        }
        kill(&database, victim).await;

        let mut before = list_journals(&mut conn).await.unwrap().len();
        for run in 0..5 {
            let settled = settle_epoch(&mut conn, day(number)).await.unwrap();
            assert_eq!(settled.epoch.state, EpochState::Published);
            assert!(run == 0 || !settled.changed, "run {run} changed something");
            let journals = list_journals(&mut conn).await.unwrap();
            assert!(run == 0 || journals.len() == before, "run {run} posted again");
            before = journals.len();
            let key = format!("generator-rewards/xTALE/{}/0", day(number));
            assert_eq!(journals.iter().filter(|journal| journal.key == key).count(), 1);
        }
        let tree = claims_tree(&mut conn, day(number)).await.unwrap();
        for leaf in tree.leaves() {
            let held = balance(&mut conn, &holder(leaf.account)).await.unwrap().amount();
            assert_eq!(held, leaf.cumulative, "what is promised is what was paid, once");
        }
    }
    assert!(verify(&mut conn).await.unwrap().is_consistent());
}

/// Partial completion marked done: a scheduler marked epochs processed after four of five steps.
#[tokio::test]
async fn failure_2_a_step_that_fails_leaves_its_epoch_and_the_next_run_does_what_is_missing_alone() {
    let (_database, mut conn) = network().await;
    let faults = "create function refuse_step() returns trigger language plpgsql as $$
        begin
            if new.state = current_setting('test.refused', true) then raise exception 'the disk is full'; end if;
            return new;
        end $$;
        create trigger a_fault before insert or update on treasury.epoch
            for each row execute function refuse_step()";
    sqlx::raw_sql(faults).execute(&mut conn).await.unwrap();
    let states = ["sealed", "computed", "posted", "published"];
    for (number, refused) in (1..).zip(states) {
        earn_in(&mut conn, Class::Compute, refused, day(number), &[(1, 5), (2, 2)]).await;
        let set = |state: &str| AssertSqlSafe(format!("set test.refused = '{state}'"));
        sqlx::raw_sql(set(refused)).execute(&mut conn).await.unwrap();
        for _ in 0..2 {
            let failed = settle_epoch(&mut conn, day(number)).await;
            assert!(matches!(failed, Err(TreasuryError::Database(_))), "{failed:?}");
        }
        let left: Option<Epoch> = find_epoch(&mut conn, day(number)).await.unwrap();
        assert_eq!(
            left.as_ref().map_or("open", |epoch| epoch.state.as_str()),
            match refused {
                "sealed" => "open",
                "computed" => "sealed",
                "posted" => "computed",
                _ => "posted",
            }
        );
        sqlx::raw_sql(set("")).execute(&mut conn).await.unwrap();
        let done = settle_epoch(&mut conn, day(number)).await.unwrap().epoch;
        assert_eq!(done.state, EpochState::Published);
        if let Some(left) = left {
            assert_eq!((done.sealed_at, done.inputs_digest), (left.sealed_at, left.inputs_digest));
            assert!(left.computed_at.is_none() || left.computed_at == done.computed_at, "computed once");
            assert!(left.posted_at.is_none() || left.posted_at == done.posted_at, "posted once");
        }
    }

    // The file that pays is read back before it is released: one that was cut or changed is not that of the epoch.
    let tree = claims_tree(&mut conn, day(4)).await.unwrap();
    let file = serde_json::to_vec(&tree.dump()).unwrap();
    assert_eq!(read_claims_file(day(4), &tree.root(), &file).unwrap().leaves(), tree.leaves());
    assert!(read_claims_file(day(4), &tree.root(), &file[..file.len() / 2]).is_err());
    let leaf = tree.leaves()[0].cumulative.to_string();
    let masked = String::from_utf8(file.clone()).unwrap().replace(&leaf, &"0".repeat(leaf.len()));
    assert!(read_claims_file(day(4), &tree.root(), masked.as_bytes()).is_err());
    let other = MerkleHash::from_bytes([7; 32]);
    let refused = read_claims_file(day(4), &other, &file);
    assert!(matches!(refused, Err(TreasuryError::ClaimsFileDiffers { .. })), "{refused:?}");
}

/// Clock and summer time: local cron skips a night or doubles it.
#[tokio::test]
async fn failure_4_nights_on_which_clocks_change_are_one_epoch_each_in_any_time_zone() {
    let zones = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"];
    let mut digests: Vec<Vec<(Digest, Option<MerkleHash>)>> = Vec::new();
    for zone in zones {
        let (database, mut conn) = network().await;
        // Both nights on which New York changes its clocks, with what lies a microsecond around each midnight.
        for (place, night) in ["2026-03-08", "2026-11-01"].into_iter().enumerate() {
            let night: UtcDay = night.parse().unwrap();
            let (start, end) = (night.start(), night.next().unwrap().start());
            let tick = chrono::TimeDelta::microseconds(1);
            assert_eq!((end - start).num_hours(), 24);
            for (number, instant) in [start - tick, start, end - tick, end].into_iter().enumerate() {
                let earned_on = UtcDay::of(instant);
                let inside = instant >= start && instant < end;
                assert_eq!(earned_on == night, inside, "{instant}");
                let source = format!("{place}/{number}");
                earn_in(&mut conn, Class::Training, &source, earned_on, &[(number as u32 + 1, 10)]).await;
            }
            for settled in [UtcDay::of(start - tick), night, UtcDay::of(end)] {
                // The night's cron fires four times, at once, on connections that live in the zone.
                let fires: Vec<_> = (0..4)
                    .map(|_| {
                        let pool = database.pool().clone();
                        tokio::spawn(async move {
                            let mut conn = pool.acquire().await.unwrap();
                            sqlx::query("select set_config('TimeZone', $1, false)")
                                .bind(zone)
                                .execute(&mut *conn)
                                .await
                                .unwrap();
                            settle_epoch(&mut conn, settled).await.unwrap()
                        })
                    })
                    .collect();
                for fire in fires {
                    assert_eq!(fire.await.unwrap().epoch.day, settled);
                }
            }
        }
        let epochs = list_epochs(&mut conn).await.unwrap();
        assert_eq!(epochs.len(), 6, "one epoch for each day");
        assert_eq!(list_journals(&mut conn).await.unwrap().len(), 7, "one posting for each, and the funding");
        for night in ["2026-03-08", "2026-11-01"] {
            let result = load_result(&mut conn, night.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(result.rewards.len(), 2, "the two within the day, and not those a tick outside");
        }
        digests.push(epochs.iter().map(|epoch| (epoch.result_digest.unwrap(), epoch.root)).collect());
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "a zone changed a byte");
}

/// Nondeterminism: an order of iteration in its rewards stopped a chain.
#[tokio::test]
async fn failure_5_neither_the_order_nor_the_batches_nor_the_threads_change_a_byte() {
    let lines: Vec<(Class, u32, i64)> = (0..6)
        .flat_map(|generator| Class::ALL.map(|class| (class, generator, 7 + i64::from(generator % 3))))
        .collect();
    let mut found = Vec::new();
    for variant in 0..3 {
        let (_database, mut conn) = network().await;
        let mut lines = lines.clone();
        match variant {
            // one batch for each class; one for each line, from the last; lines in two halves, cut unevenly
            0 => {
                for class in Class::ALL {
                    let of_class: Vec<_> = lines
                        .iter()
                        .filter(|(of, ..)| *of == class)
                        .map(|(_, generator, points)| (*generator, *points))
                        .collect();
                    earn_in(&mut conn, class, class.as_str(), day(1), &of_class).await;
                }
            }
            1 => {
                lines.reverse();
                for (number, (class, generator, points)) in lines.iter().enumerate() {
                    earn_in(&mut conn, *class, &number.to_string(), day(1), &[(*generator, *points)]).await;
                }
            }
            _ => {
                for (number, (class, generator, points)) in lines.iter().enumerate() {
                    let part = number as i64 - 9;
                    for (name, points) in [("a", part), ("b", points - part)] {
                        let source = format!("{name}{number}");
                        earn_in(&mut conn, *class, &source, day(1), &[(*generator, points)]).await;
                    }
                }
            }
        }
        let epoch = settle_epoch(&mut conn, day(1)).await.unwrap().epoch;
        let inputs = tale_treasury::load_inputs(&mut conn, day(1)).await.unwrap().unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let inputs = inputs.clone();
                std::thread::spawn(move || {
                    compute(&inputs, &Ruleset::load(2).unwrap()).unwrap().digest().unwrap()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(Some(thread.join().unwrap()), epoch.result_digest);
        }
        assert_eq!(epoch.checked_digest, epoch.result_digest, "and SQL agrees");
        found.push((epoch.inputs_digest, epoch.result_digest, epoch.checked_digest, epoch.root));
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
}
