//! Anybody's images: whatever their size and number of classes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use tale_tests::{Home, repository};

#[test]
fn a_training_works_on_small_coloured_images_of_five_classes() {
    let home = Home::new();
    let file = repository().join("tests/fixtures/stripes.parquet");
    let columns = ["--image-column", "picture", "--label-column", "kind"];
    let import = [&["dataset", "import", file.to_str().unwrap(), "--name", "stripes"][..], &columns].concat();
    let imported = home.run(&import);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));

    let params = ["-p", "dataset=stripes", "-p", "rounds=2", "-p", "participants=4", "-p", "seed=2"];
    let run = home.json(&[&["run", "federated-training", "--wait"][..], &params].concat());
    assert_eq!(run["state"], "succeeded");
    let outputs = &run["outputs"];
    assert_eq!(outputs["model"]["shape"], serde_json::json!({ "height": 8, "width": 8, "channels": 3 }));
    assert_eq!(outputs["model"]["classes"], 5);
    assert_eq!(outputs["accuracy"].as_array().unwrap().len(), 2);
}

#[test]
fn a_training_on_an_unknown_data_set_fails_and_says_so() {
    let home = Home::new();
    let run = home.run(&["run", "federated-training", "-p", "dataset=nowhere", "--wait"]);
    assert_eq!(run.status.code(), Some(1));
    let message = String::from_utf8_lossy(&run.stderr);
    assert!(message.contains("nowhere"), "{message}");
}
