#![doc = include_str!("../README.md")]

mod error;
mod generator;

pub use error::NetworkError;
pub use generator::{
    CREDIBILITY_PPM_MAX, Generator, NewGenerator, find_generator, list_participants, list_validators,
    owners_of, register_generators,
};
