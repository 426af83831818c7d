//! Object store, content-addressed artifacts, Parquet data sets.
