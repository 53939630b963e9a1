//! Whole shards on a simulated clock, network and disk, from a seed.
