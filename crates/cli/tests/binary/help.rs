use crate::tale::Place;

/// Every command of the binary, with its parents.
const COMMANDS: &[&str] = &[
    "demo",
    "up",
    "serve",
    "worker",
    "apply",
    "run",
    "runs",
    "schedule",
    "schedule list",
    "schedule next",
    "schedule pause",
    "schedule resume",
    "triggers",
    "alerts",
    "backfill",
    "show",
    "logs",
    "lineage",
    "retention",
    "retention show",
    "retention set",
    "retention run",
    "workers",
    "tenant",
    "tenant list",
    "tenant weight",
    "cache",
    "cache list",
    "cache clear",
    "pipeline",
    "pipeline check",
    "pipeline plan",
    "pipeline schema",
    "pipeline list",
    "kinds",
    "dataset",
    "dataset import",
    "dataset list",
    "dataset show",
    "pov",
    "pov rounds",
    "pov show",
    "settle",
    "epoch",
    "epoch list",
    "epoch show",
    "epoch verify",
    "epoch explain",
    "epoch hold",
    "epoch release",
    "epoch correct",
    "epoch receivables",
    "ledger",
    "ledger verify",
    "ledger balance",
    "ledger balances",
    "ledger journals",
    "ledger journal",
    "ledger holds",
    "ledger expire",
    "ledger limits",
    "ledger limit",
    "ledger assets",
    "ledger export",
    "vesting",
    "vesting schedule",
    "vesting start",
    "vesting status",
    "staking",
    "staking stake",
    "staking unstake",
    "staking list",
    "staking status",
    "staking fund",
    "withdrawals",
    "withdrawals request",
    "withdrawals cancel",
    "withdrawals list",
    "withdrawals show",
    "withdrawals payable",
    "withdrawals deny",
    "withdrawals allow",
    "withdrawals denials",
    "claims",
    "claims tree",
    "claims proof",
    "claims verify",
    "claims deployment",
    "claims publish",
    "revenue",
    "revenue check",
    "dividends",
    "dividends list",
    "dividends show",
    "dividends explain",
    "dividends holders",
    "dividends record",
    "sales",
    "sales rounds",
    "sales schedule",
    "sales allow",
    "sales eligibility",
    "sales reserve",
    "sales pay",
    "sales cancel",
    "sales show",
    "doctor",
    "completions",
];

#[test]
fn every_command_says_what_it_does_and_how_it_is_used() {
    let place = Place::new();
    for &command in COMMANDS {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("--help");
        let help = place.tale(&words).succeeded();
        help.says(&["Usage: tale", command, "--data-dir <DIR>", "--output <F"]);
        assert!(help.stdout.lines().next().unwrap().len() > 12, "{command}: {}", help.stdout);
    }
}

#[test]
fn a_wrong_command_line_ends_with_code_2_and_a_hint() {
    let place = Place::new();
    for (arguments, words) in [
        (&["demmo"][..], &["unrecognized subcommand 'demmo'", "demo"][..]),
        (&[], &["Usage: tale"]),
        (&["pipeline"], &["Usage: tale pipeline", "check"]),
        (&["runs", "--output", "xml"], &["xml", "table", "json"]),
        (&["pipeline", "check"], &["FILE"]),
        (&["kinds", "--jsn"], &["--jsn"]),
        (&["ledger", "balances", "--kind", "bank"], &["holder, issuance, pool, receivable or treasury"]),
        (&["ledger", "balances", "--asset", "1TALE"], &["1TALE"]),
        (&["ledger", "journal", "first"], &["first"]),
        (&["epoch", "show", "2026-02-30"], &["2026-02-30", "YYYY-MM-DD"]),
        (&["vesting", "schedule", "--start", "2026-2-1"], &["2026-2-1", "YYYY-MM-DD"]),
        (&["vesting", "start"], &["<DAY>"]),
        (&["staking", "stake", "1"], &["--owner <ADDRESS>", "--key <KEY>"]),
        (&["staking", "stake", "1.x", "--owner", "0x12", "--key", "k"], &["1.x", "whole tokens"]),
        (&["staking", "list", "--state", "gone"], &["open, matured, exited_early or closed"]),
        (&["withdrawals", "request", "100"], &["--account <ADDRESS>", "--country <CODE>", "--key <KEY>"]),
        (&["withdrawals", "list", "--state", "gone"], &["requested, matured, paid or cancelled"]),
        (&["withdrawals", "payable", "--at", "yesterday"], &["yesterday", "YYYY-MM-DD"]),
        (&["pov", "show", "0"], &["LINEAGE/3"]),
        (&["pov", "show", "/3"], &["LINEAGE/3"]),
        (&["dataset", "show", "Fashion"], &["Fashion", "lower-case letter"]),
        (&["dataset", "import", "x.parquet"], &["--name"]),
        (&["dataset", "import", "x.parquet", "--name", "x", "--shape", "28x28"], &["28x28x1"]),
        (&["claims", "proof", "0x12"], &["0x12", "40 hexadecimal digits"]),
        (&["claims", "tree", "--input", "x.csv"], &["--output <FILE>"]),
        (&["claims", "verify"], &["--tree <FILE>"]),
        (&["claims", "verify", "--tree", "x.json", "--accounts"], &["--rpc <URL>"]),
        (&["claims", "publish", "--contract", "0x12"], &["0x12", "40 hexadecimal digits"]),
        (
            &["claims", "deployment", "--owner", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"],
            &["--guardian <ADDRESS>"],
        ),
        (&["claims", "publish", "--finality", "0"], &["--finality", "1..=100000"]),
        (&["claims", "publish", "--key-secret", "../key"], &["not a secret's name"]),
        (
            &["claims", "publish"],
            &["the secret distributor_key is not known here", "TALE_SECRET_distributor_key"],
        ),
        (&["completions", "tcsh"], &["tcsh", "zsh"]),
    ] {
        place.tale(arguments).failed(2, words);
    }
    assert!(place.names(".").is_empty(), "something was started: {:?}", place.names("."));
}

#[test]
fn the_format_may_stand_before_and_after_the_command() {
    let place = Place::new();
    for arguments in [
        &["--output", "json", "kinds"][..],
        &["kinds", "--output", "json"],
        &["kinds", "--output=json"],
        &["--output", "table", "kinds", "--output", "json"],
    ] {
        assert!(place.tale(arguments).succeeded().json().is_array(), "{arguments:?}");
    }
    place
        .tale(&["--output", "json", "kinds", "--output", "table"])
        .succeeded()
        .says(&["┌", "learning.train"]);
}

#[test]
fn each_shell_gets_completions_that_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        place.tale(&["completions", shell]).succeeded().says(&["claims", "doctor"]);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let place = Place::new();
    let mut command = place.command(&["completions", "bash"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}
