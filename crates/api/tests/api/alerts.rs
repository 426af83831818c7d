//! The files for Prometheus, held against the page that names the metrics.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::{exposition::Exposition, plant::Plant};

const PAGE: &str = include_str!("../../README.md");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(rename = "for", default)]
    after: Option<String>,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    severity: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: Option<String>,
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tale_")).map(str::to_owned).collect()
}

/// Every bracket has its other half, outside of quotation marks.
fn is_balanced(expression: &str) -> bool {
    let mut open = Vec::new();
    let mut is_quoted = false;
    for c in expression.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    open.is_empty() && !is_quoted
}

#[test]
fn the_alerts_are_rules_of_prometheus_over_metrics_that_there_are() {
    let alerts: Alerts =
        serde_saphyr::from_str(include_str!("../../../../infra/prometheus/alerts.yml")).unwrap();
    let known = names(PAGE);
    let mut seen = BTreeSet::new();
    for rule in alerts.groups.iter().flat_map(|group| {
        assert!(!group.name.is_empty() && !group.rules.is_empty());
        &group.rules
    }) {
        assert!(rule.alert.starts_with("Tale") && seen.insert(rule.alert.clone()), "{}", rule.alert);
        assert!(is_balanced(&rule.expr), "{}", rule.expr);
        let used = names(&rule.expr);
        assert!(!used.is_empty(), "{}", rule.expr);
        for name in used {
            let family = name.trim_end_matches("_bucket");
            assert!(known.contains(family), "{}: there is no metric {name}", rule.alert);
        }
        if let Some(after) = &rule.after {
            let number = after.trim_end_matches(['s', 'm', 'h']);
            assert!(number.len() + 1 == after.len() && number.parse::<u32>().is_ok(), "{after}");
        }
        assert!(["critical", "warning", "info"].contains(&rule.labels.severity.as_str()), "{rule:?}");
        assert!(!rule.annotations.summary.is_empty());
        assert!(rule.annotations.description.as_ref().is_none_or(|text| text.ends_with('.')), "{rule:?}");
    }
    assert!(seen.len() >= 10);
}

#[test]
fn the_scrape_configuration_names_the_default_port_and_the_alerts() {
    let text = include_str!("../../../../infra/prometheus/prometheus.yml");
    let configuration: Value = serde_saphyr::from_str(text).unwrap();
    assert_eq!(configuration["rule_files"][0], "alerts.yml");
    let target = &configuration["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(*target, format!("127.0.0.1:{}", tale_api::DEFAULT_PORT));
}

#[tokio::test]
async fn the_page_names_every_metric_that_there_is() {
    let plant = Plant::set_up().await;
    for rows in [
        "insert into queue.gate (key, capacity) values ('a', 2)",
        "insert into queue.admitted (task_id, key) values (-1, 'a')",
        "update queue.pool set leases_max = 3",
        "update queue.pipeline set runs_max = 1",
    ] {
        sqlx::query(rows).execute(plant.database.pool()).await.unwrap();
    }
    crate::plant::Answer::of(plant.start(&serde_json::json!({}))).await.json(201);
    let text = plant.get("/metrics").await.text;
    let families: BTreeSet<String> = Exposition::read(&text).families.into_keys().collect();
    assert!(families.len() > 20, "{families:?}");
    let unnamed: Vec<&String> = families.iter().filter(|family| !names(PAGE).contains(*family)).collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
    for expected in ["tale_queue_pool_places", "tale_queue_limit_places", "tale_queue_pipeline_places"] {
        assert!(families.contains(expected), "{expected} is not in {families:?}");
    }
}
