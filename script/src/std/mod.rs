//! The pure part of the standard library: one file per family.

mod absent;
pub mod aes;
mod array;
pub mod base;
pub mod crypt;
pub mod csv;
pub mod digest;
pub mod domain;
pub mod exception;
mod iconv;
pub mod idna;
pub mod inet;
pub mod json;
pub mod loaders;
pub mod map_set;
mod math;
pub mod pack;
pub mod random;
pub mod regex;
mod string;
pub mod system;
pub mod time;
mod types;
pub mod url;
pub mod uuid;
pub mod yaml;
pub mod zlib;

#[cfg(test)]
pub(crate) mod driver;
#[cfg(test)]
mod scripts;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use crate::native::{Library, Native, NativeClass};

/// The functions of every family.
static FAMILIES: &[&[Native]] = &[
    aes::NATIVES,
    array::NATIVES,
    base::NATIVES,
    crypt::NATIVES,
    csv::NATIVES,
    digest::NATIVES,
    domain::NATIVES,
    idna::NATIVES,
    inet::NATIVES,
    json::NATIVES,
    math::NATIVES,
    pack::NATIVES,
    random::NATIVES,
    regex::NATIVES,
    string::NATIVES,
    system::NATIVES,
    time::NATIVES,
    types::NATIVES,
    url::NATIVES,
    uuid::NATIVES,
    yaml::NATIVES,
    zlib::NATIVES,
];

/// The classes.
static CLASSES: &[&NativeClass] =
    &[&exception::CLASS, &iconv::CLASS, &map_set::MAP, &map_set::SET, regex::CLASS];

/// Adds everything to a library.
pub(crate) fn register(library: &mut Library) {
    for &natives in FAMILIES {
        library.add(natives);
    }
    for &class in CLASSES {
        library.add_class(class);
    }
    library.absent(absent::NAMES);
    loaders::register(library);
}
