//! HSL, the script language.

pub mod compat;
pub mod compile;
pub mod diagnostic;
pub mod fault;
pub mod host;
pub mod limits;
pub mod lint;
pub mod machine;
pub mod native;
pub mod ops;
pub mod source;
pub mod std;
pub mod syntax;
pub mod value;

pub use fault::{Fault, FaultKind};
pub use value::Value;
