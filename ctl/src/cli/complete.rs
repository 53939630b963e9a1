//! Completion scripts for shells.
//!
//! Each script walks the words before the cursor down the tree of commands, and offers what may stand there. The words are
//! in the script: completing asks neither this program nor the server.

use std::fmt::Write;

use super::{Command, Opt, Value};

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash 4 or later.
    Bash,
    /// zsh with compinit.
    Zsh,
    /// fish 3 or later.
    Fish,
}

impl Shell {
    /// The names of all.
    pub const NAMES: &'static [&'static str] = &["bash", "zsh", "fish"];

    /// The shell of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// The script for a shell.
#[must_use]
pub fn script<R>(root: &'static Command<R>, shell: Shell) -> String {
    let mut nodes = Vec::new();
    collect(root, "", &[], &mut nodes);
    match shell {
        Shell::Bash => bash(root.name, &nodes),
        Shell::Zsh => zsh(root.name, &nodes),
        Shell::Fish => fish(root.name, &nodes),
    }
}

/// A command and what may follow it.
struct Node<R: 'static> {
    /// The words that lead to it, each with a blank before it; empty for the root.
    path: String,
    command: &'static Command<R>,
    /// Its own options, and those of the commands above.
    options: Vec<&'static Opt>,
}

fn collect<R>(
    command: &'static Command<R>,
    path: &str,
    inherited: &[&'static Opt],
    nodes: &mut Vec<Node<R>>,
) {
    let options: Vec<&Opt> = command.all_options().chain(inherited.iter().copied()).collect();
    for below in command.commands() {
        collect(below, &format!("{path} {}", below.name), &options, nodes);
    }
    nodes.push(Node { path: path.to_owned(), command, options });
}

impl<R> Node<R> {
    /// What an argument without a dash may be.
    fn operand(&self) -> Value {
        self.command.operands.first().map_or(Value::None, |operand| operand.value)
    }

    fn words(&self) -> Vec<(String, &'static str)> {
        let mut words: Vec<(String, &str)> =
            self.command.commands().iter().map(|one| (one.name.to_owned(), one.summary)).collect();
        if let Value::Word(_, values) = self.operand() {
            words.extend(values.iter().map(|value| ((*value).to_owned(), "")));
        }
        words.extend(self.options.iter().map(|option| (format!("--{}", option.long), option.help)));
        words.push(("--help".to_owned(), "Print a help text"));
        words
    }

    /// As the pattern of a shell's `case` that the words before the cursor are held against.
    fn before_value(&self, option: &Opt) -> String {
        let long = format!("\"{}:--{}\"", self.path, option.long);
        match option.short {
            Some(letter) => format!("{long} | \"{}:-{letter}\"", self.path),
            None => long,
        }
    }
}

fn paths<R>(nodes: &[Node<R>]) -> String {
    let paths = nodes.iter().filter(|node| !node.path.is_empty()).map(|node| format!("\"{}\"", node.path));
    paths.collect::<Vec<_>>().join(" | ")
}

fn bash<R>(name: &str, nodes: &[Node<R>]) -> String {
    let mut values = String::new();
    let mut words = String::new();
    for node in nodes {
        for option in &node.options {
            let action = match option.value {
                Value::None => continue,
                Value::Text(_) => "return".to_owned(),
                Value::Word(_, words) => {
                    format!("COMPREPLY=($(compgen -W \"{}\" -- \"$current\")); return", words.join(" "))
                }
                Value::Path(_) => "COMPREPLY=($(compgen -f -- \"$current\")); return".to_owned(),
            };
            let _ = writeln!(values, "        {}) {action} ;;", node.before_value(option));
        }
        let list: Vec<String> = node.words().into_iter().map(|(word, _)| word).collect();
        let files = if matches!(node.operand(), Value::Path(_)) { " files=yes" } else { "" };
        let _ = writeln!(words, "        \"{}\") words=\"{}\"{files} ;;", node.path, list.join(" "));
    }
    format!(
        "# bash completion for {name}; in ~/.bashrc: source <({name} completion bash)
_{name}() {{
    local current=\"${{COMP_WORDS[COMP_CWORD]}}\" at=\"\" words=\"\" files=\"\" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case \"$at ${{COMP_WORDS[i]}}\" in
        {paths}) at=\"$at ${{COMP_WORDS[i]}}\" ;;
        esac
    done
    case \"$at:${{COMP_WORDS[COMP_CWORD - 1]}}\" in
{values}    esac
    case \"$at\" in
{words}    esac
    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))
    if [ -n \"$files\" ] && [[ \"$current\" != -* ]]; then
        COMPREPLY+=($(compgen -f -- \"$current\"))
    fi
}}
complete -o filenames -F _{name} {name}
",
        paths = paths(nodes)
    )
}

fn zsh<R>(name: &str, nodes: &[Node<R>]) -> String {
    let mut values = String::new();
    let mut words = String::new();
    for node in nodes {
        for option in &node.options {
            let action = match option.value {
                Value::None => continue,
                Value::Text(value) => format!("_message {}", quoted(value)),
                Value::Word(_, words) => format!("compadd -- {}", words.join(" ")),
                Value::Path(_) => "_files".to_owned(),
            };
            let _ = writeln!(values, "        {}) {action}; return ;;", node.before_value(option));
        }
        let list: Vec<String> = node
            .words()
            .into_iter()
            .map(|(word, help)| if help.is_empty() { word } else { quoted(&format!("{word}:{help}")) })
            .collect();
        let files = if matches!(node.operand(), Value::Path(_)) { "; _files" } else { "" };
        let _ = writeln!(words, "        \"{}\") found=({}){files} ;;", node.path, list.join(" "));
    }
    format!(
        "#compdef {name}
# zsh completion for {name}; in ~/.zshrc after compinit: source <({name} completion zsh)
_{name}() {{
    local at=\"\" i
    local -a found
    for ((i = 2; i < CURRENT; i++)); do
        case \"$at ${{words[i]}}\" in
        {paths}) at=\"$at ${{words[i]}}\" ;;
        esac
    done
    case \"$at:${{words[CURRENT - 1]}}\" in
{values}    esac
    case \"$at\" in
{words}    esac
    _describe -o 'commands and options' found
}}
if [ \"$funcstack[1]\" = \"_{name}\" ]; then
    _{name} \"$@\"
else
    compdef _{name} {name}
fi
",
        paths = paths(nodes)
    )
}

fn fish<R>(name: &str, nodes: &[Node<R>]) -> String {
    let mut rows = String::new();
    for node in nodes {
        let when = format!("complete -c {name} -n '__{name}_at \"{}\"'", node.path);
        for below in node.command.commands() {
            let _ = writeln!(rows, "{when} -xa {} -d {}", below.name, quoted(below.summary));
        }
        match node.operand() {
            Value::Word(_, values) => {
                let _ = writeln!(rows, "{when} -xa {}", quoted(&values.join(" ")));
            }
            Value::Path(_) => {
                let _ = writeln!(rows, "{when} -F");
            }
            Value::None | Value::Text(_) => {}
        }
        for option in &node.options {
            let short = option.short.map(|letter| format!(" -s {letter}")).unwrap_or_default();
            let value = match option.value {
                Value::None => String::new(),
                Value::Text(_) => " -x".to_owned(),
                Value::Word(_, words) => format!(" -xa {}", quoted(&words.join(" "))),
                Value::Path(_) => " -rF".to_owned(),
            };
            let _ = writeln!(rows, "{when} -l {}{short}{value} -d {}", option.long, quoted(option.help));
        }
    }
    format!(
        "# fish completion for {name}; {name} completion fish > ~/.config/fish/completions/{name}.fish
function __{name}_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        if contains -- \"$at $word\" {paths}
            set at \"$at $word\"
        end
    end
    test \"$at\" = \"$argv[1]\"
end
complete -c {name} -f
complete -c {name} -l help -s h -d 'Print a help text'
{rows}",
        paths = paths(nodes).replace(" | ", " ")
    )
}

/// In single quotes, as all three shells take it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
