//! Common to the examples and their tests.
