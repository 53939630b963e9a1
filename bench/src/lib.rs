//! Load generator, sink, floor and comparisons.
