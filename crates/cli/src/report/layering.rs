//! Where the steps of a run go: columns by depth of dependency, nothing on top of anything else.
//!
//! A layered layout after Sugiyama: arrows that others imply are dropped, every step stands in the column of
//! its depth, an arrow over several columns gets a slot of its own in each column it passes, and the slots of
//! a column are ordered by the middle of their neighbours. So an arrow curves between columns alone, and no
//! arrow can cross a step.

use std::collections::BTreeSet;

/// The height of a step.
pub const NODE_HEIGHT: f64 = 74.0;
/// What an arrow takes of a column that it passes.
const BEND_HEIGHT: f64 = 16.0;
/// Between the slots of a column.
const SLOT_GAP: f64 = 18.0;
/// Between columns.
const COLUMN_GAP: f64 = 28.0;
/// Between the arrows that end at one step.
const PORT_GAP: f64 = 12.0;
/// Passes over the columns, forth and back.
const SWEEPS: usize = 6;

/// Where everything goes.
pub struct Layout {
    /// The steps' boxes, in the order they came.
    pub places: Vec<Place>,
    /// The arrows.
    pub arrows: Vec<Arrow>,
    /// The whole drawing.
    pub width: f64,
    /// The whole drawing.
    pub height: f64,
}

/// A box, by its upper left corner.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width; that of every box in its column.
    pub width: f64,
}

/// An arrow, through these points: a curve from one column to the next, a straight line across a column.
pub struct Arrow {
    /// From the right edge of a step to the left edge of another.
    pub points: Vec<(f64, f64)>,
}

/// Something that takes room in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Node(usize),
    Bend(usize),
}

impl Slot {
    fn height(self) -> f64 {
        match self {
            Self::Node(_) => NODE_HEIGHT,
            Self::Bend(_) => BEND_HEIGHT,
        }
    }
}

/// Lays out steps of these widths; `dependents` says, for each, which need it. Arrows out of range or against the order are left out.
pub fn lay_out(widths: &[f64], dependents: &[Vec<usize>]) -> Layout {
    let edges = essential(dependents);
    let depth = depths(widths.len(), &edges);
    // In a cycle, which no checked pipeline has, an arrow may point back; it cannot be drawn.
    let edges: Vec<(usize, usize)> =
        edges.into_iter().filter(|&(from, to)| depth[from] < depth[to]).collect();
    let mut columns = columns(&depth, &edges);
    order(&mut columns, &edges, &depth);
    position(&columns, widths, &edges, &depth)
}

/// The arrows that no other way from the same start to the same end implies.
fn essential(dependents: &[Vec<usize>]) -> Vec<(usize, usize)> {
    let direct: Vec<BTreeSet<usize>> = dependents
        .iter()
        .enumerate()
        .map(|(from, to)| to.iter().copied().filter(|&to| to < dependents.len() && to != from).collect())
        .collect();
    let reach: Vec<BTreeSet<usize>> = (0..direct.len()).map(|from| reachable(&direct, from)).collect();
    let mut edges = Vec::new();
    for (from, targets) in direct.iter().enumerate() {
        for &to in targets {
            if !targets.iter().any(|&other| other != to && reach[other].contains(&to)) {
                edges.push((from, to));
            }
        }
    }
    edges
}

fn reachable(direct: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = direct[from].iter().copied().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&direct[next]);
        }
    }
    found
}

/// The longest way to each step from one that needs nothing.
fn depths(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut depth = vec![0; nodes];
    let mut unmet = vec![0usize; nodes];
    for &(_, to) in edges {
        unmet[to] += 1;
    }
    let mut ready: Vec<usize> = (0..nodes).filter(|&node| unmet[node] == 0).collect();
    while let Some(node) = ready.pop() {
        for &(_, to) in edges.iter().filter(|edge| edge.0 == node) {
            depth[to] = depth[to].max(depth[node] + 1);
            unmet[to] -= 1;
            if unmet[to] == 0 {
                ready.push(to);
            }
        }
    }
    depth
}

fn columns(depth: &[usize], edges: &[(usize, usize)]) -> Vec<Vec<Slot>> {
    let mut columns = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
    for (node, &column) in depth.iter().enumerate() {
        columns[column].push(Slot::Node(node));
    }
    for (edge, &(from, to)) in edges.iter().enumerate() {
        for column in &mut columns[depth[from] + 1..depth[to]] {
            column.push(Slot::Bend(edge));
        }
    }
    columns
}

/// Orders each column by the middle of what its slots are joined to, forth and back.
fn order(columns: &mut [Vec<Slot>], edges: &[(usize, usize)], depth: &[usize]) {
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        for step in 1..columns.len() {
            let (own, beside) =
                if forth { (step, step - 1) } else { (columns.len() - 1 - step, columns.len() - step) };
            let neighbours = columns[beside].clone();
            let middle = |slot: Slot| {
                let joined: Vec<usize> = edges
                    .iter()
                    .enumerate()
                    .filter(|&(edge, _)| slot_of(edge, edges, depth, own) == Some(slot))
                    .filter_map(|(edge, _)| slot_of(edge, edges, depth, beside))
                    .filter_map(|wanted| neighbours.iter().position(|&slot| slot == wanted))
                    .collect();
                (!joined.is_empty()).then(|| joined.iter().sum::<usize>() as f64 / joined.len() as f64)
            };
            let mut keyed: Vec<(f64, Slot)> = columns[own]
                .iter()
                .enumerate()
                .map(|(index, &slot)| (middle(slot).unwrap_or(index as f64), slot))
                .collect();
            // A stable sort: what has no preference, or the same, keeps its order.
            keyed.sort_by(|left, right| left.0.total_cmp(&right.0));
            columns[own] = keyed.into_iter().map(|(_, slot)| slot).collect();
        }
    }
}

/// What an arrow meets in a column: its start, its end, a bend, or nothing.
fn slot_of(edge: usize, edges: &[(usize, usize)], depth: &[usize], column: usize) -> Option<Slot> {
    let (from, to) = edges[edge];
    match column {
        _ if column == depth[from] => Some(Slot::Node(from)),
        _ if column == depth[to] => Some(Slot::Node(to)),
        _ if column > depth[from] && column < depth[to] => Some(Slot::Bend(edge)),
        _ => None,
    }
}

fn position(columns: &[Vec<Slot>], widths: &[f64], edges: &[(usize, usize)], depth: &[usize]) -> Layout {
    let column_height = |column: &Vec<Slot>| {
        column.iter().map(|slot| slot.height() + SLOT_GAP).sum::<f64>()
            - if column.is_empty() { 0.0 } else { SLOT_GAP }
    };
    let height = columns.iter().map(column_height).fold(0.0, f64::max);
    let mut places = vec![Place::default(); widths.len()];
    let mut bends: Vec<Vec<(f64, f64)>> = vec![Vec::new(); edges.len()];
    let mut x = 0.0;
    for column in columns {
        let width = column
            .iter()
            .map(|slot| if let Slot::Node(node) = slot { widths[*node] } else { 0.0 })
            .fold(0.0, f64::max);
        let mut y = (height - column_height(column)) / 2.0;
        for &slot in column {
            match slot {
                Slot::Node(node) => places[node] = Place { x, y, width },
                Slot::Bend(edge) => {
                    let middle = y + BEND_HEIGHT / 2.0;
                    bends[edge].extend([(x, middle), (x + width, middle)]);
                }
            }
            y += slot.height() + SLOT_GAP;
        }
        x += width + COLUMN_GAP;
    }
    let arrows = arrows(&places, &bends, edges, depth);
    Layout { places, arrows, width: (x - COLUMN_GAP).max(0.0), height }
}

fn arrows(
    places: &[Place],
    bends: &[Vec<(f64, f64)>],
    edges: &[(usize, usize)],
    depth: &[usize],
) -> Vec<Arrow> {
    let start = |from: usize| (places[from].x + places[from].width, places[from].y + NODE_HEIGHT / 2.0);
    // The height from which an arrow comes to its last column.
    let arrival = |edge: usize| bends[edge].last().map_or(start(edges[edge].0).1, |bend| bend.1);
    edges
        .iter()
        .enumerate()
        .map(|(edge, &(from, to))| {
            let mut into: Vec<usize> = (0..edges.len()).filter(|&other| edges[other].1 == to).collect();
            into.sort_by(|&left, &right| {
                arrival(left)
                    .total_cmp(&arrival(right))
                    .then(depth[edges[left].0].cmp(&depth[edges[right].0]))
            });
            let port = into.iter().position(|&other| other == edge).unwrap_or(0) as f64;
            let gap = PORT_GAP.min((NODE_HEIGHT - 16.0) / into.len() as f64);
            let y = places[to].y + NODE_HEIGHT / 2.0 + (port - (into.len() - 1) as f64 / 2.0) * gap;
            let mut points = vec![start(from)];
            points.extend(&bends[edge]);
            points.push((places[to].x, y));
            Arrow { points }
        })
        .collect()
}
