//! The families of functions, put together: the library for the compiler, and the table for the runner.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use script::fault::Fault;
use script::host::HostCall;
use script::native::{DataLoader, Library, Native, NativeClass};
use script::value::Value;

use crate::Execution;

/// Functions and classes that belong together. A module of this crate has one, and it is named in `FAMILIES`.
pub struct Family {
    /// Functions.
    pub natives: &'static [Native],
    /// Classes.
    pub classes: &'static [&'static NativeClass],
    /// Names that do not exist here, each with the reason.
    pub absent: &'static [(&'static str, &'static str)],
    /// Loaders of data imports, by extension.
    pub loaders: &'static [(&'static str, DataLoader)],
    /// Built-in modules: path and source.
    pub modules: &'static [(&'static str, &'static str)],
    /// Classes that scripts import from a built-in module: its path and the class.
    pub module_classes: &'static [(&'static str, &'static NativeClass)],
    /// What the numbers of this family's `NativeRun::Host` run.
    pub host: &'static [HostFunction],
}

/// One entry of the table of functions that wait.
pub struct HostFunction {
    /// The number of `NativeRun::Host`: one of the family's range in [`crate::numbers`].
    pub number: u16,
    /// What it runs.
    pub run: HostRun,
}

/// Starts a host function.
pub type HostRun = fn(Rc<Execution>, HostCall) -> HostFuture;

/// A host function under way. Dropping it ends the call.
pub type HostFuture = Pin<Box<dyn Future<Output = Result<Value, Fault>>>>;

impl Family {
    /// Nothing; to be filled in with `..Family::EMPTY`.
    pub const EMPTY: Family = Family {
        natives: &[],
        classes: &[],
        absent: &[],
        loaders: &[],
        modules: &[],
        module_classes: &[],
        host: &[],
    };
}

/// The method of classes whose documented objects can be handed to native libraries.
pub(crate) const TO_FFI_VALUE: Native = Native::inline(
    "toFFIValue",
    "",
    (0, Some(0)),
    "Not available: there is no foreign function interface.",
    |call| Err(call.error("there is no foreign function interface")),
);

/// All families of this crate. A later one replaces names of an earlier one.
static FAMILIES: &[&Family] = &[
    &crate::time::FAMILY,
    &crate::dns::FAMILY,
    &crate::file::FAMILY,
    &crate::http::FAMILY,
    &crate::socket::FAMILY,
    &crate::store::FAMILY,
    &crate::crypto::FAMILY,
    &crate::spf::FAMILY,
    &crate::mail::FAMILY,
    &crate::smtp::FAMILY,
    &crate::daemon::FAMILY,
    &crate::extras::FAMILY,
    &crate::plugins::FAMILY,
    &crate::services::FAMILY,
    &crate::metrics::FAMILY,
    &crate::bulk::FAMILY,
];

/// The whole standard library. Built once; the same for every program.
pub fn library() -> Arc<Library> {
    static LIBRARY: OnceLock<Arc<Library>> = OnceLock::new();
    LIBRARY.get_or_init(|| Arc::new(build())).clone()
}

/// The same to add to.
pub(crate) fn build() -> Library {
    let mut library = Library::standard();
    for family in FAMILIES {
        library.add(family.natives);
        for class in family.classes {
            library.add_class(class);
        }
        for (extension, load) in family.loaders {
            library.data_loader(extension, *load);
        }
        for (path, source) in family.modules {
            library.module(path, source);
        }
        for (path, class) in family.module_classes {
            library.module_class(path, class);
        }
        library.absent(family.absent);
    }
    library
}

/// Starts the function that a script waits for.
pub fn call(execution: &Rc<Execution>, call: HostCall) -> HostFuture {
    static TABLE: OnceLock<HashMap<u16, HostRun>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let all = FAMILIES.iter().flat_map(|family| family.host);
        all.map(|function| (function.number, function.run)).collect()
    });
    match table.get(&call.function) {
        Some(run) => run(execution.clone(), call),
        None => {
            let message = format!("{}() is not available in this program", call.name);
            Box::pin(std::future::ready(Err(Fault::error(message))))
        }
    }
}

#[cfg(test)]
mod tests {
    use script::native::NativeRun;

    use super::*;

    #[test]
    fn every_number_is_used_once_and_has_a_function() {
        let mut numbers: Vec<u16> =
            FAMILIES.iter().flat_map(|family| family.host).map(|function| function.number).collect();
        let total = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), total, "a number is used twice");
        let library = library();
        let classes = library.classes();
        let members =
            classes.iter().copied().chain(library.module_classes().map(|(_, class)| class)).flat_map(
                |class| class.methods.iter().chain(class.statics).chain(class.constructor.as_ref()),
            );
        for native in library.functions().into_iter().chain(members) {
            if let NativeRun::Host(number) = native.run {
                assert!(numbers.contains(&number), "{} has no entry for {number:#x}", native.name);
            }
        }
    }
}
