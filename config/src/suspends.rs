//! `smtpd-suspend.yaml`: what is not picked up from the queue.

use std::collections::BTreeMap;

use crate::{Error, Field, Lists, Loaded, Options, Pattern, Source, Version};

/// The suspend file.
#[derive(Clone, Debug)]
pub struct Suspends {
    /// Version of the file; `None`: there is no file, which means no suspends.
    pub version: Option<Version>,
    /// A recipient that matches any of them is not picked up.
    pub suspends: Vec<Suspend>,
}

/// `suspends[]`: matches when each given field matches; without fields it matches all.
#[derive(Clone, Debug)]
pub struct Suspend {
    /// A field matches when any of its patterns does. `@list`s are resolved.
    pub fields: Vec<(Field, Vec<Pattern>)>,
    /// At most 32 characters.
    pub tag: Option<String>,
    /// Free data.
    pub properties: BTreeMap<String, Property>,
}

/// A value under `properties`.
#[derive(Clone, Debug, PartialEq)]
pub enum Property {
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Bool(bool),
}

/// Reads the suspend file; `@name` is looked up in the running file's lists, `&name` in its groupings.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_suspends(
    source: &Source<'_>,
    running: &crate::Running,
    options: &Options<'_>,
) -> Result<Loaded<Suspends>, Vec<Error>> {
    todo!()
}
