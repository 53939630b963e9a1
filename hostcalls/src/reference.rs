//! Writes the reference of everything that scripts can call, from the tables.

use std::fmt::Write;

use script::native::{Library, Native, NativeClass, NativeRun};

use crate::extras::ABSENT_MODULES;
use crate::hooks::{HOOKS, Hook};
use crate::library;

/// The text of `docs/reference/hsl-functions.md`.
pub fn reference() -> String {
    let library = library();
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n## Functions\n\n");
    let functions: Vec<_> =
        library.functions().into_iter().filter(|native| !is_internal(native.name)).collect();
    table(&mut text, "", functions.iter().copied());
    text.push_str("\n## Classes\n");
    for class in library.classes() {
        self::class(&mut text, class.name, class);
    }
    text.push_str(
        "\n## Classes of modules\n\nScripts see them when they import them from the module that is named.\n",
    );
    for (path, class) in library.module_classes() {
        self::class(&mut text, &format!("{} (`{path}`)", class.name), class);
    }
    text.push_str("\n## Functions of hooks\n\n");
    text.push_str(HOOK_INTRODUCTION);
    for hook in &HOOKS {
        self::hook(&mut text, hook);
    }
    modules(&mut text, &library);
    absent(&mut text, &library);
    text
}

const INTRODUCTION: &str = "# Functions of HSL

<!-- Generated from the tables of the crates script and hostcalls by `UPDATE_DOCS=1 cargo test -p hostcalls reference`. Do not edit. -->

Everything that a script can call. The language itself is in the [guide](../hsl/language.md).

* `name(type argument [, type argument])`: what stands in brackets may be left out. `any` is any type, `...` any number of
  arguments.
* Arguments of a wrong type or number throw an `Exception`, unless the text says otherwise.
* *Runs*: where the work is done. *inline*: at once, it takes little time. *inline or offloaded above N bytes*: at once for
  small arguments, else on another thread, while the script waits and others run. *offloaded*: always on another thread.
  *waits*: for the network, the disk or another shard; the script is suspended meanwhile, nothing else is. *calls back or
  waits*: it may call functions of the script, or wait. *offloaded above N bytes of* something: what it computes on more than
  that runs on another thread; `bench/script/thresholds.hsl` measures what it and the others cost just below. *inline, in
  slices*: on the shard, but others run after each 500 items. Why what is only *inline* takes little time, whatever it gets, says
  `hostcalls/src/bounded.txt`; a test compares it with the library.
";

const HOOK_INTRODUCTION: &str =
    "Only the scripts of hooks have these. The *deciding* functions end the script: they do not return.
";

/// Natives that never go to another thread, by the reason: `bounded.txt`.
struct Bounded(&'static str);

const BOUNDED: Bounded = Bounded(include_str!("bounded.txt"));

impl Bounded {
    /// Reasons, each with its natives.
    fn rows(&self) -> impl Iterator<Item = (&'static str, std::str::SplitWhitespace<'static>)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(": ")).map(|(why, names)| (why, names.split_whitespace()))
    }

    #[cfg(test)]
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rows().flat_map(|(_, names)| names)
    }

    /// Those that let others run in between.
    fn slices(&self) -> impl Iterator<Item = &'static str> {
        self.rows().filter(|(why, _)| *why == "in slices").flat_map(|(_, names)| names)
    }
}

/// Functions that the compiler calls for statements of the language.
fn is_internal(name: &str) -> bool {
    name.starts_with("__")
}

fn table<'a>(text: &mut String, prefix: &str, natives: impl Iterator<Item = &'a Native>) {
    text.push_str("| Function | What it does | Runs |\n|---|---|---|\n");
    for native in natives {
        row(text, prefix, native);
    }
}

fn row(text: &mut String, prefix: &str, native: &Native) {
    let (name, params, doc) = (native.name, cell(native.params), cell(native.doc));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| `{prefix}{name}({params})` | {doc} | {} |", runs(native));
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn runs(native: &Native) -> String {
    match native.run {
        NativeRun::Inline(_) => "inline".to_owned(),
        NativeRun::Sized { above_bytes: 0, .. } => "offloaded".to_owned(),
        NativeRun::Sized { above_bytes, .. } => format!("inline or offloaded above {above_bytes} bytes"),
        NativeRun::Weighed { above, of, .. } => format!("inline or offloaded above {above} bytes of {of}"),
        NativeRun::Frame(_) => match BOUNDED.slices().any(|name| name == native.name) {
            true => "inline, in slices".to_owned(),
            false => "calls back or waits".to_owned(),
        },
        NativeRun::Offloading { above_bytes: 0, .. } => "offloaded".to_owned(),
        NativeRun::Offloading { above_bytes, of, .. } => {
            format!("calls back or waits; offloaded above {above_bytes} bytes of {of}")
        }
        NativeRun::Host(_) => "waits".to_owned(),
    }
}

fn class(text: &mut String, title: &str, class: &NativeClass) {
    let _ = write!(text, "\n### {title}\n\n{}", cell(class.doc));
    if let Some(parent) = class.extends {
        let _ = write!(text, " It has the functions of {} too.", parent.name);
    }
    if class.constructor.is_none() {
        text.push_str(" Scripts do not construct it.");
    }
    text.push_str("\n\n");
    if class.constructor.is_none() && class.methods.is_empty() && class.statics.is_empty() {
        return;
    }
    table(text, "", class.constructor.iter());
    for native in class.methods {
        row(text, "->", native);
    }
    for native in class.statics {
        row(text, &format!("{}::", class.name), native);
    }
}

fn hook(text: &mut String, hook: &Hook) {
    let _ = write!(text, "\n### {}\n\n", hook.name);
    let variables: Vec<_> = hook.variables.iter().map(|variable| format!("`${}`", variable.name)).collect();
    let _ = writeln!(
        text,
        "Variables: {}. A script that decides nothing: {}.\n",
        variables.join(", "),
        hook.implied
    );
    text.push_str("| Function | What it does | Decides |\n|---|---|---|\n");
    let decisions = hook.decisions.iter().map(|native| (native, "yes"));
    for (native, decides) in decisions.chain(hook.functions.iter().map(|native| (native, "no"))) {
        let (name, params, doc) = (native.name, cell(native.params), cell(native.doc));
        let _ = writeln!(text, "| `{name}({params})` | {doc} | {decides} |");
    }
}

fn modules(text: &mut String, library: &Library) {
    let modules: Vec<_> = library.modules().map(|path| format!("`{path}`")).collect();
    let loaders: Vec<_> = library.loaders().map(|extension| format!("`.{extension}`")).collect();
    let _ = write!(text, "\n## Modules and data\n\nBuilt-in modules: {}.\n", list(&modules));
    let _ = writeln!(text, "Data imports (`import $data from \"file\";`): {}.", list(&loaders));
    text.push_str("\nDocumented modules that are not built in; a script that imports one does not compile unless it is installed:\n\n");
    text.push_str("| Module | Why |\n|---|---|\n");
    for (name, why) in ABSENT_MODULES {
        let _ = writeln!(text, "| `extras://{name}` | {} |", cell(why));
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn absent(text: &mut String, library: &Library) {
    text.push_str("\n## What is not there\n\n");
    text.push_str("Names that scripts for the documented product may use. A script that calls one of them compiles, with a warning, and the call is an exception; `hsl-lint` refuses it.\n\n");
    text.push_str("| Name | Why |\n|---|---|\n");
    for absent in library.all_absent() {
        let _ = writeln!(text, "| `{}` | {} |", absent.name, cell(absent.reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rewrites the document when `UPDATE_DOCS` is set.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test may touch the repository it belongs to")]
    fn the_reference_of_functions_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/hsl-functions.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, reference()).expect("the repository is writable");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        let advice = "run UPDATE_DOCS=1 cargo test -p hostcalls reference";
        assert!(found == reference(), "docs/reference/hsl-functions.md is stale: {advice}");
    }

    #[test]
    fn everything_that_scripts_can_call_is_explained() {
        let library = library();
        let mut classes = library.classes();
        classes.extend(library.module_classes().map(|(_, class)| class));
        let members = classes
            .iter()
            .flat_map(|class| class.constructor.iter().chain(class.methods).chain(class.statics));
        for native in library.functions().into_iter().chain(members) {
            assert!(
                is_internal(native.name) || !native.doc.trim().is_empty(),
                "{} is not explained",
                native.name
            );
        }
        for class in &classes {
            assert!(!class.doc.trim().is_empty(), "{} is not explained", class.name);
        }
        assert!(library.all_absent().all(|absent| !absent.reason.is_empty()));
    }

    /// What the linter's table calls a native of a class.
    fn members(class: &'static NativeClass) -> impl Iterator<Item = (String, &'static Native)> {
        let constructor = class.constructor.iter().map(|native| (class.name.to_owned(), native));
        let methods = class.methods.iter().map(|native| (format!("->{}", native.name), native));
        let statics = class.statics.iter().map(|native| (format!("{}::{}", class.name, native.name), native));
        constructor.chain(methods).chain(statics)
    }

    /// All natives, as the linter's table calls them.
    fn natives() -> Vec<(String, &'static Native)> {
        let library = library();
        let mut all: Vec<_> =
            library.functions().into_iter().map(|native| (native.name.to_owned(), native)).collect();
        all.extend(library.classes().into_iter().flat_map(members));
        all.extend(library.module_classes().flat_map(|(_, class)| members(class)));
        all
    }

    /// When a native computes on another thread; `None`: never.
    fn offloaded_above(native: &Native) -> Option<usize> {
        match native.run {
            NativeRun::Sized { above_bytes, .. }
            | NativeRun::Offloading { above_bytes, .. }
            | NativeRun::Weighed { above: above_bytes, .. } => Some(above_bytes),
            NativeRun::Inline(_) | NativeRun::Frame(_) | NativeRun::Host(_) => None,
        }
    }

    /// The program that measures what natives cost just below their threshold has them all, each with its threshold.
    #[test]
    fn whatever_may_be_offloaded_is_measured() {
        let program = include_str!("../../bench/script/thresholds.hsl");
        let library = library();
        let mut expected = Vec::new();
        let mut expect = |name: String, native: &Native| {
            if let Some(above) = offloaded_above(native).filter(|_| !is_internal(native.name)) {
                expected.push(format!("measure(\"{name}\", {above}, "));
            }
        };
        for native in library.functions() {
            expect(native.name.to_owned(), native);
        }
        for class in library.classes().into_iter().chain(library.module_classes().map(|(_, class)| class)) {
            class
                .methods
                .iter()
                .for_each(|native| expect(format!("{}->{}", class.name, native.name), native));
            class
                .statics
                .iter()
                .for_each(|native| expect(format!("{}::{}", class.name, native.name), native));
        }
        let missing: Vec<_> = expected.iter().filter(|line| !program.contains(&***line)).collect();
        assert!(missing.is_empty(), "bench/script/thresholds.hsl has no line with {missing:#?}");
        assert_eq!(program.matches("\nmeasure(").count(), expected.len(), "and no others");
    }

    /// Whatever has no threshold, and does not wait for another program, says in one place why it needs none.
    #[test]
    fn whatever_is_never_offloaded_is_bounded() {
        let library = library();
        let mut here = Vec::new();
        let mut add = |name: String, native: &Native| {
            let is_here = matches!(native.run, NativeRun::Inline(_) | NativeRun::Frame(_));
            here.extend(Some(name).filter(|_| is_here && !is_internal(native.name)));
        };
        library.functions().into_iter().for_each(|native| add(native.name.to_owned(), native));
        for class in library.classes().into_iter().chain(library.module_classes().map(|(_, class)| class)) {
            class.constructor.iter().for_each(|native| add(class.name.to_owned(), native));
            class.methods.iter().for_each(|native| add(format!("{}->{}", class.name, native.name), native));
            class.statics.iter().for_each(|native| add(format!("{}::{}", class.name, native.name), native));
        }
        let mut bounded: Vec<_> = BOUNDED.names().map(str::to_owned).collect();
        here.sort_unstable();
        bounded.sort_unstable();
        let unexplained: Vec<_> = here.iter().filter(|name| !bounded.contains(name)).collect();
        assert!(unexplained.is_empty(), "a threshold, or a reason in bounded.txt: {unexplained:?}");
        assert_eq!(bounded, here, "bounded.txt has what is not in the library, or twice");
    }

    #[test]
    fn the_linter_knows_the_options_of_every_native() {
        // They are documented with options, of which none is known; the last ones hand on what is theirs.
        const WITHOUT: [&str; 2] = ["domain_includes", "url_parse"];
        let known: Vec<_> = script::lint::names_with_options().collect();
        for (name, native) in natives() {
            let takes_options = native.params.contains("options") && !is_internal(native.name);
            if takes_options && !WITHOUT.contains(&native.name) {
                assert!(
                    known.contains(&&*name),
                    "{name}({}) is not in script/src/lint/options.txt",
                    native.params
                );
            }
        }
    }

    #[test]
    fn whoever_has_options_for_the_linter_is_there() {
        let (library, natives) = (library(), natives());
        // Of hooks, a test beside them knows; what is within options goes with them.
        let of_hook = |name: &str| name.contains(':') && !name.contains("::") || name.contains('.');
        let not_native = |name: &&str| !matches!(*name, "cache" | "import") && !of_hook(name);
        for name in script::lint::names_with_options().filter(not_native) {
            let is_there = match name.strip_prefix("extras://").and_then(|rest| rest.split_once("::")) {
                Some((module, symbol)) => {
                    let path = format!("extras://{module}");
                    let source = library.module_source(&path).expect("a module");
                    let symbol = symbol.rsplit("::").next().unwrap_or(symbol);
                    ["function ", "class "].iter().any(|word| source.contains(&format!("{word}{symbol}")))
                }
                None => {
                    let method = name.strip_prefix("->").map(|method| format!("function {method}("));
                    let in_module = |path| {
                        let source = library.module_source(path).unwrap_or_default();
                        method.as_ref().is_some_and(|method| source.contains(method))
                    };
                    natives.iter().any(|(native, _)| native == name)
                        || library.why_absent(name).is_some()
                        || library.modules().any(in_module)
                }
            };
            assert!(is_there, "{name} is in script/src/lint/options.txt only");
        }
    }

    #[test]
    fn the_linter_knows_the_options_of_every_module() {
        let library = library();
        for path in library.modules() {
            let source = library.module_source(path).expect("a module");
            let own = |name: &&str| name.starts_with(&format!("{path}::")) || name.starts_with("->");
            let known: Vec<_> =
                script::lint::names_with_options().filter(own).flat_map(script::lint::options_of).collect();
            for variable in ["$options[\"", "$opts[\""] {
                for rest in source.split(variable).skip(1) {
                    let option = rest.split('"').next().unwrap_or_default();
                    assert!(
                        known.contains(&option),
                        "{path} reads {option}, script/src/lint/options.txt has it not"
                    );
                }
            }
        }
    }
}
