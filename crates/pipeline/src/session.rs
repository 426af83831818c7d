//! The variables of a step, under which its expressions are evaluated.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
};

use cel::{
    common::{
        types::{CelMap, CelMapKey},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use serde_json::{Map, Value};

use crate::{
    StepOutputs,
    cost::{self, Metered, Turn},
    expression::{Body, Expression, Reference},
    interpreter::{self, ITEMS_MAX, TOO_MUCH, from_json},
    params::shortened,
};

/// The variables that one task has and its neighbours do not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Locals<'v> {
    /// `item` and `index`, in a fan-out.
    pub item: Option<(&'v Value, &'v Value)>,
    /// `previous`, in a sequence.
    pub previous: Option<&'v Value>,
    /// `event`, in the params of a trigger.
    pub event: Option<&'v Value>,
}

/// The variables of a step, and what its expressions may still spend.
pub(crate) struct Session<'v> {
    params: &'v Value,
    run: &'v Value,
    outputs: &'v StepOutputs,
    /// The same for the interpreter, translated when the first expression needs it.
    translated: OnceCell<Globals>,
    /// The weights found so far: a list of a hundred thousand items is weighed once, not once for each.
    weights: RefCell<HashMap<Vec<String>, Weights>>,
    budget: Arc<AtomicU64>,
}

/// How much there is to copy in a value, and in the heaviest item of it.
#[derive(Clone, Copy)]
struct Weights {
    whole: u64,
    item: u64,
}

impl<'v> Session<'v> {
    pub(crate) fn new(params: &'v Value, run: &'v Value, outputs: &'v StepOutputs) -> Self {
        let budget = Arc::new(AtomicU64::new(cost::BUDGET));
        Self { params, run, outputs, translated: OnceCell::new(), weights: RefCell::default(), budget }
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&self, expression: &Expression, locals: Locals<'_>) -> Result<Value, String> {
        match &expression.body {
            Body::Path => {
                let names: Vec<&str> = expression.references.iter().flat_map(path).collect();
                self.walk(&names, locals).cloned()
            }
            Body::Tree(metered) => self.interpret(metered, locals),
        }
    }

    /// The length of an expression that is `range(length)`, where that is a length; its list need not be made.
    pub(crate) fn range_of(&self, expression: &Expression) -> Option<u32> {
        let length = self.interpret(expression.range.as_ref()?, Locals::default()).ok()?.as_u64()?;
        u32::try_from(length).ok().filter(|length| *length as usize <= ITEMS_MAX)
    }

    fn variable<'a>(&'a self, name: &str, locals: Locals<'a>) -> Option<&'a Value> {
        match name {
            "params" => Some(self.params),
            "run" => Some(self.run),
            "item" => locals.item.map(|(item, _)| item),
            "index" => locals.item.map(|(_, index)| index),
            "previous" => locals.previous,
            "event" => locals.event,
            _ => None,
        }
    }

    /// The value at a path, as CEL would find it.
    fn walk<'a>(&'a self, names: &[&str], locals: Locals<'a>) -> Result<&'a Value, String> {
        let (mut value, rest) = match names {
            ["steps", step, "outputs", rest @ ..] => {
                (self.outputs.get(*step).ok_or_else(|| format!("step {step} has no outputs yet"))?, rest)
            }
            [root, rest @ ..] => {
                (self.variable(root, locals).ok_or_else(|| format!("there is no {root} here"))?, rest)
            }
            [] => return Err("there is no variable here".to_owned()),
        };
        for name in rest {
            value = match value {
                Value::Object(map) => map.get(*name).ok_or_else(|| no_key(name, map))?,
                Value::Null => {
                    return Err(format!("there is no {name:?} in null; a skipped step has null outputs"));
                }
                other => return Err(format!("there is no {name:?} in {}", interpreter::article(other))),
            };
        }
        Ok(value)
    }

    fn interpret(&self, metered: &Metered, locals: Locals<'_>) -> Result<Value, String> {
        if self.price(&metered.outside, locals) > cost::BUDGET {
            return Err(TOO_MUCH.to_owned());
        }
        let prices = metered.loops.iter().map(|turn| self.price(turn, locals)).collect();
        let mut context = interpreter::context(prices, &self.budget)?;
        context.set_variable_resolver(self.translated.get_or_init(|| self.translate()));
        if let Some((item, index)) = locals.item {
            context.add_variable_as_val("item", from_json(item));
            context.add_variable_as_val("index", from_json(index));
        }
        if let Some(previous) = locals.previous {
            context.add_variable_as_val("previous", from_json(previous));
        }
        if let Some(event) = locals.event {
            context.add_variable_as_val("event", from_json(event));
        }
        interpreter::resolve(&context, &metered.tree)
    }

    fn translate(&self) -> Globals {
        let steps = self.outputs.iter().map(|(step, outputs)| {
            let inner = HashMap::from([(CelMapKey::from("outputs".to_owned()), from_json(outputs))]);
            (CelMapKey::from(step.clone()), Box::new(CelMap::from(inner)) as Box<dyn Val>)
        });
        Globals {
            params: from_json(self.params),
            run: from_json(self.run),
            steps: Box::new(CelMap::from(steps.collect::<HashMap<_, _>>())),
        }
    }

    /// What one turn costs with these variables.
    fn price(&self, turn: &Turn, locals: Locals<'_>) -> u64 {
        let values = turn.values.iter().map(|path| self.weigh(path, locals).whole);
        let items = turn.items.iter().map(|path| self.weigh(path, locals).item);
        values.chain(items).fold(turn.nodes, u64::saturating_add)
    }

    fn weigh(&self, path: &[String], locals: Locals<'_>) -> Weights {
        if let Some(known) = self.weights.borrow().get(path) {
            return *known;
        }
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let weights = self.walk(&names, locals).map_or(Weights { whole: 1, item: 1 }, |value| {
            let item = match value {
                Value::Array(items) => items.iter().map(weight).max().unwrap_or(1),
                Value::Object(map) => map.values().map(weight).max().unwrap_or(1),
                scalar => weight(scalar),
            };
            Weights { whole: weight(value), item }
        });
        // The others are different for each task.
        if matches!(names.first(), Some(&("params" | "run" | "steps"))) {
            self.weights.borrow_mut().insert(path.to_owned(), weights);
        }
        weights
    }
}

/// How much there is to copy in a value: its parts, and its text by the line.
fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => 1 + text.len() as u64 / 64,
        Value::Array(items) => items.iter().map(weight).fold(1, u64::saturating_add),
        Value::Object(map) => map.values().map(weight).fold(1, u64::saturating_add),
        _ => 1,
    }
}

/// The variables that a whole step shares, as the interpreter takes them.
struct Globals {
    params: Box<dyn Val>,
    run: Box<dyn Val>,
    steps: Box<dyn Val>,
}

impl VariableResolver for Globals {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "params" => &self.params,
            "run" => &self.run,
            "steps" => &self.steps,
            _ => return None,
        };
        Some(CowVal::Borrowed(value.as_ref()))
    }
}

fn path(reference: &Reference) -> impl Iterator<Item = &str> {
    std::iter::once(reference.root.as_str()).chain(reference.path.iter().map(|segment| segment.name.as_str()))
}

fn no_key(name: &str, map: &Map<String, Value>) -> String {
    const SHOWN: usize = 12;
    let keys: Vec<&str> = map.keys().map(String::as_str).take(SHOWN).collect();
    let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
    format!("there is no {name:?}; there is {}", shortened(&keys))
}
