//! The client program under test.

use std::path::{Path, PathBuf};

use crate::hsh::{Ended, Run};

/// `halonctl` for one server.
#[derive(Debug)]
pub struct Halonctl {
    config: PathBuf,
}

impl Halonctl {
    /// For the server whose control socket this is; its client file is written beside it.
    pub fn of(socket: &Path) -> Halonctl {
        let config = socket.with_file_name("halonctl.yaml");
        let text = format!("environment:\n  controlsockets:\n    smtpd:\n      path: {}\n", socket.display());
        std::fs::write(&config, text).expect("a temporary directory can be written");
        Halonctl { config }
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).end()
    }

    /// A command to be run.
    pub fn command(&self, arguments: &[&str]) -> Run {
        Run::of("halonctl").args(arguments).arg_path("--config", &self.config)
    }
}
