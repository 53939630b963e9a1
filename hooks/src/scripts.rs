//! The scripts of a configuration, compiled.

use std::collections::HashSet;
use std::sync::Arc;

use config::Scripting;
use hostcalls::hooks::{HOOKS, Hook};
use hostcalls::source::{SourceLoader, Sources};
use script::compile::{BreakPoints, CompileOptions, Predefined, Program, SourceText, compile};
use script::lint::{Surroundings, lint};
use script::native::Library;

/// The compiled hooks of one configuration. Immutable, for all shards.
#[derive(Default)]
pub struct Scripts {
    list: Vec<Script>,
}

/// One script.
pub(crate) struct Script {
    pub(crate) hook: &'static Hook,
    /// Its id in the configuration; that of the queue hooks is their name.
    id: String,
    pub(crate) program: Arc<Program>,
}

/// Names a script of a [`Scripts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScriptId(pub(crate) usize);

/// What compiling gave.
#[derive(Debug)]
pub struct Compiled {
    /// The scripts.
    pub scripts: Scripts,
    /// What can hardly be meant, a text of several lines each.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.list.iter().map(|script| format!("{}/{}", script.hook.name, script.id));
        f.debug_list().entries(names).finish()
    }
}

impl Scripts {
    /// Compiles all scripts of the running file. Reads the files that they import, which blocks: before the engine runs, or
    /// on an offload thread.
    ///
    /// # Errors
    /// A text of several lines for each script with errors: where, what, and the line.
    pub fn compile(
        scripting: &Scripting,
        sources: &Sources,
        break_points: BreakPoints,
    ) -> Result<Compiled, Vec<String>> {
        let mut compiling = Compiling {
            sources,
            break_points,
            scripts: Scripts::default(),
            warnings: Vec::new(),
            known: HashSet::new(),
            errors: Vec::new(),
        };
        for hook in &HOOKS {
            let texts = texts_of(hook, scripting);
            if texts.is_empty() {
                continue;
            }
            let library = hook.library();
            for (id, text) in texts {
                compiling.add(hook, &library, id, text);
            }
        }
        if compiling.errors.is_empty() {
            Ok(Compiled { scripts: compiling.scripts, warnings: compiling.warnings })
        } else {
            Err(compiling.errors)
        }
    }

    /// The script of this id in this phase; for `predelivery` and `postdelivery` the id is the phase.
    pub fn find(&self, phase: &str, id: &str) -> Option<ScriptId> {
        self.list.iter().position(|script| script.hook.name == phase && script.id == id).map(ScriptId)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn get(&self, id: ScriptId) -> &Script {
        &self.list[id.0]
    }
}

impl Script {
    /// What errors call it: `mailfrom:default`.
    pub(crate) fn name(&self) -> String {
        name_of(self.hook, &self.id)
    }
}

fn name_of(hook: &Hook, id: &str) -> String {
    if hook.name == id { id.to_owned() } else { format!("{}:{id}", hook.name) }
}

/// Id and text of each script of a hook.
fn texts_of<'s>(hook: &Hook, scripting: &'s Scripting) -> Vec<(&'s str, &'s str)> {
    let queue = |text: &'s Option<String>, name| text.iter().map(|text| (name, text.as_str())).collect();
    match hook.name {
        "predelivery" => queue(&scripting.predelivery, "predelivery"),
        "postdelivery" => queue(&scripting.postdelivery, "postdelivery"),
        phase => {
            let of_phase = scripting.hooks.iter().filter(|script| script.phase == phase);
            of_phase.map(|script| (script.id.as_str(), script.data.as_str())).collect()
        }
    }
}

struct Compiling<'s> {
    sources: &'s Sources,
    break_points: BreakPoints,
    scripts: Scripts,
    warnings: Vec<String>,
    /// The first lines of the warnings.
    known: HashSet<String>,
    errors: Vec<String>,
}

impl Compiling<'_> {
    fn add(&mut self, hook: &'static Hook, library: &Arc<Library>, id: &str, text: &str) {
        let predefined = hook
            .variables
            .iter()
            .map(|variable| Predefined { name: variable.name.to_owned(), read_only: variable.read_only });
        let options = CompileOptions {
            predefined: predefined.collect(),
            forbid_absent: false,
            break_points: self.break_points,
        };
        let main = SourceText { name: name_of(hook, id), bytes: text.as_bytes().to_vec() };
        match compile(main, &mut SourceLoader::new(self.sources, library), library, &options) {
            Ok(compiled) => {
                self.warn(&compiled, hook, library);
                self.scripts.list.push(Script { hook, id: id.to_owned(), program: compiled.program });
            }
            Err(found) => {
                let text = found.all.iter().map(|diagnostic| diagnostic.render(&found.sources));
                self.errors.push(text.collect());
            }
        }
    }

    /// Notes what can hardly be meant; of a file that several scripts include, once.
    fn warn(&mut self, compiled: &script::compile::Compiled, hook: &Hook, library: &Library) {
        let predefined: Vec<&str> = hook.variables.iter().map(|variable| variable.name).collect();
        let surroundings = Surroundings { library, predefined: Some(&predefined), hook: Some(hook.name) };
        let sources = compiled.program.sources();
        for warning in compiled.warnings.iter().chain(&lint(sources, surroundings)) {
            if self.known.insert(warning.headline(sources)) {
                self.warnings.push(warning.render(sources).trim_end().to_owned());
            }
        }
    }
}
