//! Connections that are cut at any byte, in the middle of a transaction too.

use std::{
    thread,
    time::{Duration, Instant},
};

use tale_primitives::Seed;
use tale_testkit::{announce_on_panic, seeds};
use tale_tests::{Fleet, Home, Proxy, Server};

use crate::weather::{audit, calm_down, man, prepare, until_ready};

/// `TALE_CUTS=500` for more of them.
#[test]
fn connections_that_are_cut_at_any_byte_lose_and_repeat_nothing() {
    let cuts: u32 = std::env::var("TALE_CUTS").ok().map_or(40, |text| text.parse().expect("a number"));
    for seed in seeds(1) {
        let _notice = announce_on_panic(seed);
        let mut server = Server::start().unwrap();
        let proxy = Proxy::start(&server, Seed::new(seed).child("cuts").rng()).unwrap();
        let (home, behind) = (Home::with_database(server.url()), Home::with_database(proxy.url()));
        let mut fleet = Fleet::new(&home);
        man(&mut fleet, &home, 1, 0);
        until_ready(&server, &mut fleet);
        prepare(&server);
        man(&mut fleet, &behind, 1, 2);
        let began = Instant::now();
        while proxy.cuts() < cuts {
            fleet.tend();
            assert!(began.elapsed() < Duration::from_secs(300), "only {} cuts", proxy.cuts());
            thread::sleep(Duration::from_millis(20));
        }
        proxy.hold();
        let stormed = began.elapsed();
        let retried = calm_down(&mut server, &mut fleet, &home);
        audit(&server);
        println!("{} cuts in {stormed:.1?}; {retried} runs tried again", proxy.cuts());
        assert_eq!(fleet.stop(), Vec::<String>::new());
    }
}
