use std::{fmt, ops};

use serde::{Deserialize, Serialize};

/// What a generator is paid for. Each class has its own part of the day's pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Work delivered: units of accepted attempts.
    Compute,
    /// What a participant's updates improved: points of Proof of Validation, signed.
    Training,
    /// Votes revealed on the updates of others.
    Validation,
}

impl Class {
    /// Every class, in the order of their names, which is also the order of their places.
    pub const ALL: [Self; 3] = [Self::Compute, Self::Training, Self::Validation];

    /// The class as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Training => "training",
            Self::Validation => "validation",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One value for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerClass<T> {
    /// For compute.
    pub compute: T,
    /// For training.
    pub training: T,
    /// For validation.
    pub validation: T,
}

impl<T> PerClass<T> {
    /// The value that `value` gives for each class.
    pub fn of<E>(mut value: impl FnMut(Class) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            compute: value(Class::Compute)?,
            training: value(Class::Training)?,
            validation: value(Class::Validation)?,
        })
    }

    /// Each class and its value, in the order of [`Class::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Class, &T)> {
        Class::ALL.into_iter().map(|class| (class, &self[class]))
    }
}

impl<T> ops::Index<Class> for PerClass<T> {
    type Output = T;

    fn index(&self, class: Class) -> &T {
        match class {
            Class::Compute => &self.compute,
            Class::Training => &self.training,
            Class::Validation => &self.validation,
        }
    }
}

impl<T> ops::IndexMut<Class> for PerClass<T> {
    fn index_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Compute => &mut self.compute,
            Class::Training => &mut self.training,
            Class::Validation => &mut self.validation,
        }
    }
}
