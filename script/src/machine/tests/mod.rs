//! Scripts run from their text: what they print, with a large budget and with a budget of 1.

mod conformance;
mod fused;
mod guide;
mod harness;
mod hostile;
mod inputs;
mod session;
mod stops;
