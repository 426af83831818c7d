use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The variable that lets tests go without npm's packages, loudly.
const WITHOUT: &str = "TALE_TEST_WITHOUT_NPM";

/// The folder of the npm packages that `crates/chain/contracts` pins, installed when they are not there yet; nothing
/// where `TALE_TEST_WITHOUT_NPM=1` says that the test is to be left out.
///
/// # Panics
/// When they cannot be had: a test that proved nothing would mislead.
pub fn npm_modules() -> Option<PathBuf> {
    if std::env::var_os(WITHOUT).is_some_and(|value| value == "1") {
        eprintln!("SKIPPED: {WITHOUT}=1 leaves out what needs npm's packages");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/npm.sh");
    let output = Command::new("sh").arg(&script).output();
    let output = output.unwrap_or_else(|error| panic!("{} cannot run: {error}", script.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{WITHOUT}=1 leaves out the tests that need it");
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
