//! The compiler's way to the files that scripts name.

use std::sync::Arc;

use script::compile::{LoadError, Loader, SourceText};
use script::native::Library;

use super::Sources;
use crate::limits::MAX_IMPORT_BYTES;

/// The sources of a run, and the modules that are built in.
pub struct SourceLoader<'a> {
    sources: &'a Sources,
    library: &'a Arc<Library>,
}

impl<'a> SourceLoader<'a> {
    /// A file that is installed comes before a module of the same name that is built in.
    pub fn new(sources: &'a Sources, library: &'a Arc<Library>) -> SourceLoader<'a> {
        SourceLoader { sources, library }
    }
}

impl Loader for SourceLoader<'_> {
    fn load(&mut self, path: &str, from: &str) -> Result<SourceText, LoadError> {
        match self.sources.read(path, from, MAX_IMPORT_BYTES) {
            Ok((name, bytes)) => Ok(SourceText { name, bytes: bytes.to_vec() }),
            Err(error) => match self.library.module_source(path) {
                Some(source) if error.is_missing() => {
                    Ok(SourceText { name: path.replacen("://", ":", 1), bytes: source.as_bytes().to_vec() })
                }
                _ => Err(LoadError(error.to_string())),
            },
        }
    }
}

impl std::fmt::Debug for SourceLoader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceLoader").field("sources", &self.sources).finish_non_exhaustive()
    }
}
