//! `pki` of both files: keys and certificates by name.

use std::path::PathBuf;

use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};

/// Keys and certificates. Ids are unique within each list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pki {
    /// `pki.private[]`: keys with their certificates.
    pub private: Vec<PkiEntry>,
    /// `pki.public[]`: certificates or public keys for scripts. Only in the running file.
    pub public: Vec<PkiEntry>,
    /// `pki.trusted[]`: more certificate authorities. Only in the running file.
    pub trusted: Vec<PkiEntry>,
}

/// One name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PkiEntry {
    /// The name: `pki:<id>` in scripts.
    pub id: String,
    /// `privatekey`, or `publickey` for what is public.
    pub key: Option<Pem>,
    /// `certificate`: a chain, leaf first.
    pub certificate: Option<Pem>,
}

/// Where a PEM text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// On disk.
    Path(PathBuf),
    /// Here.
    Data(String),
}

impl Pki {
    /// What the startup file (`self`) and the running file say together: entries of one id are joined, and what both
    /// give is taken from the running file.
    pub fn joined(&self, running: &Pki) -> Pki {
        let mut all = self.clone();
        all.public.clone_from(&running.public);
        all.trusted.clone_from(&running.trusted);
        for entry in &running.private {
            match all.private.iter_mut().find(|own| own.id == entry.id) {
                Some(own) => {
                    own.key = entry.key.clone().or(own.key.take());
                    own.certificate = entry.certificate.clone().or(own.certificate.take());
                }
                None => all.private.push(entry.clone()),
            }
        }
        all
    }
}

/// What the schema cannot say: each text is given once.
pub(crate) fn cross_check(root: &Tree, report: &mut Report) {
    for list in ["private", "public", "trusted"] {
        for (index, entry) in root.items(&format!("pki.{list}")).iter().enumerate() {
            for part in ["privatekey", "publickey", "certificate"] {
                // What is no mapping has had its error.
                let given = |pem: &&Tree| matches!(pem.value, Checked::Map(_));
                let Some(pem) = entry.get(part).filter(given) else { continue };
                let path = format!("pki.{list}[{index}].{part}");
                match (pem.get("path"), pem.get("data")) {
                    (Some(_), Some(data)) => {
                        report.error(data.at, &format!("{path}.data"), Problem::new("excludes path"));
                    }
                    (None, None) => report.error(pem.at, &path, Problem::new("has neither path nor data")),
                    _ => {}
                }
            }
        }
    }
}

/// The typed value of a tree without errors.
pub(crate) fn pki(root: &Tree) -> Pki {
    let list = |name: &str, key: &str| {
        root.items(&format!("pki.{name}"))
            .iter()
            .map(|tree| PkiEntry {
                id: tree.text("id").expect("required").to_owned(),
                key: tree.get(key).and_then(pem),
                certificate: tree.get("certificate").and_then(pem),
            })
            .collect()
    };
    Pki {
        private: list("private", "privatekey"),
        public: list("public", "publickey"),
        trusted: list("trusted", ""),
    }
}

pub(crate) fn pem(tree: &Tree) -> Option<Pem> {
    match (tree.text("path"), tree.text("data")) {
        (Some(path), _) => Some(Pem::Path(PathBuf::from(path))),
        (None, data) => data.map(|text| Pem::Data(text.to_owned())),
    }
}
