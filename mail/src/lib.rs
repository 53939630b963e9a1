//! What a message is.

pub mod dkim;
pub mod keys;
pub mod limits;
pub mod taglist;
