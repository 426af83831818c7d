//! SIGKILL and SIGSTOP for workers, schedulers and PostgreSQL, at random moments.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::{Rng, RngExt};
use tale_primitives::Seed;
use tale_testkit::{announce_on_panic, seeds};
use tale_tests::{Fleet, Home, Server};

use crate::weather::{LEASE, audit, calm_down, man, prepare, texts, until_ready};

const SCHEDULERS: usize = 2;
const WORKERS: usize = 3;

/// What befalls the installation.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill(usize),
    Freeze(usize, Duration),
    KillServer,
    KillSession(usize),
    FreezeSession(usize, Duration),
    FreezePostmaster(Duration),
}

impl Blow {
    /// A random one. Those who freeze for longer than a lease wake up as zombies.
    fn random(rng: &mut impl Rng) -> Self {
        let scheduler = rng.random_range(0..SCHEDULERS);
        let worker = SCHEDULERS + rng.random_range(0..WORKERS);
        let moment = Duration::from_millis(rng.random_range(100..1500));
        let zombie = LEASE + Duration::from_millis(rng.random_range(100..2000));
        match rng.random_range(0..100) {
            0..30 => Self::Kill(worker),
            30..45 => Self::Freeze(worker, zombie),
            45..52 => Self::Freeze(worker, moment),
            52..64 => Self::Kill(scheduler),
            64..72 => Self::Freeze(scheduler, zombie),
            72..84 => Self::KillServer,
            84..90 => Self::KillSession(rng.random_range(0..1000)),
            90..97 => Self::FreezeSession(rng.random_range(0..1000), zombie),
            _ => Self::FreezePostmaster(moment),
        }
    }
}

/// `TALE_KILLS=200` for a long storm.
#[test]
fn whatever_is_killed_or_frozen_at_any_moment_nothing_is_lost_or_done_twice() {
    let blows: usize = std::env::var("TALE_KILLS").ok().map_or(12, |text| text.parse().expect("a number"));
    for seed in seeds(1) {
        let _notice = announce_on_panic(seed);
        storm(&mut Seed::new(seed).child("blows").rng(), blows);
    }
}

fn storm(rng: &mut impl Rng, blows: usize) {
    let mut server = Server::start().unwrap();
    let home = Home::with_database(server.url());
    let mut fleet = Fleet::new(&home);
    man(&mut fleet, &home, SCHEDULERS, WORKERS);
    let began = Instant::now();
    until_ready(&server, &mut fleet);
    prepare(&server);
    let mut struck = Vec::new();
    while struck.len() < blows {
        let pause = Instant::now() + Duration::from_millis(rng.random_range(50..900));
        while Instant::now() < pause {
            server.tend();
            fleet.tend();
            thread::sleep(Duration::from_millis(10));
        }
        let blow = Blow::random(rng);
        let hit = match blow {
            Blow::Kill(member) => fleet.kill(member),
            Blow::Freeze(member, time) => fleet.freeze(member, time),
            Blow::KillServer => server.crash().map(|()| true).unwrap(),
            Blow::KillSession(choice) => server.kill_session(choice),
            Blow::FreezeSession(choice, time) => server.freeze_session(choice, time),
            Blow::FreezePostmaster(time) => server.freeze_postmaster(time),
        };
        if hit {
            struck.push(blow);
        }
    }
    let stormed = began.elapsed();
    let retried = calm_down(&mut server, &mut fleet, &home);
    audit(&server);
    let mut connection = server.connect().unwrap();
    let count = |connection: &mut _, query: &str| texts(&server, connection, query).remove(0);
    println!(
        "{} blows in {stormed:.1?}, calm after {:.1?}: {} runs, {} effects, attempts {}, {retried} runs tried again",
        struck.len(),
        began.elapsed(),
        count(&mut connection, "select count(*)::text from queue.run"),
        count(&mut connection, "select count(*)::text from storm.effect"),
        count(
            &mut connection,
            "select string_agg(format('%s %s', outcome, count), ', ' order by outcome)
             from (select outcome, count(*) from queue.attempt group by outcome) a"
        ),
    );
    assert_eq!(fleet.stop(), Vec::<String>::new(), "everybody ends well");
    assert_eq!(home.processes(), Vec::<String>::new(), "nothing stays behind");
}
