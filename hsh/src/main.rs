//! hsh.
fn main() {}
