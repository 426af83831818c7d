//! System tests: what holds for the whole product.
