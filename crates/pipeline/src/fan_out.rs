//! Fan-outs item by item: of a list of any length only a part is in memory at a time.

use serde_json::{Map, Value};

use crate::{
    PipelineError, PipelineSpec, RunContext, StepOutputs,
    expression::is_identifier,
    planner::{self, List},
    program::Program,
    session::{Locals, Session},
};

/// What the expressions of a step may read.
#[derive(Debug)]
pub struct Variables {
    params: Value,
    run: Value,
    outputs: StepOutputs,
}

impl Variables {
    /// The params of the run, the run itself, and the outputs of the steps that [`FanOut::reads`] names.
    pub fn new(
        spec: &PipelineSpec,
        params: Map<String, Value>,
        run: &RunContext,
        outputs: StepOutputs,
    ) -> Self {
        Self { params: Value::Object(params), run: run.to_value(spec), outputs }
    }
}

/// Where the items of a fan-out come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemSource {
    /// The whole numbers from 0 to this one, which is none of them.
    Range(u32),
    /// These values.
    Listed(Vec<Value>),
}

/// A list in the outputs of a step, which can be read piece by piece where they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputsPath {
    /// The step.
    pub step: String,
    /// Whether the list is that of the step's own fan-out, one output per task.
    pub is_fan_out: bool,
    /// The keys that lead to the list, outermost first; none where the outputs are the list.
    pub keys: Vec<String>,
}

/// A step with `for_each` whose tasks are made one at a time.
pub struct FanOut<'s> {
    program: Program<'s>,
    session: Session<'s>,
}

impl<'s> FanOut<'s> {
    /// Where the step's list is nothing but outputs of a step: where to find it.
    ///
    /// # Errors
    /// [`PipelineError::NoSuchStep`], or an expression that cannot be read.
    pub fn outputs_path(spec: &PipelineSpec, step_index: u16) -> Result<Option<OutputsPath>, PipelineError> {
        let program = Program::at(spec, step_index)?;
        let Some(expression) = program.for_each.as_ref().and_then(|for_each| for_each.expression()) else {
            return Ok(None);
        };
        let Some((step, keys)) = read_path(&expression.text) else { return Ok(None) };
        let Some(place) = spec.step_index(step) else { return Ok(None) };
        let is_fan_out = spec.steps.get(place).is_some_and(|step| step.for_each.is_some());
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        // a list has no keys: evaluating the expression says so
        let is_list = !is_fan_out || keys.is_empty();
        Ok(is_list.then(|| OutputsPath { step: step.to_owned(), is_fan_out, keys }))
    }

    /// The steps whose outputs must be given beside the list at [`FanOut::outputs_path`], in the order of the spec.
    ///
    /// # Errors
    /// [`PipelineError::NoSuchStep`], or an expression that cannot be read.
    pub fn reads(spec: &PipelineSpec, step_index: u16) -> Result<Vec<String>, PipelineError> {
        let program = Program::at(spec, step_index)?;
        let read = program.steps_beside_list();
        let in_order = spec.steps.iter().filter(|step| read.contains(step.name.as_str()));
        Ok(in_order.map(|step| step.name.to_string()).collect())
    }

    /// The fan-out of the step at this index; nothing where its `when` is false.
    ///
    /// # Errors
    /// [`PipelineError`] where the step does not exist or an expression fails.
    pub fn open(
        spec: &'s PipelineSpec,
        step_index: u16,
        variables: &'s Variables,
    ) -> Result<Option<Self>, PipelineError> {
        let program = Program::at(spec, step_index)?;
        let session = Session::new(&variables.params, &variables.run, &variables.outputs);
        let goes_on = planner::condition(&program, &session)?;
        Ok(goes_on.then_some(Self { program, session }))
    }

    /// The items, where the outputs that the list is made of were given.
    ///
    /// # Errors
    /// [`PipelineError`] where there is no list, or one of more than a million items.
    pub fn items(&self) -> Result<ItemSource, PipelineError> {
        Ok(match planner::items(&self.program, &self.session)? {
            Some(List::Range(length)) => ItemSource::Range(length),
            Some(List::Items(items)) => ItemSource::Listed(items),
            None => ItemSource::Listed(Vec::new()),
        })
    }

    /// Refuses a list that is longer than a fan-out may be.
    ///
    /// # Errors
    /// [`PipelineError::Value`], which says so.
    pub fn refuse_length(&self, length: usize) -> Result<(), PipelineError> {
        planner::refuse_length(&self.program, length)
    }

    /// The arguments that all tasks have, where they do not depend on the item.
    ///
    /// # Errors
    /// [`PipelineError`] where an expression fails.
    pub fn shared_arguments(&self) -> Result<Option<Value>, PipelineError> {
        if self.program.with.reads_item() {
            return Ok(None);
        }
        self.program.with.evaluate(self.program.name, &self.session, Locals::default()).map(Some)
    }

    /// Whether each task has a key of a limit.
    pub fn has_limit_keys(&self) -> bool {
        self.program.limit_key.is_some()
    }

    /// Whether the step says by what each task's result is known.
    pub fn has_cache_keys(&self) -> bool {
        self.program.cache_key.is_some()
    }

    /// The arguments of one item's task.
    ///
    /// # Errors
    /// [`PipelineError`] where an expression fails.
    pub fn arguments(&self, index: u32, item: &Value) -> Result<Value, PipelineError> {
        let index = Value::from(index);
        let locals = Locals { item: Some((item, &index)), ..Locals::default() };
        self.program.with.evaluate(self.program.name, &self.session, locals)
    }

    /// The key of the limit of one item's task, where the step has one.
    ///
    /// # Errors
    /// [`PipelineError`] where an expression fails.
    pub fn limit_key(&self, index: u32, item: &Value) -> Result<Option<String>, PipelineError> {
        let index = Value::from(index);
        let locals = Locals { item: Some((item, &index)), ..Locals::default() };
        planner::limit_key(&self.program, &self.session, locals)
    }

    /// By what the result of one item's task is known, where the step says so.
    ///
    /// # Errors
    /// [`PipelineError`] where an expression fails.
    pub fn cache_key(&self, index: u32, item: &Value) -> Result<Option<String>, PipelineError> {
        let index = Value::from(index);
        let locals = Locals { item: Some((item, &index)), ..Locals::default() };
        planner::cache_key(&self.program, &self.session, locals)
    }
}

/// The step and the keys of `steps.NAME.outputs.KEY…` or `steps["NAME"].outputs.KEY…`.
fn read_path(text: &str) -> Option<(&str, Vec<&str>)> {
    let rest = text.trim().strip_prefix("steps")?;
    let (step, rest) = match rest.strip_prefix("[\"") {
        Some(quoted) => quoted.split_once("\"]")?,
        None => {
            let rest = rest.strip_prefix('.')?;
            rest.split_at(rest.find('.')?)
        }
    };
    let rest = rest.strip_prefix(".outputs")?;
    if rest.is_empty() {
        return Some((step, Vec::new()));
    }
    let keys: Vec<&str> = rest.strip_prefix('.')?.split('.').collect();
    keys.iter().all(|key| is_identifier(key)).then_some((step, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_outputs_is_found_where_the_expression_is_nothing_else() {
        for (text, read) in [
            ("steps.a.outputs", Some(("a", vec![]))),
            (" steps.a.outputs.b.c ", Some(("a", vec!["b", "c"]))),
            ("steps[\"a-b\"].outputs", Some(("a-b", vec![]))),
            ("steps[\"a-b\"].outputs.c", Some(("a-b", vec!["c"]))),
            ("steps.a.outputs[0]", None),
            ("steps.a.outputs.b + steps.a.outputs.c", None),
            ("steps.a.outputs.map(x, x)", None),
            ("steps.a.outputsx", None),
            ("steps.a", None),
            ("params.list", None),
        ] {
            assert_eq!(read_path(text), read, "{text}");
        }
    }
}
