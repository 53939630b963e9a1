//! The store on both drivers: a real disk, and a simulated one that fails in every way.

mod basic;
mod crash;
mod support;
