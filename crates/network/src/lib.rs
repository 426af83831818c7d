//! Generators, owners and credibility.
