//! Epochs, emission, rewards and claims.
