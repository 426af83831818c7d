//! What an expression may cost: every turn of a macro's loop is charged against a budget.
//!
//! CEL has no loops but those of its macros (`map`, `filter`, `all` …), so an expression ends; nested macros
//! over long lists may still take days. The interpreter has no limit of its own, but the tree is ours: each
//! loop gets a call of a function that no author can write, which takes the price of one turn off the budget
//! of the step and fails once that is spent.

use cel::{
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr as Tree, LiteralValue, operators},
    common::types::{CelBool, CelInt},
};

use crate::expression::path_of;

/// The function that takes a price off the budget; its argument is a loop's place in [`Metered::loops`].
pub(crate) const CHARGE: &str = "@charge";

/// What the expressions of one step may spend: about a second of work.
pub(crate) const BUDGET: u64 = 10_000_000;

/// A tree whose loops are charged.
#[derive(Debug, Clone)]
pub(crate) struct Metered {
    /// The tree to evaluate.
    pub tree: Tree,
    /// What one turn of each loop costs, outermost loop first.
    pub loops: Vec<Turn>,
    /// What the tree reads outside of every loop.
    pub outside: Turn,
}

/// What a piece of a tree costs each time that it is evaluated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn {
    /// Its nodes.
    pub nodes: u64,
    /// The values from outside that it handles, each by its path: the whole value is charged.
    pub values: Vec<Vec<String>>,
    /// The lists of which it handles one item: the largest item is charged.
    pub items: Vec<Vec<String>>,
}

/// The variable of a loop, and the paths of the values that its items come from.
struct Bound {
    name: String,
    items: Vec<Vec<String>>,
}

/// Charges every loop of the tree.
pub(crate) fn meter(mut tree: Tree) -> Metered {
    let mut meter = Meter { loops: Vec::new(), bound: Vec::new() };
    let mut outside = Turn::default();
    meter.tree(&mut tree, &mut outside);
    Metered { tree, loops: meter.loops, outside }
}

struct Meter {
    loops: Vec<Turn>,
    bound: Vec<Bound>,
}

impl Meter {
    fn tree(&mut self, tree: &mut Tree, turn: &mut Turn) {
        turn.nodes += 1;
        if let Some((root, _, names)) = path_of(tree) {
            match self.bound.iter().rev().find(|bound| bound.name == root) {
                Some(bound) => turn.items.extend(bound.items.iter().cloned()),
                None => {
                    turn.values.push(std::iter::once(root).chain(names).map(str::to_owned).collect());
                }
            }
            return;
        }
        match &mut tree.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Select(select) => self.tree(&mut select.operand, turn),
            Expr::List(list) => list.elements.iter_mut().for_each(|item| self.tree(item, turn)),
            Expr::Map(map) => map.entries.iter_mut().for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.tree(&mut entry.key, turn);
                    self.tree(&mut entry.value, turn);
                }
                EntryExpr::StructField(field) => self.tree(&mut field.value, turn),
            }),
            Expr::Call(call) => {
                call.target.iter_mut().for_each(|target| self.tree(target, turn));
                call.args.iter_mut().for_each(|argument| self.tree(argument, turn));
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, turn),
        }
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr, turn: &mut Turn) {
        let mut range = Turn::default();
        self.tree(&mut comprehension.iter_range, &mut range);
        turn.nodes += range.nodes;
        let mut items = range.items;
        items.extend(range.values.iter().cloned());
        turn.values.extend(range.values);
        let place = self.loops.len();
        self.loops.push(Turn::default());
        self.bound.push(Bound { name: comprehension.iter_var.clone(), items });
        // The list that `map` and `filter` grow is appended to in place, so it is no cost of a turn.
        self.bound.push(Bound { name: comprehension.accu_var.clone(), items: Vec::new() });
        let mut inside = Turn::default();
        self.tree(&mut comprehension.loop_cond, &mut inside);
        self.tree(&mut comprehension.loop_step, &mut inside);
        self.bound.truncate(self.bound.len() - 2);
        if let Some(charged) = self.loops.get_mut(place) {
            *charged = inside;
        }
        charge(comprehension, place);
    }
}

/// Puts the charge where the interpreter meets it on every turn and lets its error through.
///
/// `all` and `exists` swallow errors of their step but not of their condition; `map`, `filter` and
/// `exists_one` let those of their step through, and the interpreter recognises `map` and `filter`, which it
/// runs in linear time, only by a literal condition and an untouched shape around the author's own part.
fn charge(comprehension: &mut ComprehensionExpr, place: usize) {
    if !matches!(comprehension.loop_cond.expr, Expr::Literal(_)) {
        wrap(&mut comprehension.loop_cond, place);
        return;
    }
    let step = &mut comprehension.loop_step;
    let inner = match &mut step.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => call.args.first_mut(),
        Expr::Call(call) if call.func_name == operators::ADD => {
            call.args.get_mut(1).and_then(|grown| match &mut grown.expr {
                Expr::List(list) => list.elements.first_mut(),
                _ => None,
            })
        }
        _ => None,
    };
    match inner {
        Some(inner) => wrap(inner, place),
        None => wrap(step, place),
    }
}

/// Turns `x` into `@charge(place) ? x : false`, which is `x` or the charge's error.
fn wrap(tree: &mut Tree, place: usize) {
    let node = |expr| Tree { id: 0, expr };
    let place =
        node(Expr::Literal(LiteralValue::Int(CelInt::from(i64::try_from(place).unwrap_or(i64::MAX)))));
    let charge = node(Expr::Call(CallExpr { func_name: CHARGE.to_owned(), target: None, args: vec![place] }));
    let never = node(Expr::Literal(LiteralValue::Boolean(CelBool::from(false))));
    let inner = std::mem::take(tree);
    let call = CallExpr {
        func_name: operators::CONDITIONAL.to_owned(),
        target: None,
        args: vec![charge, inner, never],
    };
    tree.expr = Expr::Call(call);
}
