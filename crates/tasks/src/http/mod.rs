//! Kinds that talk to servers over HTTP.

mod body;
mod events;
mod exchange;
mod request;
mod retry_after;

pub use events::EventPost;
pub use request::Http;
