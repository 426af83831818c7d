//! The params of a run: defaults, types and bounds.

use std::io;

use serde_json::{Map, Number, Value};

use crate::{
    PipelineError, Problem, Source,
    problem::Problems,
    spec::{ParamSpec, ParamType, PipelineSpec},
    suggest,
    yaml::{self, Yaml, to_json_map},
};

/// One thing that is wrong with the params of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("param {name}: {message}")]
pub struct ParamProblem {
    /// The param.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// The most bytes that the params of a run have as JSON: they are stored with the run and read for each of its steps.
pub const PARAMS_BYTES_MAX: usize = 1 << 20;

/// The params of a run: those given, the defaults of the rest, every one checked.
///
/// # Errors
/// [`PipelineError::Params`] with every problem: unknown, missing, of the wrong type, out of bounds;
/// [`PipelineError::ParamsTooLarge`] where they have more than [`PARAMS_BYTES_MAX`] together.
pub fn resolve_params(
    spec: &PipelineSpec,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, PipelineError> {
    // before anything is copied
    refuse_size(given)?;
    let mut problems = Vec::new();
    let mut resolved = Map::new();
    for param in &spec.params {
        let name = param.name.as_str();
        match given.get(name).or(param.default.as_ref()) {
            Some(value) => match checked(param, value) {
                Ok(value) => drop(resolved.insert(name.to_owned(), value)),
                Err(message) => problems.push(ParamProblem {
                    name: name.to_owned(),
                    message,
                    help: param.description.clone(),
                }),
            },
            None => problems.push(ParamProblem {
                name: name.to_owned(),
                message: "is required".to_owned(),
                help: Some(format!("give it with -p {name}=<{}>", param.kind)),
            }),
        }
    }
    for name in given.keys() {
        if let Some(help) = unknown(spec, name) {
            problems.push(ParamProblem {
                name: name.clone(),
                message: format!("is not a param of pipeline {}", spec.name),
                help: Some(help),
            });
        }
    }
    if !problems.is_empty() {
        return Err(PipelineError::Params { problems });
    }
    refuse_size(&resolved)?;
    Ok(resolved)
}

/// Refuses params that are too large, without making a text of them.
fn refuse_size(params: &Map<String, Value>) -> Result<(), PipelineError> {
    let fits = serde_json::to_writer(Room(PARAMS_BYTES_MAX), params).is_ok();
    if fits { Ok(()) } else { Err(PipelineError::ParamsTooLarge { max: PARAMS_BYTES_MAX }) }
}

/// A writer that keeps nothing and takes so many bytes.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The params in a file, which is YAML and so may be JSON: a map from names to values.
///
/// # Errors
/// Every problem, by place.
pub fn parse_params(source: &Source) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Problems::new(source);
    let Some(document) = yaml::read(source, &mut problems) else { return Err(problems.into_sorted()) };
    let params = match &document.value {
        Yaml::Map(entries) => to_json_map(entries),
        other => {
            let message = format!("params are a map from names to values, not {}", other.article());
            problems.add(
                "wrong-type",
                document.span.clone(),
                message,
                "write `name: value` lines".to_owned(),
            );
            Map::new()
        }
    };
    if problems.is_empty() { Ok(params) } else { Err(problems.into_sorted()) }
}

/// The value of a param written as text, as in `-p key=text`, read as its declared type.
///
/// A list or an object is written as JSON. Bounds are left to [`resolve_params`].
///
/// # Errors
/// A [`ParamProblem`] where the param is unknown or the text is not of its type.
pub fn parse_param_text(spec: &PipelineSpec, key: &str, text: &str) -> Result<Value, ParamProblem> {
    let problem =
        |message: String, help: Option<String>| ParamProblem { name: key.to_owned(), message, help };
    let Some(param) = spec.params.iter().find(|param| param.name.as_str() == key) else {
        return Err(problem(format!("is not a param of pipeline {}", spec.name), unknown(spec, key)));
    };
    let value = match param.kind {
        ParamType::String => Some(Value::String(text.to_owned())),
        ParamType::Boolean => text.parse().ok().map(Value::Bool),
        // serde_json reads exactly the numbers that a stored value can hold, unlike Rust's own parser.
        ParamType::Integer | ParamType::Number | ParamType::List | ParamType::Object => {
            serde_json::from_str(text).ok()
        }
    };
    match value.and_then(|value| of_type(param.kind, &value)) {
        Some(value) => Ok(value),
        None => Err(problem(
            format!("{:?} is not {}", shortened(text), param.kind.article()),
            Some(param.kind.example().to_owned()),
        )),
    }
}

/// The value as its param stores it, or what is wrong with it.
pub(crate) fn checked(param: &ParamSpec, value: &Value) -> Result<Value, String> {
    let value = of_type(param.kind, value)
        .ok_or_else(|| format!("{} is not {}", shortened(&value.to_string()), param.kind.article()))?;
    if let Some(allowed) = &param.one_of
        && !allowed.iter().any(|allowed| same(param.kind, allowed, &value))
    {
        let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
        return Err(format!("{} is not one of {}", shortened(&value.to_string()), allowed.join(", ")));
    }
    let (noun, size) = match &value {
        Value::Number(number) => ("", number.clone()),
        Value::String(text) => ("its length ", text.chars().count().into()),
        Value::Array(items) => ("its length ", items.len().into()),
        _ => return Ok(value),
    };
    if let Some(min) = &param.min
        && less(&size, min)
    {
        return Err(format!("{noun}{size} is less than {min}"));
    }
    if let Some(max) = &param.max
        && less(max, &size)
    {
        return Err(format!("{noun}{size} is more than {max}"));
    }
    Ok(value)
}

/// The value in the form of this type, or nothing where it is of another. A whole double is an integer, as in
/// JSON Schema, and a number that is an integer stays one.
pub(crate) fn of_type(kind: ParamType, value: &Value) -> Option<Value> {
    match (kind, value) {
        (ParamType::String, Value::String(_))
        | (ParamType::Boolean, Value::Bool(_))
        | (ParamType::List, Value::Array(_))
        | (ParamType::Object, Value::Object(_))
        | (ParamType::Number, Value::Number(_)) => Some(value.clone()),
        (ParamType::Integer, Value::Number(number)) => whole(number).map(Value::Number),
        _ => None,
    }
}

/// The number as a 64-bit integer where it is one exactly.
fn whole(number: &Number) -> Option<Number> {
    /// Doubles below this hold every integer; above it, a whole double may be a rounded one.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_i64() || number.is_u64() {
        return Some(number.clone());
    }
    let double = number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() <= EXACT)?;
    Some((double as i64).into())
}

fn same(kind: ParamType, allowed: &Value, value: &Value) -> bool {
    match (allowed, value) {
        (Value::Number(a), Value::Number(b)) => !less(a, b) && !less(b, a),
        _ => of_type(kind, allowed).as_ref() == Some(value),
    }
}

/// Whether a < b; exact between integers.
pub(crate) fn less(a: &Number, b: &Number) -> bool {
    let integer =
        |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64() < b.as_f64(),
    }
}

/// What to say of a name that is no param, or nothing where it is one.
fn unknown(spec: &PipelineSpec, name: &str) -> Option<String> {
    let names: Vec<_> = spec.params.iter().map(|param| param.name.as_str()).collect();
    (!names.contains(&name)).then(|| suggest::help(name, &names, "params"))
}

/// At most this much of a value is repeated in a message.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl ParamType {
    /// Every type, as it is written.
    pub(crate) const NAMES: [&str; 6] = ["string", "integer", "number", "boolean", "list", "object"];

    /// The type with this written name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "string" => Some(Self::String),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Boolean),
            "list" => Some(Self::List),
            "object" => Some(Self::Object),
            _ => None,
        }
    }

    /// The type with its article, for messages.
    pub(crate) fn article(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::String => "any text",
            Self::Integer => "a whole number of at most 64 bits, such as 5",
            Self::Number => "a number, such as 0.5",
            Self::Boolean => "true or false",
            Self::List => "a JSON list, such as [1, 2]",
            Self::Object => "a JSON object, such as {\"a\": 1}",
        }
    }
}

impl std::fmt::Display for ParamType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
        })
    }
}
