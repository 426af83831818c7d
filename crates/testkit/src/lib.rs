//! Databases, seeds and servers for tests.
