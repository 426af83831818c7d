//! What a program's exit code means for its task.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which exit codes are a success, which are worth another attempt and which are not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExitCodes {
    /// A success; [0] unless given.
    success: Vec<u8>,
    /// A failure that another attempt may not meet.
    retry: Vec<u8>,
    /// A failure for good: the step's other attempts are not made.
    fail: Vec<u8>,
    /// What any other code means; `retry` unless given.
    otherwise: Otherwise,
}

/// What a code that no list names means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Otherwise {
    /// A failure that another attempt may not meet.
    #[default]
    Retry,
    /// A failure for good.
    Fail,
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Success,
    Retry,
    Fail,
}

impl Default for ExitCodes {
    fn default() -> Self {
        Self { success: vec![0], retry: vec![], fail: vec![], otherwise: Otherwise::Retry }
    }
}

impl ExitCodes {
    /// A code that two lists name, which no rule could decide.
    pub(crate) fn contradiction(&self) -> Option<u8> {
        let lists = [&self.success, &self.retry, &self.fail];
        (0..=u8::MAX).find(|code| lists.iter().filter(|list| list.contains(code)).count() > 1)
    }

    /// What this code means.
    pub(crate) fn meaning(&self, code: i32) -> Meaning {
        let names = |list: &[u8]| list.iter().any(|named| i32::from(*named) == code);
        if names(&self.success) {
            return Meaning::Success;
        }
        let is_final = match self.otherwise {
            Otherwise::Retry => names(&self.fail),
            Otherwise::Fail => !names(&self.retry),
        };
        if is_final { Meaning::Fail } else { Meaning::Retry }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn codes(value: Value) -> ExitCodes {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_zero_is_a_success_and_the_rest_is_tried_again_unless_told_otherwise() {
        let usual = codes(json!({}));
        assert_eq!(usual.meaning(0), Meaning::Success);
        assert!((1..=255).all(|code| usual.meaning(code) == Meaning::Retry));
    }

    #[test]
    fn lists_decide_and_otherwise_decides_the_rest() {
        let lenient = codes(json!({ "success": [0, 3], "fail": [2] }));
        let meanings = [0, 3, 2, 9].map(|code| lenient.meaning(code));
        assert_eq!(meanings, [Meaning::Success, Meaning::Success, Meaning::Fail, Meaning::Retry]);
        let strict = codes(json!({ "retry": [75], "otherwise": "fail" }));
        assert_eq!(
            [0, 75, 1].map(|code| strict.meaning(code)),
            [Meaning::Success, Meaning::Retry, Meaning::Fail]
        );
    }

    #[test]
    fn a_code_in_two_lists_is_a_contradiction() {
        assert_eq!(codes(json!({})).contradiction(), None);
        assert_eq!(codes(json!({ "fail": [7, 8], "retry": [8] })).contradiction(), Some(8));
        // the default of a list that is not given counts too
        assert_eq!(codes(json!({ "fail": [0] })).contradiction(), Some(0));
    }
}
