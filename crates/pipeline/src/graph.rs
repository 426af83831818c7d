//! Circles among steps.

/// The circles of a graph, each as the nodes along it from its least one: `needs[a]` lists what `a` needs.
/// Nodes in several circles are named in one of them; an acyclic graph has none. No recursion, linear time.
pub(crate) fn circles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut unmet: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); needs.len()];
    for (node, needed) in needs.iter().enumerate() {
        needed.iter().for_each(|need| dependents[*need].push(node));
    }
    let mut settled = vec![false; needs.len()];
    let mut ready: Vec<usize> = (0..needs.len()).filter(|node| unmet[*node] == 0).collect();
    let mut circles = Vec::new();
    let mut from = 0;
    loop {
        while let Some(node) = ready.pop() {
            if std::mem::replace(&mut settled[node], true) {
                continue;
            }
            for dependent in &dependents[node] {
                unmet[*dependent] -= 1;
                if unmet[*dependent] == 0 {
                    ready.push(*dependent);
                }
            }
        }
        // Whatever is left needs something that is left: following that must come round.
        let Some(start) = (from..needs.len()).find(|node| !settled[*node]) else { return circles };
        from = start;
        let circle = circle_from(start, needs, &settled);
        // As if the circle were resolved, to find the circles beyond it.
        ready.extend(circle.iter().copied());
        circles.push(circle);
    }
}

fn circle_from(start: usize, needs: &[Vec<usize>], settled: &[bool]) -> Vec<usize> {
    let mut places = std::collections::HashMap::new();
    let mut path = Vec::new();
    let mut node = start;
    while !places.contains_key(&node) {
        places.insert(node, path.len());
        path.push(node);
        node = needs[node].iter().copied().find(|need| !settled[*need]).unwrap_or(node);
    }
    let mut circle = path.split_off(places.get(&node).copied().unwrap_or(0));
    let least = circle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(place, _)| place);
    circle.rotate_left(least);
    circle
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_separate_circle_is_found_once() {
        assert_eq!(
            circles(&[vec![1], vec![2], vec![0], vec![4], vec![3], vec![0]]),
            [vec![0, 1, 2], vec![3, 4]]
        );
        assert_eq!(circles(&[vec![0]]), [vec![0]]);
    }

    proptest! {
        #[test]
        fn a_graph_whose_edges_all_point_back_has_no_circle(edges in prop::collection::vec((0usize..40, 0usize..40), 0..200)) {
            let mut needs = vec![Vec::new(); 40];
            for (a, b) in edges {
                if a != b {
                    needs[a.max(b)].push(a.min(b));
                }
            }
            prop_assert!(circles(&needs).is_empty());
        }

        #[test]
        fn what_is_called_a_circle_is_one(edges in prop::collection::vec((0usize..12, 0usize..12), 0..40)) {
            let mut needs = vec![Vec::new(); 12];
            for (a, b) in edges {
                needs[a].push(b);
            }
            for circle in circles(&needs) {
                for (place, node) in circle.iter().enumerate() {
                    prop_assert!(needs[*node].contains(&circle[(place + 1) % circle.len()]));
                }
            }
        }
    }
}
