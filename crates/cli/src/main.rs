//! The tale binary; wires everything.

fn main() {}
