//! A full disk under PostgreSQL.

use std::{
    fs::{File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tale_tests::{Fleet, Home, Server};

use crate::weather::{audit, calm_down, man, prepare, texts, until_ready};

/// A small disk of a test's own, unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one over a folder; nothing where that is not allowed.
    fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        let options = format!("size={megabytes}m,mode=0755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tale-test"]).arg(folder);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.to_owned()))
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        let mut bytes = vec![1; 1 << 20];
        while !bytes.is_empty() {
            if file.write_all(&bytes).is_err() {
                bytes.truncate(bytes.len() / 4);
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_time_and_nothing_else() {
    let open = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().prefix("tale-disk-").permissions(open).tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), 300) else {
        println!("skipped: only root can mount the small disk that this test fills");
        return;
    };
    let mut server = Server::start_in(folder).unwrap();
    assert!(server.data().starts_with(disk.0.to_str().unwrap()), "{} is on the disk", server.data());
    let home = Home::with_database(server.url());
    let mut fleet = Fleet::new(&home);
    man(&mut fleet, &home, 2, 2);
    until_ready(&server, &mut fleet);
    prepare(&server);
    let tend = |server: &mut Server, fleet: &mut Fleet<'_>, time: Duration| {
        let until = Instant::now() + time;
        while Instant::now() < until {
            fleet.tend();
            // without space it may have to give up starting, and is tried again like any service
            let _ = server.revive();
            thread::sleep(Duration::from_millis(20));
        }
    };
    tend(&mut server, &mut fleet, Duration::from_secs(4));
    let mut refusals = 0;
    for _ in 0..2 {
        let filler = disk.fill();
        tend(&mut server, &mut fleet, Duration::from_secs(5));
        let log = std::fs::read(Path::new(server.data()).with_file_name("server.log")).unwrap_or_default();
        refusals = String::from_utf8_lossy(&log).matches("No space left on device").count();
        std::fs::remove_file(filler).unwrap();
        tend(&mut server, &mut fleet, Duration::from_secs(3));
    }
    assert!(refusals > 0, "PostgreSQL never noticed that the disk was full");
    let retried = calm_down(&mut server, &mut fleet, &home);
    audit(&server);
    let mut connection = server.connect().unwrap();
    let runs = texts(&server, &mut connection, "select count(*)::text from queue.run").remove(0);
    println!("{runs} runs, {refusals} refusals for want of space, {retried} runs tried again");
    assert_eq!(fleet.stop(), Vec::<String>::new());
    drop(server);
}
