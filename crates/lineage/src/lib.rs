#![doc = include_str!("../README.md")]

mod event;
mod settings;
mod telling;
mod transport;

pub use event::{Namespaces, events};
pub use settings::{Receiver, Settings, SettingsError};
pub use telling::Telling;
pub use transport::{Console, EventFile, Refusal, Transport};
