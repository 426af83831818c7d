use std::path::Path;

use crate::tale::Place;

const SOUND: &str = "pipeline: sound\nsteps:\n  rest: { uses: sleep, with: { seconds: 1 } }\n";

/// Line 4 names a kind with a slip, line 6 a step that is not there.
const WRONG: &str = "\
pipeline: wrong
steps:
  one:
    uses: slep
    with: { seconds: 1 }
  two: { uses: sleep, with: { seconds: 1 }, needs: [tree] }
";

fn shipped() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines").display().to_string()
}

#[test]
fn the_products_own_pipelines_are_sound() {
    let place = Place::new();
    let checked = place.tale(&["pipeline", "check", &shipped(), "--output", "json"]).succeeded().json();
    assert!(checked.as_array().unwrap().len() >= 4, "{checked}");
    assert!(checked.as_array().unwrap().iter().all(|file| file["ok"] == true), "{checked}");
}

#[test]
fn the_examples_are_sound() {
    let place = Place::new();
    let examples = format!("{}/examples", shipped());
    place.tale(&["pipeline", "check", &examples]).succeeded().says(&["REPORT_RECIPIENT, SALES_TOKEN"]);
}

#[test]
fn every_problem_of_every_file_is_shown_in_its_place() {
    let place = Place::new();
    place.write("sound.yaml", SOUND);
    place.write("wrong.yaml", WRONG);
    place.write("worse.yml", "steps: [\n");
    let files = ["sound.yaml", "wrong.yaml", "worse.yml"];
    let arguments: Vec<&str> = ["pipeline", "check"].into_iter().chain(files).collect();
    let ended = place.tale(&arguments).failed(
        2,
        &[
            "wrong.yaml:4:11",
            "uses: slep",
            "did you mean sleep?",
            "wrong.yaml:6:",
            "no step \"tree\"",
            "worse.yml:",
        ],
    );
    ended.says(&["sound.yaml: ok, pipeline sound of 1 step"]);

    let arguments: Vec<&str> = arguments.into_iter().chain(["--output", "json"]).collect();
    let reports = place.tale(&arguments).failed(2, &[]).json();
    assert_eq!(reports[0]["ok"], true);
    assert_eq!(reports[1]["file"], "wrong.yaml");
    let problem = &reports[1]["problems"][0];
    assert_eq!(
        (&problem["code"], &problem["line"], &problem["column"]),
        (&"unknown-kind".into(), &4.into(), &11.into())
    );
    assert_eq!(reports[2]["ok"], false);
}

#[test]
fn a_folder_stands_for_its_files_and_each_may_name_the_others() {
    let place = Place::new();
    place.write("flows/sound.yaml", SOUND);
    place.write(
        "flows/parent.yml",
        "pipeline: parent\nsteps:\n  a: { uses: pipeline, with: { pipeline: sound } }\n",
    );
    place.write("flows/notes.txt", "not a pipeline");
    let both = place.tale(&["pipeline", "check", "flows", "--output", "json"]).succeeded().json();
    assert_eq!(both.as_array().unwrap().len(), 2);
    // also alone: its neighbour would be applied with it
    place.tale(&["pipeline", "check", "flows/parent.yml"]).succeeded();
    place.write("far.yaml", "pipeline: far\nsteps:\n  a: { uses: pipeline, with: { pipeline: sound } }\n");
    place.tale(&["pipeline", "check", "far.yaml"]).failed(2, &["far.yaml:3:", "no pipeline \"sound\""]);
    place.tale(&["pipeline", "check", "far.yaml", "flows"]).succeeded();
}

#[test]
fn two_files_cannot_define_one_pipeline_and_one_file_is_checked_once() {
    let place = Place::new();
    place.write("one.yaml", SOUND);
    place.write("two.yaml", SOUND);
    place
        .tale(&["pipeline", "check", "one.yaml", "two.yaml"])
        .failed(2, &["two.yaml:1:1", "defined in one.yaml already"]);
    place.tale(&["pipeline", "check", "one.yaml", "./one.yaml"]).succeeded();
}

#[test]
fn what_cannot_be_read_is_named() {
    let place = Place::new();
    place.write("binary.yaml", [b'a', b':', b'\n', 0xff, 0xfe]);
    place.write("empty/readme.md", "");
    place.tale(&["pipeline", "check", "none.yaml"]).failed(2, &["cannot read none.yaml"]);
    place.tale(&["pipeline", "check", "binary.yaml"]).failed(2, &["binary.yaml:2", "UTF-8"]);
    place.tale(&["pipeline", "check", "empty"]).failed(2, &["empty holds no pipelines"]);
    place.write("nothing.yaml", "");
    place.tale(&["pipeline", "check", "nothing.yaml"]).failed(2, &["nothing.yaml"]);
}

#[test]
fn the_secrets_of_a_pipeline_are_named_and_misplaced_ones_are_refused() {
    let place = Place::new();
    place.write(
        "call.yaml",
        "pipeline: call\nsteps:\n  a:\n    uses: http\n    with: { url: \"http://host/\", headers: { A: \"Bearer ${secrets.TOKEN}\" } }\n",
    );
    place.tale(&["pipeline", "check", "call.yaml"]).succeeded().says(&["its workers need the secrets TOKEN"]);
    let checked = place.tale(&["pipeline", "check", "call.yaml", "--output", "json"]).succeeded().json();
    assert_eq!(checked[0]["secrets"][0], "TOKEN");
    let plan = place.tale(&["pipeline", "plan", "call.yaml", "--output", "json"]).succeeded().json();
    assert_eq!(plan["steps"][0]["tasks"]["now"][0]["arguments"]["headers"]["A"], "Bearer ${secrets.TOKEN}");
    place.write(
        "misplaced.yaml",
        "pipeline: misplaced\nsteps:\n  a:\n    uses: sleep\n    with: { seconds: 1 }\n    when: \"${secrets.ON == 'y'}\"\n",
    );
    place
        .tale(&["pipeline", "check", "misplaced.yaml"])
        .failed(2, &["misplaced.yaml:6:", "there are no secrets here", "only workers know secrets"]);
}

#[test]
fn a_plan_shows_steps_and_runs_nothing() {
    let place = Place::new();
    let plan = place.tale(&["pipeline", "plan", "federated-training", "-p", "rounds=2"]).succeeded();
    plan.says(&[
        "rounds = 2",
        "learning.partition",
        "one after another",
        "later",
        "@scheduler",
        "3 attempts, 1s to 1m",
    ]);
    let plan = place
        .tale(&["pipeline", "plan", "hello", "--output", "json", "-p", "names=[1,2]"])
        .succeeded()
        .json();
    assert_eq!(plan["pipeline"], "hello");
    assert_eq!(plan["steps"][0]["tasks"]["now"].as_array().unwrap().len(), 2);
    place.write("flows/sound.yaml", SOUND);
    place.tale(&["pipeline", "plan", "flows/sound.yaml"]).succeeded().says(&["sleep"]);
    place.tale(&["pipeline", "plan", "sound", "--dir", "flows"]).succeeded().says(&["sleep"]);
    assert_eq!(place.names("."), ["flows"], "a plan started something");
}

#[test]
fn a_plan_that_cannot_be_made_says_what_there_is() {
    let place = Place::new();
    place.write("flows/wrong.yaml", WRONG);
    for (arguments, words) in [
        (&["nowhere"][..], &["no pipeline \"nowhere\"", "federated-training", "hello"][..]),
        (&["wrong", "--dir", "flows"], &["wrong.yaml:4:11", "did you mean sleep?"]),
        (&["x", "--dir", "none"], &["none"]),
        (&["flows/none.yaml"], &["cannot read flows/none.yaml"]),
        (&["hello", "-p", "nams=[]"], &["param nams", "did you mean names?"]),
        (&["hello", "-p", "names=3"], &["param names", "not a list"]),
        (&["hello", "-p", "names"], &["KEY=VALUE"]),
        (&["hello", "-p", "names=[]", "-p", "names=[]"], &["given twice"]),
        (&["federated-training", "-p", "rounds=0"], &["rounds", "less than 1", "dataset (string"]),
        (&["training-round"], &["lineage", "is required"]),
    ] {
        let arguments: Vec<&str> = ["pipeline", "plan"].iter().chain(arguments).copied().collect();
        place.tale(&arguments).failed(2, words);
    }
}

#[test]
fn the_schema_for_editors_is_the_one_that_is_committed() {
    let place = Place::new();
    let printed = place.tale(&["pipeline", "schema"]).succeeded().json();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipeline/pipeline.schema.json");
    let committed: serde_json::Value = serde_json::from_slice(&std::fs::read(committed).unwrap()).unwrap();
    assert_eq!(printed, committed);
}
