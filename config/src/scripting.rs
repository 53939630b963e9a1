//! `scripting` of both files: what scripts are made of and what they may reach.

use std::path::PathBuf;

use data_encoding::BASE64;

use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};

/// `scripting` of the startup file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptSettings {
    /// Directory of `file://` imports and files; `None`: there are none.
    pub rootpath: Option<PathBuf>,
    /// Native library calls are asked for.
    pub ffi: bool,
}

/// `scripting` of the running file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripting {
    /// The hooks of the servers, in file order within a phase. Ids are unique within a phase.
    pub hooks: Vec<HookScript>,
    /// The script before each delivery attempt.
    pub predelivery: Option<String>,
    /// The script after each delivery attempt.
    pub postdelivery: Option<String>,
    /// Virtual files. Ids are unique.
    pub files: Vec<VirtualFile>,
    /// `__entrypoint`: the script to run when none is named. Only where scripts run without a server.
    pub entrypoint: Option<String>,
}

/// `scripting.hooks.<phase>[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookScript {
    /// One of [`PHASES`].
    pub phase: &'static str,
    /// Name used by `phases.<phase>.hook`.
    pub id: String,
    /// Script text.
    pub data: String,
}

/// The phases of a session that can have hooks, in the order in which they come.
pub const PHASES: [&str; 8] = ["connect", "proxy", "helo", "auth", "mailfrom", "rcptto", "eod", "disconnect"];

/// `scripting.files[]`: a file that imports and `File()` find by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualFile {
    /// Path below `src/files`, with `/` between its parts.
    pub id: String,
    /// What is in it.
    pub content: FileContent,
}

/// Where the bytes of a virtual file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// Here: text as it is, binary data decoded.
    Data(Vec<u8>),
    /// On disk, to be read at load and reload.
    Path(PathBuf),
}

/// What the schema cannot say about `scripting.files[]`.
pub(crate) fn cross_check(root: &Tree, report: &mut Report) {
    for (index, file) in root.items("scripting.files").iter().enumerate() {
        // What is no mapping has had its error.
        if !matches!(file.value, Checked::Map(_)) {
            continue;
        }
        let path = format!("scripting.files[{index}]");
        match (file.get("data"), file.get("path")) {
            (None, None) => report.error(file.at, &path, Problem::new("has neither data nor path")),
            (Some(_), Some(other)) => {
                report.error(other.at, &format!("{path}.path"), Problem::new("excludes data"));
            }
            (Some(data), None) if file.bool("binary") == Some(true) => {
                if let Some(text) = file.text("data")
                    && decode(text).is_none()
                {
                    let problem = Problem::new("not base64").hint("remove binary: true if it is text");
                    report.error(data.at, &format!("{path}.data"), problem);
                }
            }
            _ => {}
        }
    }
}

/// Base64 in lines of any length.
fn decode(text: &str) -> Option<Vec<u8>> {
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(&packed).ok()
}

/// The startup part of a tree without errors and with all defaults.
pub(crate) fn settings(root: &Tree) -> ScriptSettings {
    ScriptSettings {
        rootpath: root.text("scripting.rootpath").map(PathBuf::from),
        ffi: root.bool("scripting.ffi").expect("has a default"),
    }
}

/// The running part of a tree without errors and with all defaults.
pub(crate) fn scripting(root: &Tree) -> Scripting {
    let hooks = PHASES.into_iter().flat_map(|phase| {
        root.items(&format!("scripting.hooks.{phase}")).iter().map(move |hook| HookScript {
            phase,
            id: hook.text("id").expect("required").to_owned(),
            data: hook.text("data").expect("required").to_owned(),
        })
    });
    let script = |key: &str| root.text(key).filter(|text| !text.is_empty()).map(str::to_owned);
    Scripting {
        hooks: hooks.collect(),
        predelivery: script("scripting.hooks.predelivery"),
        postdelivery: script("scripting.hooks.postdelivery"),
        files: root.items("scripting.files").iter().map(file).collect(),
        entrypoint: root.text("__entrypoint").map(str::to_owned),
    }
}

fn file(tree: &Tree) -> VirtualFile {
    let content = match (tree.text("data"), tree.text("path")) {
        (Some(text), _) if tree.bool("binary") == Some(true) => {
            FileContent::Data(decode(text).expect("checked"))
        }
        (Some(text), _) => FileContent::Data(text.as_bytes().to_vec()),
        (None, path) => FileContent::Path(PathBuf::from(path.expect("checked"))),
    };
    VirtualFile { id: tree.text("id").expect("required").to_owned(), content }
}
