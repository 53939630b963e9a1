//! The store on both drivers: a real disk, and a simulated one that fails in every way.

#![allow(clippy::print_stdout, reason = "what a failing seed says")]

mod basic;
mod crash;
mod fixture;
mod space;
mod speed;
mod support;
