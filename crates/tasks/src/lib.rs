#![doc = include_str!("../README.md")]

mod catalog;
mod command;
mod http;
mod idempotency;
mod learning;
mod ledger;
mod messages;
mod models;
mod monetization;
mod network;
mod pov;
mod refusal;
mod settlement;
mod sql;

pub use catalog::{catalog, kinds};
pub use http::EventPost;
pub use messages::{
    Behaviour, Decided, Evaluated, Member, Model, Participant, PublishedRound, RejectedUpdate, RoundAccuracy,
    Update, Votes,
};
