//! A task that kills its worker.

use std::{
    thread,
    time::{Duration, Instant},
};

use tale_tests::{Fleet, Home, Server};

use crate::weather::{man, prepare, texts, until_ready};

#[test]
fn a_task_that_kills_its_workers_fails_alone_and_the_pool_lives() {
    let server = Server::start().unwrap();
    let home = Home::with_database(server.url());
    let mut fleet = Fleet::new(&home);
    man(&mut fleet, &home, 1, 2);
    until_ready(&server, &mut fleet);
    prepare(&server);
    let run = home.json(&["run", "poison"])["run"].as_str().unwrap().to_owned();
    let mut connection = server.connect().unwrap();
    let began = Instant::now();
    let state = format!("select state::text from queue.run where id = '{run}'");
    while texts(&server, &mut connection, &state) == ["running"] {
        fleet.tend();
        assert!(began.elapsed() < Duration::from_secs(120), "it never ends:\n{}", fleet.last_words());
        thread::sleep(Duration::from_millis(20));
    }
    let tasks = texts(
        &server,
        &mut connection,
        &format!(
            "select format('%s %s × %s', s.name, t.state, count(*))
             from queue.task t join queue.step s on s.run_id = t.run_id and s.index = t.step
             where t.run_id = '{run}' and t.index >= 0 group by s.index, s.name, t.state order by s.index"
        ),
    );
    assert_eq!(tasks, ["innocent succeeded × 24", "poison failed × 1", "after succeeded × 1"]);
    let error = format!("select error from queue.task where run_id = '{run}' and state = 'failed'");
    assert_eq!(texts(&server, &mut connection, &error), ["its worker died 3 times while running it"]);
    // whoever was with it then was not with it when it killed for the last time
    let lost = format!(
        "select format('%s lost %s', s.name, max(t.crashes))
         from queue.task t join queue.step s on s.run_id = t.run_id and s.index = t.step
         where t.run_id = '{run}' group by s.name having max(t.crashes) > 0 order by s.name"
    );
    println!("{:?} after {:.1?}", texts(&server, &mut connection, &lost), began.elapsed());
    assert_eq!(fleet.stop(), Vec::<String>::new());
}
