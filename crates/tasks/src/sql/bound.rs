//! JSON values as parameters of a statement, of the types that the database expects there.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;
use sqlx::{
    Arguments as _, Encode, Postgres, Type, TypeInfo,
    postgres::{PgArguments, PgTypeInfo},
    types::{BigDecimal, Json, Uuid},
};
use tale_worker::TaskError;

/// Binds each value as the type that its place has.
pub(super) fn bind(types: &[PgTypeInfo], values: &[Value]) -> Result<PgArguments, TaskError> {
    if types.len() != values.len() {
        let message =
            format!("the statement has {} parameters and `params` {} values", types.len(), values.len());
        return Err(TaskError::fail(message));
    }
    let mut arguments = PgArguments::default();
    for (number, (expected, value)) in (1..).zip(types.iter().zip(values)) {
        // the value is not shown: it may be a secret
        let unfit =
            || format!("parameter ${number} is of type {}, which the value given is not", expected.name());
        let unknown = || {
            format!(
                "parameter ${number} is of type {0}, which cannot be bound: write ${number}::text::{0}",
                expected.name().to_ascii_lowercase()
            )
        };
        match bind_one(&mut arguments, expected.name(), value) {
            Bound::Fits => {}
            Bound::Unfit => return Err(TaskError::fail(unfit())),
            Bound::UnknownType => return Err(TaskError::fail(unknown())),
        }
    }
    Ok(arguments)
}

enum Bound {
    Fits,
    Unfit,
    UnknownType,
}

fn bind_one(arguments: &mut PgArguments, expected: &str, value: &Value) -> Bound {
    let text = || match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match expected {
        "BOOL" => add(arguments, value, value.as_bool()),
        "INT2" => add(arguments, value, value.as_i64().and_then(|number| i16::try_from(number).ok())),
        "INT4" => add(arguments, value, value.as_i64().and_then(|number| i32::try_from(number).ok())),
        "INT8" => add(arguments, value, value.as_i64()),
        "FLOAT4" => add(arguments, value, value.as_f64().map(|number| number as f32)),
        "FLOAT8" => add(arguments, value, value.as_f64()),
        "NUMERIC" => add(arguments, value, text().and_then(|text| text.parse::<BigDecimal>().ok())),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" => add(arguments, value, value.as_str().map(str::to_owned)),
        "UUID" => add(arguments, value, text().and_then(|text| text.parse::<Uuid>().ok())),
        "DATE" => add(arguments, value, text().and_then(|text| text.parse::<NaiveDate>().ok())),
        "TIMESTAMP" => add(arguments, value, text().and_then(|text| text.parse::<NaiveDateTime>().ok())),
        "TIMESTAMPTZ" => {
            let parsed = text().and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
            add(arguments, value, parsed.map(|time| time.with_timezone(&Utc)))
        }
        "JSONB" => add(arguments, &Value::Bool(true), Some(Json(value.clone()))),
        "TEXT[]" => add(arguments, value, list(value, |item| item.as_str().map(str::to_owned))),
        "INT8[]" => add(arguments, value, list(value, Value::as_i64)),
        "FLOAT8[]" => add(arguments, value, list(value, Value::as_f64)),
        _ => Bound::UnknownType,
    }
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

/// Adds what was read of the value; null stays null, of the type that is expected.
fn add<T>(arguments: &mut PgArguments, value: &Value, read: Option<T>) -> Bound
where
    T: for<'q> Encode<'q, Postgres> + Type<Postgres> + Send + Sync + 'static,
{
    if read.is_none() && !value.is_null() {
        return Bound::Unfit;
    }
    match arguments.add(read) {
        Ok(()) => Bound::Fits,
        Err(_) => Bound::Unfit,
    }
}
