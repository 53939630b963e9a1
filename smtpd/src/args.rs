//! The command line of `smtpd` (reference: cli-and-operations 2.1).

use std::path::PathBuf;

/// Where the startup file is when nobody says otherwise (reference: configuration 9).
pub const DEFAULT_CONFIG: &str = "/etc/halon/smtpd.yaml";

/// What `smtpd --help` prints.
pub const USAGE: &str = "\
smtpd - SMTP mail transfer agent

Usage: smtpd [-f] [-c PATH] [--config-env-substitution] [-t | --frozen]
       smtpd -v | -h

  -f                          stay in the foreground and log to standard error; without it, log to
                              syslog (the program does not fork: run it under a supervisor, or from
                              a systemd unit of Type=notify)
  -c PATH, --config PATH      startup configuration (default /etc/halon/smtpd.yaml)
  --config-env-substitution   allow !Env tags in the configuration files
  -t                          check everything that a start needs (files, certificates, addresses, user,
                              hosts), bind nothing, and exit; exit status 0 means that a start would
                              get past its configuration
  --frozen                    load the queue, but neither accept nor send until SIGUSR2
  -v, --version               print the version and exit
  -h, --help                  print this text and exit

Signals: SIGTERM and SIGINT shut down gracefully (a second one at once), SIGHUP reloads the running,
suspend, policy and delivery files, SIGUSR1 opens the accounting file anew, SIGUSR2 thaws a frozen server.

Examples:
  smtpd -t -c ./smtpd.yaml        check a configuration
  smtpd -f -c ./smtpd.yaml        run it in the foreground
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Run the server.
    Run(Options),
    /// Check the configuration and exit.
    Check(Options),
    /// Print the version.
    Version,
    /// Print [`USAGE`].
    Help,
}

/// Options of a run or a check.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// `-f`: log to standard error.
    pub foreground: bool,
    /// `-c`: the startup file.
    pub config: PathBuf,
    /// `--config-env-substitution`.
    pub env_substitution: bool,
    /// `--frozen`: neither accept nor send until thawed.
    pub frozen: bool,
}

/// Reads the arguments after the program name. The error is a sentence for standard error.
pub fn parse<I>(args: I) -> Result<Command, String>
where
    I: IntoIterator<Item = std::ffi::OsString>,
{
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options {
        foreground: false,
        config: PathBuf::from(DEFAULT_CONFIG),
        env_substitution: false,
        frozen: false,
    };
    let mut check = false;
    let usage = |error: lexopt::Error| format!("{error}; see smtpd --help");
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Short('f') => options.foreground = true,
            Short('c') | Long("config") => options.config = parser.value().map_err(usage)?.into(),
            Long("config-env-substitution") => options.env_substitution = true,
            Long("frozen") => options.frozen = true,
            Short('t') => check = true,
            Short('v') | Long("version") => return Ok(Command::Version),
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(if check { Command::Check(options) } else { Command::Run(options) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Command, String> {
        parse(words.split_whitespace().map(Into::into))
    }

    #[test]
    fn flags_combine_and_have_documented_defaults() {
        let run = |foreground, config: &str, env_substitution| {
            Ok(Command::Run(Options { foreground, config: config.into(), env_substitution, frozen: false }))
        };
        assert_eq!(parse_words(""), run(false, DEFAULT_CONFIG, false));
        assert_eq!(parse_words("-f -c a.yaml"), run(true, "a.yaml", false));
        assert_eq!(parse_words("--config=b.yaml --config-env-substitution"), run(false, "b.yaml", true));
        assert!(matches!(parse_words("-t -c a.yaml"), Ok(Command::Check(_))));
        assert!(matches!(parse_words("-f --frozen"), Ok(Command::Run(Options { frozen: true, .. }))));
        assert_eq!(parse_words("-v"), Ok(Command::Version));
        assert_eq!(parse_words("--help"), Ok(Command::Help));
    }

    #[test]
    fn a_wrong_flag_is_named() {
        assert!(parse_words("--frobnicate").unwrap_err().contains("--frobnicate"));
        assert!(parse_words("-c").unwrap_err().contains("-c"));
        assert!(parse_words("extra").unwrap_err().contains("extra"));
    }
}
