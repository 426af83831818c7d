//! A step with its expressions compiled.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

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
}

/// A value with its expressions compiled.
pub(crate) struct Template {
    /// The path of the value within the step.
    place: String,
    shape: Shape,
}

enum Shape {
    /// There is no expression in it.
    Literal(Value),
    /// It is one expression, and keeps its type.
    Expression(Box<Expression>),
    /// A text with expressions in it.
    Text(Vec<Piece>),
    List(Vec<Template>),
    Map(Vec<(String, Template)>),
}

enum Piece {
    Text(String),
    Expression(Box<Expression>),
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
        let compile = |value: &Value, place: &str| Template::compile(name, place.to_owned(), value);
        Ok(Self {
            name,
            when: step.when.as_ref().map(|value| compile(value, "when")).transpose()?,
            for_each: step.for_each.as_ref().map(|value| compile(value, "for_each")).transpose()?,
            with: Template::compile_map(name, "with".to_owned(), &step.with)?,
            limit_key: step.limit.as_ref().map(|limit| compile(&limit.key, "limit.key")).transpose()?,
        })
    }

    pub(crate) fn of_outputs(outputs: &Map<String, Value>) -> Result<Self, PipelineError> {
        let with = Template::compile_map(OUTPUTS_STEP, "outputs".to_owned(), outputs)?;
        Ok(Self { name: OUTPUTS_STEP, when: None, for_each: None, with, limit_key: None })
    }

    /// The steps whose outputs it reads.
    pub(crate) fn steps(&self) -> BTreeSet<&str> {
        let mut steps = BTreeSet::new();
        let templates = self.when.iter().chain(&self.for_each).chain([&self.with]).chain(&self.limit_key);
        templates.for_each(|template| template.add_steps(&mut steps));
        steps
    }
}

impl Template {
    pub(crate) fn compile(step: &str, place: String, value: &Value) -> Result<Self, PipelineError> {
        match value {
            Value::String(text) if text.contains("${") => Self::compile_text(step, place, text),
            Value::Array(items) => {
                let compile =
                    |(index, item): (usize, &Value)| Self::compile(step, format!("{place}.{index}"), item);
                let items = items.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()?;
                let shape = if items.iter().all(Self::is_literal) {
                    Shape::Literal(value.clone())
                } else {
                    Shape::List(items)
                };
                Ok(Self { place, shape })
            }
            Value::Object(map) => Self::compile_map(step, place, map),
            scalar => Ok(Self { place, shape: Shape::Literal(scalar.clone()) }),
        }
    }

    pub(crate) fn compile_map(
        step: &str,
        place: String,
        map: &Map<String, Value>,
    ) -> Result<Self, PipelineError> {
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            entries.push((key.clone(), Self::compile(step, format!("{place}.{key}"), value)?));
        }
        let shape = if entries.iter().all(|(_, template)| template.is_literal()) {
            Shape::Literal(Value::Object(map.clone()))
        } else {
            Shape::Map(entries)
        };
        Ok(Self { place, shape })
    }

    fn compile_text(step: &str, place: String, text: &str) -> Result<Self, PipelineError> {
        let failed = |expression: &str, message: String| PipelineError::Expression {
            step: step.to_owned(),
            place: place.clone(),
            expression: expression.to_owned(),
            message,
        };
        let parts = template::parts(text).map_err(|_| failed(text, "a ${ is never closed".to_owned()))?;
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            pieces.push(match part {
                Part::Text(text) => Piece::Text(text),
                Part::Expression { text, .. } => Piece::Expression(Box::new(
                    Expression::compile(text).map_err(|error| failed(text, error.message))?,
                )),
            });
        }
        let shape = match pieces.pop() {
            Some(Piece::Expression(expression)) if pieces.is_empty() => Shape::Expression(expression),
            Some(Piece::Text(text)) if pieces.is_empty() => Shape::Literal(Value::String(text)),
            last => {
                pieces.extend(last);
                Shape::Text(pieces)
            }
        };
        Ok(Self { place, shape })
    }

    fn is_literal(&self) -> bool {
        // An escaped `$${` is a literal too, but not the one that was written.
        matches!(&self.shape, Shape::Literal(value) if !matches!(value, Value::String(text) if text.contains("${")))
    }

    pub(crate) fn add_steps<'t>(&'t self, steps: &mut BTreeSet<&'t str>) {
        let mut add = |expression: &'t Expression| {
            let named = expression.references.iter().filter(|reference| reference.root == "steps");
            steps.extend(named.filter_map(|reference| reference.path.first()).map(|step| step.name.as_str()));
        };
        match &self.shape {
            Shape::Literal(_) => {}
            Shape::Expression(expression) => add(expression),
            Shape::Text(pieces) => pieces.iter().for_each(|piece| match piece {
                Piece::Text(_) => {}
                Piece::Expression(expression) => add(expression),
            }),
            Shape::List(items) => items.iter().for_each(|item| item.add_steps(steps)),
            Shape::Map(entries) => entries.iter().for_each(|(_, entry)| entry.add_steps(steps)),
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
            Shape::Literal(literal) => Ok(literal.clone()),
            Shape::Expression(expression) => value(expression),
            Shape::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(plain) => text.push_str(plain),
                        Piece::Expression(expression) => match value(expression)? {
                            Value::String(inner) => text.push_str(&inner),
                            other => text.push_str(&other.to_string()),
                        },
                    }
                }
                Ok(Value::String(text))
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

    /// A fault of the value that the template gave.
    pub(crate) fn unfit(&self, step: &str, message: String) -> PipelineError {
        PipelineError::Value { step: step.to_owned(), place: self.place.clone(), message }
    }
}
