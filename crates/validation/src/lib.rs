//! The Proof of Validation protocol: gates, scores, votes, points.
