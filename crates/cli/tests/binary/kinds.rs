use crate::tale::Place;

#[test]
fn the_kinds_are_listed_and_each_publishes_its_schemas() {
    let place = Place::new();
    place.tale(&["kinds"]).succeeded().says(&[
        "learning.train",
        "pov.decide",
        "settlement.seal",
        "sleep",
        "shell",
        "http",
        "sql.parquet",
        "sql.postgres",
        "pipeline",
    ]);
    let kinds = place.tale(&["kinds", "--output", "json"]).succeeded().json();
    for kind in kinds.as_array().unwrap() {
        let name = kind["name"].as_str().unwrap();
        assert!(!kind["summary"].as_str().unwrap().is_empty(), "{name}");
        let one = place.tale(&["kinds", name, "--output", "json"]).succeeded().json();
        assert_eq!(&one, kind);
        assert!(one["arguments"]["type"] == "object", "{name}: {}", one["arguments"]);
    }
    place.tale(&["kinds", "sleep"]).succeeded().says(&["\"seconds\"", "outputs"]);
}

#[test]
fn an_unknown_kind_gets_the_nearest_name() {
    let place = Place::new();
    place.tale(&["kinds", "learning.trian"]).failed(2, &["learning.trian", "did you mean learning.train?"]);
    place.tale(&["kinds", "banana"]).failed(2, &["banana", "sleep"]);
    place.tale(&["kinds", "${x}\n'\""]).failed(2, &["there is no task kind"]);
}
