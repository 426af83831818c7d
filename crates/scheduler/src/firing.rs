//! The loop that fires schedules, follows ended runs and goes on with back-fills.

use std::time::Duration;

use sqlx::{PgConnection, PgPool, postgres::PgListener};
use tale_queue::Wake;
use tokio::time;

use crate::{
    SchedulerError,
    backfills::advance_backfill,
    schedules::{Passed, fire_next},
    triggers::follow_ended_run,
};

/// The channel on which changed schedules are told of.
const CHANNEL: &str = "tale_schedule";

/// The longest sleep: a lost notification delays a new schedule by no more.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The longest sleep while back-fills or triggers wait for runs, which end without a notification.
const SLEEP_FOR_RUNS: Duration = Duration::from_millis(200);

/// The shortest sleep, while another scheduler deals with what is due.
const SLEEP_MIN: Duration = Duration::from_millis(10);

/// How long to wait before trying again while the database does not answer.
const PAUSE: Duration = Duration::from_millis(250);

/// How many fires are dealt with before back-fills have their turn.
const FIRES_PER_PASS: usize = 200;

/// Fires what is due, for ever, on connections of its own. Only the database's clock counts.
pub(crate) struct Firing {
    pub pool: PgPool,
    pub wake: Wake,
    /// Whether schedules fire here; back-fills, which somebody asked for, always go on.
    pub schedules: bool,
}

impl Firing {
    pub async fn run(self) {
        loop {
            if let Err(error) = self.serve().await {
                if error.is_transient() {
                    tracing::debug!(%error, "nothing fires until the database answers again");
                } else {
                    tracing::error!(
                        error = error.describe(),
                        "schedules and triggers have stopped; trying again"
                    );
                }
                time::sleep(PAUSE).await;
            }
        }
    }

    /// Fires on one connection until it breaks.
    async fn serve(&self) -> Result<(), SchedulerError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        let mut connection = self.pool.acquire().await?;
        loop {
            let sleep = match self.pass(&mut connection).await {
                Ok(sleep) => sleep,
                // two transactions met in a deadlock, or one was cancelled: the next pass does it again
                Err(error) if error.is_transient() && connection_answers(&mut connection).await => PAUSE,
                Err(error) => return Err(error),
            };
            if let Ok(heard) = time::timeout(sleep, listener.recv()).await {
                heard?;
            }
        }
    }

    /// Does what can be done now, and says how long there is nothing to do.
    async fn pass(&self, connection: &mut PgConnection) -> Result<Duration, SchedulerError> {
        let mut unreadable = vec![];
        let now = Outlook::read(connection, &unreadable).await?;
        if self.schedules && now.seconds.is_some_and(|seconds| seconds <= 0.0) {
            self.fire_due(connection, &mut unreadable).await?;
        }
        if self.schedules && now.has_ended_runs {
            self.follow_ended_runs(connection).await?;
        }
        if now.is_backfilling {
            self.advance_backfills(connection).await?;
        }
        let then = Outlook::read(connection, &unreadable).await?;
        let waits_for_runs = then.is_backfilling || self.schedules && then.is_watching;
        let longest = if waits_for_runs { SLEEP_FOR_RUNS } else { SLEEP_MAX };
        let until_fire = match then.seconds.filter(|_| self.schedules) {
            Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO),
            None => longest,
        };
        let until_fire = if self.schedules && then.has_ended_runs { Duration::ZERO } else { until_fire };
        Ok(until_fire.clamp(SLEEP_MIN, longest))
    }

    async fn fire_due(
        &self,
        connection: &mut PgConnection,
        unreadable: &mut Vec<String>,
    ) -> Result<(), SchedulerError> {
        for _ in 0..FIRES_PER_PASS {
            match fire_next(connection, unreadable).await? {
                Passed::Nothing => break,
                Passed::Fired(true) => self.wake.tell(),
                Passed::Fired(false) => {}
                Passed::Unreadable(pipeline) => unreadable.push(pipeline),
            }
        }
        Ok(())
    }

    async fn follow_ended_runs(&self, connection: &mut PgConnection) -> Result<(), SchedulerError> {
        for _ in 0..FIRES_PER_PASS {
            match follow_ended_run(connection).await? {
                None => break,
                Some(true) => self.wake.tell(),
                Some(false) => {}
            }
        }
        Ok(())
    }

    async fn advance_backfills(&self, connection: &mut PgConnection) -> Result<(), SchedulerError> {
        let mut after = i64::MIN;
        while let Some((id, has_started)) = advance_backfill(connection, after).await? {
            if has_started {
                self.wake.tell();
            }
            after = id;
        }
        Ok(())
    }
}

/// What there is to do, and when.
struct Outlook {
    /// In how many seconds a schedule is due.
    seconds: Option<f64>,
    is_backfilling: bool,
    has_ended_runs: bool,
    /// Whether triggers wait for runs.
    is_watching: bool,
}

impl Outlook {
    async fn read(connection: &mut PgConnection, except: &[String]) -> Result<Self, SchedulerError> {
        let row = sqlx::query_file!("../../sql/schedule/next_wake.sql", except).fetch_one(connection).await?;
        Ok(Self {
            seconds: row.seconds,
            is_backfilling: row.backfilling,
            has_ended_runs: row.ended,
            is_watching: row.watching,
        })
    }
}

async fn connection_answers(connection: &mut PgConnection) -> bool {
    sqlx::Connection::ping(connection).await.is_ok()
}
