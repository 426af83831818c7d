//! A network that lives, and a treasury that is killed.

use rand::{
    RngExt,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;
use sqlx::{Connection, PgConnection};
use tale_ledger::{AccountKey, AccountOwner, Asset, Entry, NewJournal, post_journal};
use tale_network::{NewGenerator, register_generators};
use tale_primitives::{Address, Amount, Digest, GeneratorId, Seed, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{
    Class, EpochState, MerkleHash, NewContributions, NewCorrection, Ruleset, TreasuryError, compute,
    finalise_epochs, find_epoch, gather_inputs, hold_epoch, list_epochs, load_inputs, post_epoch,
    publish_epoch, record_contributions, record_correction, record_result, release_epoch, seal_epoch,
};

use super::auditor::{Auditor, minus, plus};
use crate::{finality::let_a_day_pass, network::holder, owner};

const ZONES: [&str; 3] = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"];

pub struct World {
    database: TestDatabase,
    conn: PgConnection,
    /// What happens.
    events: ChaCha8Rng,
    /// How it reaches the treasury.
    storm: ChaCha8Rng,
    today: UtcDay,
    lived: u32,
    sources: u32,
    /// Every generator that ever joined, its owner's number, and whether it still works.
    generators: Vec<(u32, bool)>,
    pub auditor: Auditor,
}

/// What a settlement died of.
struct Died;

impl World {
    pub async fn new(events: u64, storm: u64, first_day: &str) -> Self {
        let database = TestDatabase::create().await;
        let conn = database.connection().await;
        let mut world = Self {
            conn,
            database,
            events: Seed::new(events).child("events").rng(),
            storm: Seed::new(storm).child("storm").rng(),
            today: first_day.parse().unwrap(),
            lived: 0,
            sources: 0,
            generators: Vec::new(),
            auditor: Auditor::default(),
        };
        for _ in 0..5 {
            world.join().await;
        }
        world.reconnect().await;
        world
    }

    /// One day: what is earned and done, its settlement with all its deaths, the audit, and what was earned too late.
    pub async fn live_a_day(&mut self) {
        self.change_the_network().await;
        self.earn(self.today).await;
        if self.events.random_bool(0.15) {
            self.correct().await;
        }
        let is_held = self.events.random_bool(0.04);
        if is_held {
            hold_epoch(&mut self.conn, self.today, "a dispute", "the simulator").await.unwrap();
        }
        self.settle_until_done(is_held).await;
        self.auditor.after_epoch(&mut self.conn, self.today).await;
        if self.events.random_bool(0.1) {
            self.earn(self.today).await;
        }
        if self.events.random_bool(0.25) {
            self.claim().await;
        }
        if self.lived % 73 == 72 {
            let_a_day_pass(&mut self.conn).await;
            assert!(!finalise_epochs(&mut self.conn).await.unwrap().is_empty());
        }
        self.lived += 1;
        self.today = self.today.next().unwrap();
    }

    /// Each epoch's digests and root.
    pub async fn digests(&mut self) -> Vec<(Digest, Option<Digest>, Option<MerkleHash>)> {
        let epochs = list_epochs(&mut self.conn).await.unwrap();
        epochs.into_iter().map(|epoch| (epoch.inputs_digest, epoch.result_digest, epoch.root)).collect()
    }

    async fn change_the_network(&mut self) {
        if self.events.random_bool(0.06) && self.generators.len() < 40 {
            self.join().await;
        }
        let count = self.generators.len();
        if self.events.random_bool(0.03) {
            let leaving = self.events.random_range(0..count);
            let working = self.generators.iter().filter(|(_, works)| *works).count();
            self.generators[leaving].1 = working <= 2;
        }
        if self.events.random_bool(0.03) {
            // A generator changes hands, or its owner changes keys: what is sealed from now on is the new owner's.
            let (sold, buyer) = (self.events.random_range(0..count), self.events.random_range(1..14));
            self.generators[sold].0 = buyer;
            sqlx::query("update network.generator set owner = $2 where id = $1")
                .bind(id(sold).raw())
                .bind(owner(buyer).as_bytes().as_slice())
                .execute(&mut self.conn)
                .await
                .unwrap();
        }
    }

    async fn join(&mut self) {
        let number = self.generators.len();
        let of = self.events.random_range(1..14);
        self.generators.push((of, true));
        let generator = NewGenerator {
            id: id(number),
            name: format!("generator-{number}").parse().unwrap(),
            owner: owner(of),
            is_participant: true,
            is_validator: true,
            credibility_ppm: 1_000_000,
        };
        register_generators(&mut self.conn, &[generator]).await.unwrap();
    }

    /// Earns in every class, or in some; some days are idle, some generators are slashed.
    async fn earn(&mut self, day: UtcDay) {
        for class in Class::ALL {
            if self.events.random_bool(0.25) {
                continue;
            }
            let mut lines = Vec::new();
            for (number, (_, works)) in self.generators.iter().enumerate() {
                if !works || self.events.random_bool(0.3) {
                    continue;
                }
                let points = match (class, self.events.random_range(0..12)) {
                    (Class::Training, 0) => -self.events.random_range(1..1_000_000_000),
                    (Class::Training, 1..4) => self.events.random_range(-50..1_000_000_000),
                    (_, 4) => self.events.random_range(1..1i64 << 50),
                    _ => self.events.random_range(1..1000),
                };
                lines.push((id(number), points));
            }
            self.record(day, class, lines).await;
        }
    }

    /// The storm orders the lines, cuts them into batches, and repeats some.
    async fn record(&mut self, day: UtcDay, class: Class, mut lines: Vec<(GeneratorId, i64)>) {
        lines.shuffle(&mut self.storm);
        let size = self.storm.random_range(1..=lines.len().max(1)).max(lines.len().div_ceil(3)).max(1);
        for points in lines.chunks(size) {
            self.sources += 1;
            let source = format!("source {}", self.sources);
            let batch = NewContributions { source, day, class, points: points.to_vec() };
            record_contributions(&mut self.conn, &batch).await.unwrap();
            if self.storm.random_bool(0.05) {
                assert!(record_contributions(&mut self.conn, &batch).await.unwrap().already_recorded);
            }
        }
    }

    /// Finds that an earlier epoch paid somebody too much.
    async fn correct(&mut self) {
        let open = &mut self.auditor.correctable;
        if open.is_empty() {
            return;
        }
        let place = self.events.random_range(0..open.len());
        let (origin, owner, left) = open[place];
        let share = self.events.random_range(1..=4u64);
        let over_paid = Amount::from_u256(left.to_u256() / ruint::aliases::U256::from(share));
        if over_paid.is_zero() {
            return;
        }
        open[place].2 = minus(left, over_paid);
        if open[place].2.is_zero() {
            open.remove(place);
        }
        let owed = self.auditor.owed.entry(owner).or_default();
        *owed = plus(*owed, over_paid);
        let correction = NewCorrection {
            correction: format!("audit-{}-{}", self.today, self.lived),
            origin,
            owner,
            over_paid,
            reason: "the simulator found it".to_owned(),
            actor: "the simulator".to_owned(),
        };
        assert!(record_correction(&mut self.conn, &correction).await.unwrap());
        assert!(!record_correction(&mut self.conn, &correction).await.unwrap(), "once");
    }

    /// Somebody claims a part of what is theirs: it leaves the ledger's holders.
    async fn claim(&mut self) {
        let owners: Vec<Address> = self.auditor.cumulative.keys().copied().collect();
        let Some(claimant) = owners.choose(&mut self.events).copied() else { return };
        let claimed = self.auditor.claimed.get(&claimant).copied().unwrap_or_default();
        let left = minus(self.auditor.cumulative[&claimant], claimed);
        if left.is_zero() {
            return;
        }
        let asset: Asset = "xTALE".parse().unwrap();
        let paid_out = AccountKey::new(AccountOwner::Treasury("paid-out".parse().unwrap()), asset);
        let journal = NewJournal {
            key: format!("claim/{}", self.today),
            epoch: None,
            description: "a claim".to_owned(),
            entries: vec![Entry::debit(holder(claimant), left), Entry::credit(paid_out, left)],
        };
        post_journal(&mut self.conn, &journal).await.unwrap();
        self.auditor.claimed.insert(claimant, plus(claimed, left));
    }

    /// Settles, dies, is started again, until a settlement reaches its end; then once more, which changes nothing.
    async fn settle_until_done(&mut self, mut is_held: bool) {
        loop {
            let deadly = self.storm.random_bool(0.35).then(|| self.storm.random_range(0..8));
            match self.settle(deadly).await {
                Ok(Ok(_)) => break,
                Ok(Err(TreasuryError::Held { .. })) if is_held => {
                    is_held = false;
                    release_epoch(&mut self.conn, self.today, "it was right", "the simulator").await.unwrap();
                }
                Ok(Err(error)) => panic!("{}: {error:?}", self.today),
                Err(Died) => {}
            }
        }
        if self.storm.random_bool(0.2) {
            let changed = self.settle(None).await.ok().unwrap().unwrap();
            assert!(!changed, "{} was settled twice", self.today);
        }
    }

    /// The four steps, each in a transaction of its own; at boundary `2·step` it dies before the commit, at
    /// `2·step + 1` after it. Says whether any step changed something.
    async fn settle(&mut self, deadly: Option<usize>) -> Result<Result<bool, TreasuryError>, Died> {
        let mut any_changed = false;
        for step in 0..4 {
            if step == 3 && !self.is_published().await {
                self.auditor.before_publication(&mut self.conn, self.today).await;
            }
            sqlx::raw_sql("begin").execute(&mut self.conn).await.unwrap();
            let changed = match self.take(step).await {
                Ok(changed) => changed,
                Err(error) => {
                    sqlx::raw_sql("rollback").execute(&mut self.conn).await.unwrap();
                    return Ok(Err(error));
                }
            };
            if deadly == Some(2 * step) {
                self.die().await;
                return Err(Died);
            }
            sqlx::raw_sql("commit").execute(&mut self.conn).await.unwrap();
            if deadly == Some(2 * step + 1) {
                self.die().await;
                return Err(Died);
            }
            any_changed |= changed;
        }
        Ok(Ok(any_changed))
    }

    async fn is_published(&mut self) -> bool {
        let epoch = find_epoch(&mut self.conn, self.today).await.unwrap();
        epoch.is_some_and(|epoch| epoch.state >= EpochState::Published)
    }

    async fn take(&mut self, step: usize) -> Result<bool, TreasuryError> {
        let (conn, day) = (&mut self.conn, self.today);
        Ok(match step {
            0 => {
                let inputs = gather_inputs(conn, day, Ruleset::CURRENT_VERSION).await?;
                seal_epoch(conn, &inputs).await?.changed
            }
            1 => {
                let inputs = load_inputs(conn, day).await?.ok_or(TreasuryError::NotSealed(day))?;
                record_result(conn, &compute(&inputs, &Ruleset::load(inputs.ruleset())?)?).await?.changed
            }
            2 => post_epoch(conn, day).await?.changed,
            _ => publish_epoch(conn, day, None).await?.changed,
        })
    }

    /// The connection is rolled back, or its server's process is killed.
    async fn die(&mut self) {
        if self.storm.random_bool(0.5) {
            sqlx::raw_sql("rollback").execute(&mut self.conn).await.unwrap();
            return;
        }
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut self.conn).await.unwrap();
        sqlx::query("select pg_terminate_backend($1, 5000)")
            .bind(pid)
            .execute(self.database.pool())
            .await
            .unwrap();
        assert!(self.conn.ping().await.is_err());
        self.reconnect().await;
    }

    async fn reconnect(&mut self) {
        self.conn = self.database.connection().await;
        let zone = ZONES[self.storm.random_range(0..ZONES.len())];
        sqlx::query("select set_config('TimeZone', $1, false)")
            .bind(zone)
            .execute(&mut self.conn)
            .await
            .unwrap();
    }
}

fn id(number: usize) -> GeneratorId {
    GeneratorId::derive("simulator", &number.to_string())
}
