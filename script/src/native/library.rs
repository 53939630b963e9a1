//! What scripts can call: built once at start, shared by every program.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Call, Native, NativeClass};
use crate::fault::Fault;
use crate::value::{Array, Frozen, Value};

/// Decodes a file of a data import: its bytes and the options after `with`.
pub type DataLoader = fn(&[u8], &Array) -> Result<Frozen, Fault>;

/// A name that scripts may know and that this program does not offer.
#[derive(Clone, Copy, Debug)]
pub struct Absent {
    /// The name.
    pub name: &'static str,
    /// Why, and what to use instead.
    pub reason: &'static str,
}

/// Functions, classes, loaders and modules by name.
#[derive(Default)]
pub struct Library {
    functions: HashMap<&'static str, &'static Native>,
    classes: HashMap<&'static str, &'static NativeClass>,
    absent: BTreeMap<&'static str, Absent>,
    /// What raises the error when an absent function is called.
    stand_ins: HashMap<&'static str, &'static Native>,
    loaders: BTreeMap<&'static str, DataLoader>,
    modules: BTreeMap<&'static str, &'static str>,
    /// Classes that only an import shows, by the path of their module.
    module_classes: BTreeMap<&'static str, Vec<&'static NativeClass>>,
    terminating: Vec<&'static str>,
}

impl Library {
    /// Nothing at all.
    pub fn empty() -> Library {
        Library::default()
    }

    /// The pure part of the standard library.
    pub fn standard() -> Library {
        let mut library = Library::empty();
        crate::std::register(&mut library);
        library
    }

    /// Adds functions. A name that is there already is replaced.
    pub fn add(&mut self, natives: &'static [Native]) -> &mut Self {
        for native in natives {
            self.absent.remove(native.name);
            self.functions.insert(native.name, native);
        }
        self
    }

    /// Adds a class.
    pub fn add_class(&mut self, class: &'static NativeClass) -> &mut Self {
        self.absent.remove(class.name);
        self.classes.insert(class.name, class);
        self
    }

    /// Names that do not exist here, each with the reason. They do not hide what is there.
    pub fn absent(&mut self, names: &[(&'static str, &'static str)]) -> &mut Self {
        for &(name, reason) in names {
            if !self.functions.contains_key(name) && !self.classes.contains_key(name) {
                self.absent.insert(name, Absent { name, reason });
                // Natives live as long as the process, as those of the tables do; a program has few libraries.
                let stand_in = Box::leak(Box::new(Native::inline(name, "...", (0, None), reason, raise)));
                self.stand_ins.insert(name, stand_in);
            }
        }
        self
    }

    /// Decodes data imports of files with this extension, without the dot.
    pub fn data_loader(&mut self, extension: &'static str, load: DataLoader) -> &mut Self {
        self.loaders.insert(extension, load);
        self
    }

    /// A module that scripts import by `path`, such as `extras://srs`, with its source.
    pub fn module(&mut self, path: &'static str, source: &'static str) -> &mut Self {
        self.modules.insert(path, source);
        self
    }

    /// A class that scripts import from the built-in module `path`, and do not see otherwise.
    pub fn module_class(&mut self, path: &'static str, class: &'static NativeClass) -> &mut Self {
        self.module_classes.entry(path).or_default().push(class);
        self
    }

    /// Functions that end the script: what stands after a call of them is never reached.
    pub fn terminating(&mut self, names: &[&'static str]) -> &mut Self {
        self.terminating.extend(names);
        self
    }

    /// For sharing between programs.
    pub fn build(self) -> Arc<Library> {
        Arc::new(self)
    }

    /// The function of this name.
    pub fn function(&self, name: &str) -> Option<&'static Native> {
        self.functions.get(name).copied()
    }

    /// The class of this name.
    pub fn class(&self, name: &str) -> Option<&'static NativeClass> {
        self.classes.get(name).copied()
    }

    /// Why there is nothing of this name.
    pub fn why_absent(&self, name: &str) -> Option<&'static str> {
        self.absent.get(name).map(|absent| absent.reason)
    }

    /// A function that raises why the function of this name is absent.
    pub fn stand_in(&self, name: &str) -> Option<&'static Native> {
        if self.absent.contains_key(name) { self.stand_ins.get(name).copied() } else { None }
    }

    /// The loader of an extension.
    pub fn loader(&self, extension: &str) -> Option<DataLoader> {
        self.loaders.get(extension).copied()
    }

    /// The source of a built-in module.
    pub fn module_source(&self, path: &str) -> Option<&'static str> {
        self.modules.get(path).copied()
    }

    /// The classes of a built-in module that are not written in its source.
    pub fn classes_of(&self, path: &str) -> &[&'static NativeClass] {
        self.module_classes.get(path).map_or(&[], Vec::as_slice)
    }

    /// All such classes, with the paths of their modules.
    pub fn module_classes(&self) -> impl Iterator<Item = (&'static str, &'static NativeClass)> + '_ {
        self.module_classes.iter().flat_map(|(path, classes)| classes.iter().map(|class| (*path, *class)))
    }

    /// Whether the function ends the script.
    pub fn is_terminating(&self, name: &str) -> bool {
        self.terminating.contains(&name)
    }

    /// All functions, by name.
    pub fn functions(&self) -> Vec<&'static Native> {
        let mut all: Vec<_> = self.functions.values().copied().collect();
        all.sort_by_key(|native| native.name);
        all
    }

    /// All classes, by name.
    pub fn classes(&self) -> Vec<&'static NativeClass> {
        let mut all: Vec<_> = self.classes.values().copied().collect();
        all.sort_by_key(|class| class.name);
        all
    }

    /// All absent names.
    pub fn all_absent(&self) -> impl Iterator<Item = &Absent> {
        self.absent.values()
    }

    /// The extensions of data imports.
    pub fn loaders(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.loaders.keys().copied()
    }

    /// The paths of the built-in modules.
    pub fn modules(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.modules.keys().copied()
    }
}

fn raise(call: &mut Call<'_>) -> Result<Value, Fault> {
    Err(Fault::error(format!("{}() is not available: {}", call.native().name, call.native().doc)))
}
