//! The CEL interpreter over JSON, with the integers of JSON kept apart from its doubles.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use cel::{
    Context, Env, ExecutionError, Value as CelValue,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt},
        value::Val,
    },
    objects::Key,
    parser::Expression as Tree,
};
use serde_json::{Map, Number, Value};

use crate::{cost, params::shortened};

/// The most values in a result: a list of a million items, with room for what is in them.
const RESULT_VALUES_MAX: usize = 10_000_000;

/// The longest list that `range` makes, and so the largest fan-out.
pub(crate) const ITEMS_MAX: usize = 1_000_000;

/// The longest result of an expression, in bytes of its texts.
const RESULT_BYTES_MAX: usize = 256 << 20;

/// The sort of value, with its article, for messages.
pub(crate) fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The standard library of CEL without optional values, which JSON does not know.
static LIBRARY: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What an expression says that spends more than its step has.
pub(crate) const TOO_MUCH: &str =
    "takes too long: its loops handle too many values; prepare the data in a task";

/// A context with every function; each turn of the loop at a place takes its price off the budget.
pub(crate) fn context<'v>(prices: Vec<u64>, budget: &Arc<AtomicU64>) -> Result<Context<'v, 'v>, String> {
    let mut context = Context::with_env(Arc::clone(&LIBRARY));
    add_functions(&mut context, prices, budget).map_err(|error| error.to_string())?;
    Ok(context)
}

/// The value of a tree.
pub(crate) fn resolve(context: &Context<'_, '_>, tree: &Tree) -> Result<Value, String> {
    let result = context.resolve(tree).map_err(|error| explained(&error))?;
    let mut room = Room { values: RESULT_VALUES_MAX, bytes: RESULT_BYTES_MAX };
    room.json(&result)
}

fn add_functions(
    context: &mut Context<'_, '_>,
    prices: Vec<u64>,
    budget: &Arc<AtomicU64>,
) -> Result<(), cel::DeclarationError> {
    let spend = |budget: &AtomicU64, price: u64| {
        let spent = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(price));
        if spent.is_err() {
            // Spent for good, so that nothing around this loop goes on either.
            budget.store(0, Ordering::Relaxed);
        }
        spent.map(|_| ()).map_err(|_| ExecutionError::function_error(cost::CHARGE, TOO_MUCH))
    };
    let charged = Arc::clone(budget);
    context.add_function(cost::CHARGE, move |place: i64| -> Result<bool, ExecutionError> {
        let price = usize::try_from(place).ok().and_then(|place| prices.get(place)).copied().unwrap_or(1);
        spend(&charged, price.max(1)).map(|()| true)
    })?;
    let ranged = Arc::clone(budget);
    context.add_function("range", move |count: i64| -> Result<CelValue, ExecutionError> {
        let length = usize::try_from(count).ok().filter(|length| *length <= ITEMS_MAX).ok_or_else(|| {
            ExecutionError::function_error("range", format!("{count} is not between 0 and {ITEMS_MAX}"))
        })?;
        spend(&ranged, length as u64)?;
        Ok(CelValue::List(Arc::new((0..count).map(CelValue::Int).collect())))
    })?;
    context.add_function("flatten", |lists: Arc<Vec<CelValue>>| -> Result<CelValue, ExecutionError> {
        let mut flat = Vec::new();
        for list in lists.iter() {
            match list {
                CelValue::List(items) => flat.extend(items.iter().cloned()),
                _ => return Err(ExecutionError::function_error("flatten", "takes a list of lists")),
            }
        }
        Ok(CelValue::List(Arc::new(flat)))
    })?;
    context.add_function(
        "zip",
        |a: Arc<Vec<CelValue>>, b: Arc<Vec<CelValue>>| -> Result<CelValue, ExecutionError> {
            if a.len() != b.len() {
                let message = format!("takes lists of one length, not of {} and {}", a.len(), b.len());
                return Err(ExecutionError::function_error("zip", message));
            }
            let pairs = a.iter().zip(b.iter());
            let pairs = pairs.map(|(a, b)| CelValue::List(Arc::new(vec![a.clone(), b.clone()])));
            Ok(CelValue::List(Arc::new(pairs.collect())))
        },
    )?;
    context.add_function("max", cel::functions::max)?;
    context.add_function("min", cel::functions::min)
}

/// The interpreter's error in the words of the language.
fn explained(error: &ExecutionError) -> String {
    match error {
        ExecutionError::FunctionError { function, message } if function == cost::CHARGE => message.clone(),
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::NoSuchKey(key) => format!("there is no {key:?}"),
        ExecutionError::UndeclaredReference(name) => format!("there is no {name} here"),
        // The others show whole values, which may be of any size.
        other => shortened(&other.to_string()),
    }
}

/// The value as the interpreter takes it.
pub(crate) fn from_json(value: &Value) -> Box<dyn Val> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(boolean) => Box::new(CelBool::from(*boolean)),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), _, _) => Box::new(CelInt::from(integer)),
            (_, Some(integer), _) => Box::new(CelUInt::from(integer)),
            (_, _, Some(double)) => Box::new(CelDouble::from(double)),
            _ => Box::new(CelNull),
        },
        Value::String(text) => Box::new(CelString::from(text.clone())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(from_json).collect::<Vec<_>>())),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (CelMapKey::from(key.clone()), from_json(value)));
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
    }
}

/// What is left of the limits on a result.
struct Room {
    values: usize,
    bytes: usize,
}

impl Room {
    fn json(&mut self, value: &CelValue) -> Result<Value, String> {
        self.take(1, 0)?;
        Ok(match value {
            CelValue::Null => Value::Null,
            CelValue::Bool(boolean) => Value::Bool(*boolean),
            CelValue::Int(integer) => Value::Number((*integer).into()),
            CelValue::UInt(integer) => Value::Number((*integer).into()),
            CelValue::Float(double) => Number::from_f64(*double)
                .map(Value::Number)
                .ok_or_else(|| format!("the result {double} is no number that JSON can hold"))?,
            CelValue::String(text) => {
                self.take(0, text.len())?;
                Value::String(text.to_string())
            }
            CelValue::List(items) => {
                Value::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?)
            }
            CelValue::Map(map) => {
                // A hash map has no order that two evaluations share, so the keys give it one.
                let mut entries: Vec<_> = map.map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                let mut object = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    let Key::String(key) = key else {
                        return Err(format!("the key {key} of the result is not a string"));
                    };
                    self.take(0, key.len())?;
                    object.insert(key.to_string(), self.json(value)?);
                }
                Value::Object(object)
            }
            _ => return Err("the result is a value that JSON cannot hold".to_owned()),
        })
    }

    fn take(&mut self, values: usize, bytes: usize) -> Result<(), String> {
        let left = self.values.checked_sub(values).zip(self.bytes.checked_sub(bytes));
        (self.values, self.bytes) = left.ok_or("the result is too large")?;
        Ok(())
    }
}
