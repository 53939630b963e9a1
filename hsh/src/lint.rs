//! What `hsl-lint` says about a script (reference: cli-and-operations 5.2).

use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use hostcalls::hooks::{self, Hook};
use hostcalls::source::{EXTRAS, SourceLoader, Sources};
use script::compile::{CompileOptions, Compiled, Diagnostics, Predefined, SourceText, compile};
use script::diagnostic::Diagnostic;
use script::lint::{Surroundings, lint};
use script::native::Library;
use script::source::{SourceMap, Span};
use script::std::yaml;
use script::value::{Array, Value};

/// A script to check, with what it may find.
#[derive(Debug)]
pub struct Document {
    phase: Phase,
    data: Vec<u8>,
    sources: Sources,
}

/// What can hardly be meant in a script that compiles: a list in YAML; empty where there is nothing to say.
#[derive(Debug)]
pub struct Warnings(pub String);

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The script of a hook.
    Hook(&'static Hook),
    /// A file, which any hook may include.
    File,
}

/// The name of the script itself; the output has none for it.
const SCRIPT: &str = "script";

impl Document {
    /// Reads the document that an editor sends: `phase`, `data`, `files`, `scripting`. What it does not know it ignores.
    ///
    /// # Errors
    /// It is no such document.
    pub fn parse(text: &[u8]) -> Result<Document, String> {
        let document = yaml::decode(text)?;
        let document = document.as_array().ok_or("expected a mapping at the top level")?;
        let phase = text_of(document, "phase").unwrap_or_default();
        let phase = match (hooks::hook(&phase), &*phase) {
            (Some(hook), _) => Phase::Hook(hook),
            (None, "") => Phase::File,
            (None, other) => return Err(format!("unknown phase \"{other}\"")),
        };
        let data = bytes_of(document, "data").ok_or("there is no data")?;
        let mut sources = Sources::new(files(document)?).with_extras(Path::new(EXTRAS));
        if let Some(scripting) = document.get_str("scripting")
            && let Some(rootpath) = scripting.as_array().and_then(|scripting| text_of(scripting, "rootpath"))
        {
            // Editors send the configuration of the server as it is; here the directory need not exist.
            sources = sources.with_root_if_there(Path::new(&rootpath));
        }
        Ok(Document { phase, data, sources })
    }

    /// Checks it.
    ///
    /// # Errors
    /// It does not compile: one YAML document about the first error.
    pub fn check(&self) -> Result<Warnings, String> {
        let library = match self.phase {
            Phase::Hook(hook) => hook.library(),
            Phase::File => hooks::any_library(),
        };
        let compiled = self.compile(&library).map_err(|found| {
            let error = found.all.iter().find(|diagnostic| diagnostic.is_error()).expect("there is one");
            describe(error, &found.sources)
        })?;
        let (hook, variables): (_, Option<Vec<&str>>) = match self.phase {
            Phase::Hook(hook) => (Some(hook.name), Some(hook.variables.iter().map(|v| v.name).collect())),
            Phase::File => (None, None),
        };
        let sources = compiled.program.sources();
        let surroundings = Surroundings { library: &library, predefined: variables.as_deref(), hook };
        let found = compiled.warnings.into_iter().chain(lint(sources, surroundings));
        Ok(Warnings(found.map(|warning| item(&describe(&warning, sources))).collect()))
    }

    fn compile(&self, library: &Arc<Library>) -> Result<Compiled, Diagnostics> {
        let variables = match self.phase {
            Phase::Hook(hook) => hook.variables,
            Phase::File => &[],
        };
        let predefined = variables
            .iter()
            .map(|variable| Predefined { name: variable.name.to_owned(), read_only: variable.read_only });
        let options = CompileOptions {
            predefined: predefined.collect(),
            forbid_absent: true,
            ..CompileOptions::default()
        };
        let main = SourceText { name: SCRIPT.to_owned(), bytes: self.data.clone() };
        compile(main, &mut SourceLoader::new(&self.sources, library), library, &options)
    }
}

/// A mapping in YAML about a finding. Its scalars are JSON too, which keeps quoting simple.
fn describe(finding: &Diagnostic, sources: &SourceMap) -> String {
    let message = match &finding.help {
        Some(help) => format!("{}; {help}", finding.message),
        None => finding.message.clone(),
    };
    let mut out = String::new();
    place(sources, finding.span, &mut out);
    out.push_str(&format!("message: {}\n", quoted(&message)));
    let chain: Vec<Span> = sources.include_chain(finding.span.file).collect();
    if chain.is_empty() {
        out.push_str("path: []\n");
        return out;
    }
    out.push_str("path:\n");
    for span in chain {
        let mut mapping = String::new();
        place(sources, span, &mut mapping);
        out.push_str(&item(&mapping));
    }
    out
}

/// A mapping as an item of a list.
fn item(mapping: &str) -> String {
    let lines = mapping.lines().enumerate();
    lines.map(|(index, line)| format!("{}{line}\n", if index == 0 { "- " } else { "  " })).collect()
}

/// `file`, if it is not the script itself, `line` and `column`.
fn place(sources: &SourceMap, span: Span, out: &mut String) {
    let name = &*sources.get(span.file).name;
    if name != SCRIPT {
        // Editors know virtual files by their ids.
        out.push_str(&format!("file: {}\n", quoted(name.strip_prefix("file:").unwrap_or(name))));
    }
    let position = sources.position(span);
    out.push_str(&format!("line: {}\ncolumn: {}\n", position.line, position.column));
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn files(document: &Array) -> Result<Vec<(String, Vec<u8>)>, String> {
    let Some(files) = document.get_str("files") else { return Ok(Vec::new()) };
    let files = files.as_array().ok_or("files: expected a list")?;
    let mut all = Vec::new();
    for (_, file) in files.iter() {
        let file = file.as_array().ok_or("files: expected mappings")?;
        let id = text_of(file, "id").ok_or("files: an entry has no id")?;
        let Some(data) = bytes_of(file, "data") else { continue };
        let binary = file.get_str("binary").is_some_and(|value| value.truthy());
        let data =
            if binary { decode(&data).ok_or_else(|| format!("files: {id} is not base64"))? } else { data };
        all.push((id, data));
    }
    Ok(all)
}

fn decode(data: &[u8]) -> Option<Vec<u8>> {
    let packed: Vec<u8> = data.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(&packed).ok()
}

fn bytes_of(array: &Array, key: &str) -> Option<Vec<u8>> {
    match array.get_str(key)? {
        Value::None => None,
        value => value.to_text().ok().map(|text| text.as_bytes().to_vec()),
    }
}

fn text_of(array: &Array, key: &str) -> Option<String> {
    bytes_of(array, key).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
