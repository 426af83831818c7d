//! A run as a graph of its steps, left to right, as inline SVG.

use super::figures::{counted, duration};
use super::layering::{Arrow, Layout, NODE_HEIGHT, Place, lay_out};
use super::markup::{each, escape};
use super::{RunGraph, StepNode};

/// Around the drawing, so that strokes are not cut.
const MARGIN: f64 = 1.0;
/// Inside a box, left and right.
const PADDING: f64 = 12.0;
/// What the sign of the state takes beside the name.
const SIGN: f64 = 22.0;
/// A box is never narrower.
const WIDTH_MIN: f64 = 92.0;
/// Text longer than this many characters is cut; the tooltip has it all.
const TEXT_MAX: usize = 30;
/// The average width of a character, in parts of the font's size: a little generous, since fonts differ.
const CHARACTER_WIDTH: f64 = 0.56;
const NAME_SIZE: f64 = 14.0;
const LINE_SIZE: f64 = 11.5;
/// An arrowhead's length: where a line ends before the box.
const HEAD: f64 = 6.0;
/// On a narrow screen the drawing shrinks to this part of its size, then scrolls.
const SHRINK_MAX: f64 = 0.85;

/// The graph with its heading; `index` tells it apart from the others on the page.
pub fn render(graph: &RunGraph, index: usize) -> String {
    let title = escape(&graph.title);
    if graph.steps.is_empty() {
        return format!(
            r#"<figure class="graph"><figcaption><h3>{title}</h3></figcaption><p class="empty">This run has no steps.</p></figure>"#
        );
    }
    let widths: Vec<f64> = graph.steps.iter().map(width).collect();
    let dependents: Vec<Vec<usize>> = graph.steps.iter().map(|step| step.dependents.clone()).collect();
    let layout = lay_out(&widths, &dependents);
    let tasks: u64 = graph.steps.iter().map(|step| step.tasks).sum();
    let steps = u64::try_from(graph.steps.len()).unwrap_or(u64::MAX);
    format!(
        r#"<figure class="graph"><figcaption><h3>{title}</h3><p>{}, {}</p></figcaption>
<div class="scroll" tabindex="0" role="group" aria-label="Graph of {title}">{}</div></figure>
"#,
        counted(steps, "step", "steps"),
        counted(tasks, "task", "tasks"),
        drawing(graph, &layout, index)
    )
}

fn drawing(graph: &RunGraph, layout: &Layout, index: usize) -> String {
    let (width, height) = (layout.width + 2.0 * MARGIN, layout.height + 2.0 * MARGIN);
    format!(
        r#"<svg viewBox="{edge} {edge} {width:.1} {height:.1}" width="{width:.0}" height="{height:.0}" style="min-width:{least:.0}px" role="img" aria-labelledby="graph-{index}-title graph-{index}-description">
<title id="graph-{index}-title">Steps of {title}</title><desc id="graph-{index}-description">{description}</desc>
{arrows}{boxes}</svg>"#,
        edge = -MARGIN,
        least = width * SHRINK_MAX,
        title = escape(&graph.title),
        description = escape(&describe(graph)),
        arrows = each(&layout.arrows, arrow),
        boxes = each(graph.steps.iter().zip(&layout.places), |(step, place)| node(step, *place)),
    )
}

/// The graph in words.
fn describe(graph: &RunGraph) -> String {
    let sentences: Vec<String> = graph
        .steps
        .iter()
        .map(|step| {
            let next: Vec<&str> = step
                .dependents
                .iter()
                .filter_map(|&place| graph.steps.get(place))
                .map(|step| step.name.as_str())
                .collect();
            let needed_by =
                if next.is_empty() { String::new() } else { format!("; needed by {}", next.join(", ")) };
            format!("{}: {}{needed_by}.", step.name, summary(step))
        })
        .collect();
    sentences.join(" ")
}

fn summary(step: &StepNode) -> String {
    let time = step.seconds.map(|seconds| format!(", {}", duration(seconds))).unwrap_or_default();
    format!("{}, {}, {}{time}", step.kind, step.state, counted(step.tasks, "task", "tasks"))
}

/// The last line of a box. Success goes without saying: the sign says it.
fn figures(step: &StepNode) -> String {
    let mut parts = Vec::new();
    if step.state != "succeeded" {
        parts.push(step.state.replace('_', " "));
    }
    if step.tasks != 1 || step.state == "succeeded" {
        parts.push(counted(step.tasks, "task", "tasks"));
    }
    parts.extend(step.seconds.map(duration));
    parts.join(" · ")
}

fn width(step: &StepNode) -> f64 {
    let text = |text: &str, size: f64| cut(text).chars().count() as f64 * size * CHARACTER_WIDTH;
    let name = text(&step.name, NAME_SIZE) + SIGN;
    let lines = text(&step.kind, LINE_SIZE).max(text(&figures(step), LINE_SIZE));
    (name.max(lines) + 2.0 * PADDING).max(WIDTH_MIN).round()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TEXT_MAX {
        return text.to_owned();
    }
    text.chars().take(TEXT_MAX - 1).chain(['…']).collect()
}

fn node(step: &StepNode, place: Place) -> String {
    let Place { x, y, width } = place;
    let symbol = match step.state.as_str() {
        "succeeded" => "yes",
        "failed" | "upstream_failed" => "no",
        "running" | "expanding" => "busy",
        _ => "idle",
    };
    let left = x + PADDING;
    format!(
        r##"<g class="node {symbol}"><title>{tooltip}</title><rect class="box" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{NODE_HEIGHT}" rx="6"/><text class="name" x="{left:.1}" y="{name_y:.1}">{name}</text><use class="mark {symbol}" href="#{symbol}" x="{sign_x:.1}" y="{sign_y:.1}" width="14" height="14"/><text class="kind" x="{left:.1}" y="{kind_y:.1}">{kind}</text><text class="figures" x="{left:.1}" y="{figures_y:.1}">{figures}</text></g>
"##,
        tooltip = escape(&format!("{}: {}", step.name, summary(step))),
        name = escape(&cut(&step.name)),
        kind = escape(&cut(&step.kind)),
        figures = escape(&cut(&figures(step))),
        sign_x = x + width - PADDING - 12.0,
        name_y = y + 24.0,
        sign_y = y + 12.0,
        kind_y = y + 43.0,
        figures_y = y + 60.0,
    )
}

/// A line with its head: a curve between columns, straight across those that it passes.
fn arrow(arrow: &Arrow) -> String {
    let Some((&start, rest)) = arrow.points.split_first() else { return String::new() };
    let Some(&end) = rest.last() else { return String::new() };
    let mut path = format!("M{:.1} {:.1}", start.0, start.1);
    let mut from = start;
    for (index, &to) in rest.iter().enumerate() {
        // The points come in pairs, the left and the right edge of a column, so every other stretch is a crossing.
        if index % 2 == 1 {
            path.push_str(&format!("H{:.1}", to.0));
        } else {
            let x = if index + 1 == rest.len() { to.0 - HEAD } else { to.0 };
            let middle = (from.0 + x) / 2.0;
            path.push_str(&format!("C{middle:.1} {:.1} {middle:.1} {:.1} {x:.1} {:.1}", from.1, to.1, to.1));
        }
        from = to;
    }
    let (x, y) = end;
    format!(
        r#"<path class="arrow" d="{path}"/><path class="head" d="M{x:.1} {y:.1}l-{HEAD} -3.5v7z"/>
"#
    )
}
