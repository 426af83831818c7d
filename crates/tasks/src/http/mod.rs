//! Kinds that talk to servers over HTTP.

mod body;
mod exchange;
mod request;
mod retry_after;

pub use request::Http;
