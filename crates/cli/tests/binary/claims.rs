use std::os::unix::fs::PermissionsExt;

use crate::tale::Place;

const ACCOUNT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const OTHER: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
const TOKEN: &str = "0x27b1fdb04752bbc536007a920d24acb045561c26";

fn rewards() -> String {
    format!(
        "account,token,cumulative\n{ACCOUNT},{TOKEN},1500000000000000000\n{OTHER},{TOKEN},7\n{ACCOUNT},{OTHER},9\n"
    )
}

#[test]
fn a_tree_is_written_proven_and_verified() {
    let place = Place::new();
    place.write("rewards.csv", rewards());
    let built =
        place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "tree.json"]).succeeded();
    let root = built.stdout.split_whitespace().nth(1).unwrap().to_owned();
    built.says(&["leaves 3"]);
    assert_eq!(place.names("."), ["rewards.csv", "tree.json"]);

    let dump: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path().join("tree.json")).unwrap()).unwrap();
    assert_eq!(dump["format"], "standard-v1");
    assert_eq!(dump["tree"][0], root);
    place.tale(&["claims", "verify", "--tree", "tree.json"]).succeeded().says(&[&root, "leaves 3"]);

    // the format goes before, since after it `--output` is the tree's file
    let arguments =
        ["--output", "json", "claims", "tree", "--input", "rewards.csv", "--output", "again.json"];
    let again = place.tale(&arguments).succeeded().json();
    assert_eq!((again["root"].as_str(), again["leaves"].as_u64()), (Some(root.as_str()), Some(3)));

    place.tale(&["claims", "proof", &ACCOUNT.to_lowercase(), "--tree", "tree.json"]).succeeded().says(&[
        ACCOUNT,
        TOKEN,
        OTHER,
        "1500000000000000000",
        "verified",
        &root,
    ]);
    let arguments = ["claims", "proof", ACCOUNT, "--tree", "tree.json", "--token", TOKEN, "--output", "json"];
    let proven = place.tale(&arguments).succeeded().json();
    assert_eq!(proven["root"], root);
    assert_eq!(proven["claims"].as_array().unwrap().len(), 1);
    assert_eq!(proven["claims"][0]["cumulative"], "1500000000000000000");
    assert!(!proven["claims"][0]["proof"].as_array().unwrap().is_empty());
}

#[test]
fn a_wrong_line_is_named_and_nothing_is_written() {
    let place = Place::new();
    let line = |text: String| format!("account,token,cumulative\n{ACCOUNT},{TOKEN},1\n{text}\n");
    for (text, words) in [
        (String::new(), &["rewards.csv", "empty"][..]),
        ("account,token,cumulative\n".to_owned(), &["no rewards"]),
        ("who,token,cumulative\n".to_owned(), &["line 1", "account,token,cumulative"]),
        (line(format!("{ACCOUNT},{TOKEN},2")), &["line 3", "is on line 2 already"]),
        (line(format!("{},{TOKEN},2", ACCOUNT.to_lowercase())), &["line 3", "is on line 2 already"]),
        (line(format!("{},{TOKEN},2", ACCOUNT.replace("5aA", "5Aa"))), &["line 3", "account", "checksum"]),
        (line(format!("{OTHER},0x12,2")), &["line 3", "token", "0x12"]),
        (line(format!("{OTHER},{TOKEN},-2")), &["line 3", "cumulative", "-2"]),
        (line(format!("{OTHER},{TOKEN},{}0", u128::MAX).repeat(3)), &["line 3"]),
        (line(format!("{OTHER},{TOKEN}")), &["line 3", "3 columns, found 2"]),
    ] {
        place.write("rewards.csv", text);
        place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "tree.json"]).failed(2, words);
        assert_eq!(place.names("."), ["rewards.csv"]);
    }
    place.write("rewards.csv", [b'a', 0xff]);
    place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "tree.json"]).failed(2, &["line 1"]);
    place.tale(&["claims", "tree", "--input", "none.csv", "--output", "tree.json"]).failed(2, &["none.csv"]);
}

#[test]
fn a_tree_replaces_a_file_and_nothing_else() {
    let place = Place::new();
    place.write("rewards.csv", rewards());
    let old = place.write("tree.json", "old");
    std::os::unix::fs::symlink("tree.json", place.path().join("link.json")).unwrap();
    place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "link.json"]).succeeded();
    assert!(
        std::fs::read_to_string(&old).unwrap().contains("standard-v1"),
        "the link was replaced, not its file"
    );
    let mode = old.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o600, 0o600);

    place
        .tale(&["claims", "tree", "--input", "rewards.csv", "--output", "none/tree.json"])
        .failed(2, &["no folder none"]);
    place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "."]).failed(2, &["cannot write"]);
    place
        .tale(&["claims", "tree", "--input", "rewards.csv", "--output", "/dev/stdout"])
        .succeeded()
        .says(&["standard-v1", "leaves 3"]);
    assert_eq!(place.names("."), ["link.json", "rewards.csv", "tree.json"]);
}

#[test]
fn a_tree_that_was_changed_is_refused() {
    let place = Place::new();
    place.write("rewards.csv", rewards());
    place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "tree.json"]).succeeded();
    let text = std::fs::read_to_string(place.path().join("tree.json")).unwrap();
    place.write("tree.json", text.replace("\"7\"", "\"70\""));
    place.tale(&["claims", "verify", "--tree", "tree.json"]).failed(1, &["do not follow"]);
    place.tale(&["claims", "proof", OTHER, "--tree", "tree.json"]).failed(1, &["do not follow"]);
    place.write("tree.json", "{");
    place.tale(&["claims", "verify", "--tree", "tree.json"]).failed(2, &["tree.json", "help:"]);
    place.tale(&["claims", "verify", "--tree", "none.json"]).failed(2, &["cannot read none.json"]);
}

#[test]
fn who_has_no_claim_gets_no_proof() {
    let place = Place::new();
    place.write("rewards.csv", rewards());
    place.tale(&["claims", "tree", "--input", "rewards.csv", "--output", "tree.json"]).succeeded();
    place
        .tale(&["claims", "proof", TOKEN, "--tree", "tree.json"])
        .failed(1, &["nothing to claim", "3 leaves"]);
    let wrong_token = ["claims", "proof", OTHER, "--tree", "tree.json", "--token", OTHER];
    place.tale(&wrong_token).failed(1, &["nothing to claim in token"]);
    let both = ["claims", "proof", OTHER, "--tree", "tree.json", "--epoch", "2026-01-01"];
    place.tale(&both).failed(2, &["cannot be used with"]);
}

#[test]
fn the_deployment_of_a_distributor_is_printed_for_any_wallet() {
    let place = Place::new();
    let third = "0x000000000000000000000000000000000000dEaD";
    let keys = |guardian| {
        [
            "claims",
            "deployment",
            "--owner",
            OTHER,
            "--proposer",
            ACCOUNT,
            "--confirmer",
            third,
            "--guardian",
            guardian,
        ]
    };
    let printed = place.tale(&keys(TOKEN)).succeeded().stdout;
    let arguments: Vec<&str> = keys(TOKEN).into_iter().chain(["--output", "json"]).collect();
    let described = place.tale(&arguments).succeeded().json();
    assert_eq!(described["data"], printed.trim_end());
    assert_eq!(described["activation_delay_seconds"], 43_200);
    let data = printed.trim_end().strip_prefix("0x").expect("hexadecimal digits");
    assert!(
        data.ends_with(&format!("{}{:064x}", TOKEN[2..].to_lowercase(), 43_200)),
        "the arguments come last"
    );
    assert!(data.len() > 10_000 && data.bytes().all(|digit| digit.is_ascii_hexdigit()));

    place.tale(&keys(ACCOUNT)).failed(2, &[ACCOUNT, "proposer and guardian", "two roles"]);
    place.tale(&keys("0x0000000000000000000000000000000000000000")).failed(2, &["the guardian is nobody"]);
    let arguments: Vec<&str> = keys(TOKEN).into_iter().chain(["--activation-delay", "2592001"]).collect();
    place.tale(&arguments).failed(2, &["2592001", "1..=2592000"]);
}
