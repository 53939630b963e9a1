//! One text per name.

use std::collections::HashSet;
use std::sync::Arc;

/// Gives equal names the same text, so that the files of a program share it.
#[derive(Clone, Debug, Default)]
pub struct Names {
    texts: HashSet<Arc<str>>,
}

impl Names {
    /// No names yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The shared text of a name.
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&shared));
        shared
    }
}
