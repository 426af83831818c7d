//! A step with its expressions compiled.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tale_primitives::{SecretName, SecretPart};

use crate::{
    PipelineError,
    expression::Expression,
    session::{Locals, Session},
    spec::{OUTPUTS_STEP, PipelineSpec, StepSpec},
    template::{self, Part},
};

/// A step whose expressions are compiled, ready to be evaluated for any number of tasks.
pub(crate) struct Program<'s> {
    pub name: &'s str,
    pub when: Option<Template>,
    pub for_each: Option<Template>,
    pub with: Template,
    /// The key of its limit.
    pub limit_key: Option<Template>,
    /// The key under which its results are kept.
    pub cache_key: Option<Template>,
}

/// A value with its expressions compiled.
pub(crate) struct Template {
    /// The path of the value within the step.
    place: String,
    /// Whether its texts take the stored form in which a worker finds secrets.
    takes_secrets: bool,
    shape: Shape,
}

/// What a value belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Site<'s> {
    step: &'s str,
    takes_secrets: bool,
}

impl<'s> Site<'s> {
    /// A place in which secrets are not filled in.
    pub(crate) fn without_secrets(step: &'s str) -> Self {
        Self { step, takes_secrets: false }
    }
}

enum Shape {
    /// There is no expression in it.
    Literal(Value),
    /// It is one expression, and keeps its type.
    Expression(Box<Expression>),
    /// It is one secret, whose place a worker fills.
    Secret(SecretName),
    /// A text with expressions in it.
    Text(Vec<Piece>),
    List(Vec<Template>),
    Map(Vec<(String, Template)>),
}

enum Piece {
    Text(String),
    Expression(Box<Expression>),
    Secret(SecretName),
}

impl<'s> Program<'s> {
    /// The step at this index, where the one after the last is `@outputs`.
    pub(crate) fn at(spec: &'s PipelineSpec, index: u16) -> Result<Self, PipelineError> {
        match (spec.steps.get(usize::from(index)), &spec.outputs) {
            (Some(step), _) => Self::of_step(step),
            (None, Some(outputs)) if usize::from(index) == spec.steps.len() => Self::of_outputs(outputs),
            _ => Err(PipelineError::NoSuchStep { pipeline: spec.name.to_string(), index }),
        }
    }

    pub(crate) fn of_step(step: &'s StepSpec) -> Result<Self, PipelineError> {
        let name = step.name.as_str();
        let outside = Site::without_secrets(name);
        let inside = Site { step: name, takes_secrets: step.takes_secrets() };
        let compile = |value: &Value, place: &str| Template::compile(outside, place.to_owned(), value);
        Ok(Self {
            name,
            when: step.when.as_ref().map(|value| compile(value, "when")).transpose()?,
            for_each: step.for_each.as_ref().map(|value| compile(value, "for_each")).transpose()?,
            with: Template::compile_map(inside, "with".to_owned(), &step.with)?,
            limit_key: step.limit.as_ref().map(|limit| compile(&limit.key, "limit.key")).transpose()?,
            cache_key: step
                .cache
                .as_ref()
                .and_then(|cache| cache.key.as_ref())
                .map(|key| compile(key, "cache.key"))
                .transpose()?,
        })
    }

    pub(crate) fn of_outputs(outputs: &Map<String, Value>) -> Result<Self, PipelineError> {
        let site = Site::without_secrets(OUTPUTS_STEP);
        let with = Template::compile_map(site, "outputs".to_owned(), outputs)?;
        Ok(Self { name: OUTPUTS_STEP, when: None, for_each: None, with, limit_key: None, cache_key: None })
    }

    /// The steps whose outputs it reads.
    pub(crate) fn steps(&self) -> BTreeSet<&str> {
        let mut steps = BTreeSet::new();
        let keys = self.limit_key.iter().chain(&self.cache_key);
        let templates = self.when.iter().chain(&self.for_each).chain([&self.with]).chain(keys);
        templates.for_each(|template| template.add_steps(&mut steps));
        steps
    }

    /// The steps whose outputs it reads beside the list that it fans out over.
    pub(crate) fn steps_beside_list(&self) -> BTreeSet<&str> {
        let mut steps = BTreeSet::new();
        let templates = self.when.iter().chain([&self.with]).chain(&self.limit_key).chain(&self.cache_key);
        templates.for_each(|template| template.add_steps(&mut steps));
        steps
    }

    /// Adds the secrets that its tasks need.
    pub(crate) fn add_secrets(&self, secrets: &mut BTreeSet<SecretName>) {
        self.with.add_secrets(secrets);
    }
}

impl Template {
    pub(crate) fn compile(site: Site<'_>, place: String, value: &Value) -> Result<Self, PipelineError> {
        match value {
            Value::String(text) if text.contains("${") => Self::compile_text(site, place, text),
            Value::Array(items) => {
                let compile =
                    |(index, item): (usize, &Value)| Self::compile(site, format!("{place}.{index}"), item);
                let items = items.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()?;
                let shape = if items.iter().all(Self::is_literal) {
                    Shape::Literal(value.clone())
                } else {
                    Shape::List(items)
                };
                Ok(Self { place, takes_secrets: site.takes_secrets, shape })
            }
            Value::Object(map) => Self::compile_map(site, place, map),
            scalar => {
                Ok(Self { place, takes_secrets: site.takes_secrets, shape: Shape::Literal(scalar.clone()) })
            }
        }
    }

    pub(crate) fn compile_map(
        site: Site<'_>,
        place: String,
        map: &Map<String, Value>,
    ) -> Result<Self, PipelineError> {
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            entries.push((key.clone(), Self::compile(site, format!("{place}.{key}"), value)?));
        }
        let shape = if entries.iter().all(|(_, template)| template.is_literal()) {
            Shape::Literal(Value::Object(map.clone()))
        } else {
            Shape::Map(entries)
        };
        Ok(Self { place, takes_secrets: site.takes_secrets, shape })
    }

    fn compile_text(site: Site<'_>, place: String, text: &str) -> Result<Self, PipelineError> {
        let failed = |expression: &str, message: String| PipelineError::Expression {
            step: site.step.to_owned(),
            place: place.clone(),
            expression: expression.to_owned(),
            message,
        };
        let parts = template::parts(text).map_err(|_| failed(text, "a ${ is never closed".to_owned()))?;
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            pieces.push(match part {
                Part::Text(text) => Piece::Text(text),
                Part::Expression { text, .. } => {
                    let expression =
                        Expression::compile(text).map_err(|error| failed(text, error.message))?;
                    match expression.secret().filter(|_| site.takes_secrets) {
                        Some(name) => Piece::Secret(name),
                        None => Piece::Expression(Box::new(expression)),
                    }
                }
            });
        }
        let shape = match pieces.pop() {
            Some(Piece::Expression(expression)) if pieces.is_empty() => Shape::Expression(expression),
            Some(Piece::Secret(name)) if pieces.is_empty() => Shape::Secret(name),
            Some(Piece::Text(text)) if pieces.is_empty() => Shape::Literal(Value::String(text)),
            last => {
                pieces.extend(last);
                Shape::Text(pieces)
            }
        };
        Ok(Self { place, takes_secrets: site.takes_secrets, shape })
    }

    fn is_literal(&self) -> bool {
        // An escaped `$${` is a literal too, but not the one that was written.
        matches!(&self.shape, Shape::Literal(value) if !matches!(value, Value::String(text) if text.contains("${")))
    }

    /// The expression that is the whole value, where it is one.
    pub(crate) fn expression(&self) -> Option<&Expression> {
        match &self.shape {
            Shape::Expression(expression) => Some(expression),
            _ => None,
        }
    }

    /// Whether it is another value for each item of a fan-out.
    pub(crate) fn reads_item(&self) -> bool {
        let reads = |expression: &Expression| {
            let roots = expression.references.iter().map(|reference| reference.root.as_str());
            roots.into_iter().any(|root| matches!(root, "item" | "index"))
        };
        match &self.shape {
            Shape::Literal(_) | Shape::Secret(_) => false,
            Shape::Expression(expression) => reads(expression),
            Shape::Text(pieces) => pieces.iter().any(|piece| match piece {
                Piece::Text(_) | Piece::Secret(_) => false,
                Piece::Expression(expression) => reads(expression),
            }),
            Shape::List(items) => items.iter().any(Self::reads_item),
            Shape::Map(entries) => entries.iter().any(|(_, entry)| entry.reads_item()),
        }
    }

    pub(crate) fn add_steps<'t>(&'t self, steps: &mut BTreeSet<&'t str>) {
        let mut add = |expression: &'t Expression| {
            let named = expression.references.iter().filter(|reference| reference.root == "steps");
            steps.extend(named.filter_map(|reference| reference.path.first()).map(|step| step.name.as_str()));
        };
        match &self.shape {
            Shape::Literal(_) | Shape::Secret(_) => {}
            Shape::Expression(expression) => add(expression),
            Shape::Text(pieces) => pieces.iter().for_each(|piece| match piece {
                Piece::Text(_) | Piece::Secret(_) => {}
                Piece::Expression(expression) => add(expression),
            }),
            Shape::List(items) => items.iter().for_each(|item| item.add_steps(steps)),
            Shape::Map(entries) => entries.iter().for_each(|(_, entry)| entry.add_steps(steps)),
        }
    }

    fn add_secrets(&self, secrets: &mut BTreeSet<SecretName>) {
        match &self.shape {
            Shape::Literal(_) | Shape::Expression(_) => {}
            Shape::Secret(name) => drop(secrets.insert(name.clone())),
            Shape::Text(pieces) => secrets.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Secret(name) => Some(name.clone()),
                Piece::Text(_) | Piece::Expression(_) => None,
            })),
            Shape::List(items) => items.iter().for_each(|item| item.add_secrets(secrets)),
            Shape::Map(entries) => entries.iter().for_each(|(_, entry)| entry.add_secrets(secrets)),
        }
    }

    /// The value with every expression evaluated.
    pub(crate) fn evaluate(
        &self,
        step: &str,
        session: &Session<'_>,
        locals: Locals<'_>,
    ) -> Result<Value, PipelineError> {
        let value = |expression: &Expression| {
            session.evaluate(expression, locals).map_err(|message| PipelineError::Expression {
                step: step.to_owned(),
                place: self.place.clone(),
                expression: expression.text.clone(),
                message,
            })
        };
        match &self.shape {
            Shape::Literal(literal) => Ok(self.stored(literal.clone())),
            Shape::Expression(expression) => Ok(self.stored(value(expression)?)),
            Shape::Secret(name) => Ok(Value::String(SecretPart::store([SecretPart::Secret(name.clone())]))),
            Shape::Text(pieces) => {
                let parts = pieces.iter().map(|piece| {
                    Ok(match piece {
                        Piece::Text(plain) => SecretPart::Text(plain.clone()),
                        Piece::Secret(name) => SecretPart::Secret(name.clone()),
                        Piece::Expression(expression) => SecretPart::Text(match value(expression)? {
                            Value::String(inner) => inner,
                            other => other.to_string(),
                        }),
                    })
                });
                let parts = parts.collect::<Result<Vec<_>, PipelineError>>()?;
                Ok(Value::String(self.joined(parts)))
            }
            Shape::List(items) => {
                let items = items.iter().map(|item| item.evaluate(step, session, locals));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            Shape::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, entry)| Ok((key.clone(), entry.evaluate(step, session, locals)?)));
                Ok(Value::Object(entries.collect::<Result<_, PipelineError>>()?))
            }
        }
    }

    fn joined(&self, parts: Vec<SecretPart>) -> String {
        if self.takes_secrets {
            return SecretPart::store(parts);
        }
        let texts = parts.into_iter().filter_map(|part| match part {
            SecretPart::Text(text) => Some(text),
            SecretPart::Secret(_) => None,
        });
        texts.collect()
    }

    /// The value with its texts in the stored form: what looks like a reference to a secret in a param or an output
    /// stays what it is, a text.
    fn stored(&self, mut value: Value) -> Value {
        if self.takes_secrets {
            store_texts(&mut value);
        }
        value
    }

    /// A fault of the value that the template gave.
    pub(crate) fn unfit(&self, step: &str, message: String) -> PipelineError {
        PipelineError::Value { step: step.to_owned(), place: self.place.clone(), message }
    }
}

fn store_texts(value: &mut Value) {
    match value {
        Value::String(text) if !SecretPart::is_plain(text) => {
            *text = SecretPart::store([SecretPart::Text(std::mem::take(text))]);
        }
        Value::Array(items) => items.iter_mut().for_each(store_texts),
        Value::Object(map) => map.values_mut().for_each(store_texts),
        _ => {}
    }
}
