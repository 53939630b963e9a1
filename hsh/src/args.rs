//! The command line of `hsh` (reference: cli-and-operations 5.3).

use std::ffi::OsString;
use std::path::PathBuf;

/// Where the startup configuration is when nobody says otherwise (reference: configuration 9).
pub const DEFAULT_CONFIG: &str = "/etc/halon/smtpd.yaml";

/// What `hsh --help` prints.
pub const USAGE: &str = "\
hsh - run scripts of the Halon script language (HSL)

Usage: hsh [OPTIONS] [FILE | -]

Runs FILE, or the script on standard input (-). Without an operand: the script named by the
configuration (-A), else an interactive session if standard input is a terminal, else the script on
standard input.

Options:
  -s, --syntax             check the syntax only: nothing is run, and the exit status tells
  -B, --binary             echo writes bytes as they are, without a newline after each
  -A, --appconf PATH       running configuration: its scripting.files[] can be imported and opened,
                           its pki and resolver are used; - reads it from standard input up to the
                           end or a byte EOT (0x04), after which the script follows
  -c, --config PATH        startup configuration, which names the running one; /dev/null: none
                           (default /etc/halon/smtpd.yaml, if there is one)
  -R, --rootpath PATH      directory of file:// imports and files, instead of scripting.rootpath
  -P, --privdrop           become the user and group of environment.privdrop (needs root)
      --limit NAME=VALUE   change a limit of the script; repeatable; names and defaults below
  -p, --plugin ID          load a plugin that writes files of the server: logger,
                           http-bulk
  -F, --ffi                allow native library calls: not supported, refused
  -C PATH                  let the debugger that listens on this socket look at the script
  -v, --version            print the version and exit
  -h, --help               print this text and exit

Limits (sizes are bytes, or have a unit: 64MiB):
";

/// What follows [`USAGE`] after the table of limits.
pub const USAGE_END: &str = "
Exit status: 0 if the script ended, 1 if it could not be compiled or ended with an error, 2 if the
command line is wrong. Messages go to standard error.

Examples:
  echo 'echo 1 + 2;' | hsh -            prints 3
  hsh -s policy.hsl                     is it valid?
  hsh -A smtpd-app.yaml test.hsl        with the files of a running configuration
  hsh --limit time=5 slow.hsl           stop it after five seconds
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Run, check or talk.
    Run(Box<Options>),
    /// Print the version.
    Version,
    /// Print [`USAGE`].
    Help,
}

/// Where the script comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Script {
    /// Nothing was said.
    #[default]
    Unnamed,
    /// `-`.
    StandardInput,
    /// A file.
    File(PathBuf),
}

/// Where the running configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppConf {
    /// `-`: standard input up to its end or EOT.
    StandardInput,
    /// A file.
    File(PathBuf),
}

/// Options of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The operand.
    pub script: Script,
    /// `-c`; `None`: [`DEFAULT_CONFIG`] if it exists.
    pub config: Option<PathBuf>,
    /// `-A`; `None`: what the startup configuration names.
    pub appconf: Option<AppConf>,
    /// `-R`.
    pub rootpath: Option<PathBuf>,
    /// `-B`.
    pub binary: bool,
    /// `-s`.
    pub syntax: bool,
    /// `-P`.
    pub privdrop: bool,
    /// `-p`, in order: each is built in.
    pub plugins: Vec<String>,
    /// `-C`.
    pub debugger: Option<PathBuf>,
    /// `--limit`, in order: name and value.
    pub limits: Vec<(String, String)>,
}

/// Reads the arguments after the program name. The error is a sentence for standard error.
pub fn parse<I>(args: I) -> Result<Command, String>
where
    I: IntoIterator<Item = OsString>,
{
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_args(args);
    let mut options = Options::default();
    let usage = |error: lexopt::Error| format!("{error}; see hsh --help");
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Short('s') | Long("syntax") => options.syntax = true,
            Short('B') | Long("binary") => options.binary = true,
            Short('P') | Long("privdrop") => options.privdrop = true,
            Short('A') | Long("appconf") => {
                options.appconf = Some(appconf(parser.value().map_err(usage)?));
            }
            Short('c') | Long("config") => options.config = Some(parser.value().map_err(usage)?.into()),
            Short('R') | Long("rootpath") => options.rootpath = Some(parser.value().map_err(usage)?.into()),
            Long("limit") => options.limits.push(limit(parser.value().map_err(usage)?)?),
            Short('F') | Long("ffi") => return Err(refused("-F", "native library calls")),
            Short('p') | Long("plugin") => {
                let id = parser.value().map_err(usage)?;
                options.plugins.push(plugin(&id.to_string_lossy())?);
            }
            Short('C') => options.debugger = Some(parser.value().map_err(usage)?.into()),
            Short('v') | Long("version") => return Ok(Command::Version),
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(operand) if options.script == Script::Unnamed => options.script = script(operand),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(Command::Run(Box::new(options)))
}

/// Those that need no loading may be named, too.
fn plugin(id: &str) -> Result<String, String> {
    if config::PLUGINS.contains(&id) {
        Ok(id.to_owned())
    } else {
        Err(refused(&format!("-p {id}"), "native plugins"))
    }
}

fn script(operand: OsString) -> Script {
    if operand == "-" { Script::StandardInput } else { Script::File(operand.into()) }
}

fn appconf(value: OsString) -> AppConf {
    if value == "-" { AppConf::StandardInput } else { AppConf::File(value.into()) }
}

fn limit(value: OsString) -> Result<(String, String), String> {
    let text = value.to_string_lossy();
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("--limit {text}: expected NAME=VALUE; see hsh --help")),
    }
}

fn refused(option: &str, what: &str) -> String {
    format!("{option}: {what} are not supported by this version; remove the option")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Command, String> {
        parse(words.split_whitespace().map(Into::into))
    }

    fn options(words: &str) -> Options {
        match parse_words(words) {
            Ok(Command::Run(options)) => *options,
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn each_option_has_its_documented_names() {
        let expected = Options {
            script: Script::File("x.hsl".into()),
            config: Some("c.yaml".into()),
            appconf: Some(AppConf::File("a.yaml".into())),
            rootpath: Some("/srv".into()),
            binary: true,
            syntax: true,
            privdrop: true,
            plugins: vec!["logger".into()],
            debugger: Some("/tmp/s".into()),
            limits: vec![("time".into(), "5".into())],
        };
        assert_eq!(
            options("-c c.yaml -A a.yaml -R /srv -B -s -P -p logger -C /tmp/s --limit time=5 x.hsl"),
            expected
        );
        let long = "--config c.yaml --appconf a.yaml --rootpath /srv --binary --syntax --privdrop --plugin logger -C /tmp/s \
                    --limit=time=5 x.hsl";
        assert_eq!(options(long), expected);
        assert_eq!(options("").script, Script::Unnamed);
        assert_eq!(options("-").script, Script::StandardInput);
        assert_eq!(options("-A - -").appconf, Some(AppConf::StandardInput));
        assert_eq!(parse_words("-v"), Ok(Command::Version));
        assert_eq!(parse_words("--help"), Ok(Command::Help));
    }

    #[test]
    fn what_it_cannot_do_is_refused_by_name() {
        for words in ["-F", "--ffi", "-p cassandra", "--plugin cassandra"] {
            let error = parse_words(words).unwrap_err();
            assert!(error.contains("not supported"), "{words}: {error}");
        }
        for words in ["--frobnicate", "a b", "-c", "--limit time"] {
            assert!(parse_words(words).unwrap_err().contains("see hsh --help"), "{words}");
        }
    }
}
