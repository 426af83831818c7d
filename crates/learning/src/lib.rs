//! Models, local training and aggregation.
