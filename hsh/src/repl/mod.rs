//! The interactive session.

mod lines;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostcalls::source::{SourceLoader, Sources};
use hostcalls::{Environment, Execution, Outcome};
use script::compile::SourceText;
use script::fault::{Fault, Terminator};
use script::machine::{Limits, ReplInput, ReplSession};
use script::native::Library;
use script::source::SourceMap;
use script::syntax::{self, Names};
use script::value::Value;

use self::lines::{Line, Lines};
use crate::output::Output;
use crate::report;
use crate::shard::Interrupt;

/// A person may take as long as they like.
const FOR_EVER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Talks until the user ends it; the exit status.
pub(crate) async fn run(
    sources: &Sources,
    limits: Limits,
    environment: &Rc<Environment>,
    output: &Output,
) -> i32 {
    let library = hostcalls::library();
    let mut words = words(&library);
    let lines = match Lines::open(words.iter().cloned().collect()) {
        Ok(lines) => Arc::new(Mutex::new(lines)),
        Err(reason) => {
            output.complain(&format!("hsh: {reason}"));
            return 1;
        }
    };
    let mut talk = Talk {
        session: ReplSession::new(&library, limits),
        library,
        sources,
        execution: Execution::begin(environment),
        output,
        inputs: 0,
    };
    loop {
        output.flush();
        match next(&lines).await {
            Line::Input(text) if text.trim().is_empty() => {}
            Line::Input(text) => {
                if talk.answer(&text).await && learn(&mut words, &text) {
                    locked(&lines).learn(words.iter().cloned().collect());
                }
            }
            Line::Cleared => {}
            Line::End => return 0,
        }
    }
}

/// Waits for an input, away from the shard.
async fn next(lines: &Arc<Mutex<Lines>>) -> Line {
    let lines = Arc::clone(lines);
    engine::offload::run(FOR_EVER, move || locked(&lines).read()).await.unwrap_or(Line::End)
}

fn locked(lines: &Mutex<Lines>) -> std::sync::MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What lasts from input to input.
struct Talk<'a> {
    session: ReplSession,
    library: Arc<Library>,
    sources: &'a Sources,
    execution: Rc<Execution>,
    output: &'a Output,
    inputs: u32,
}

impl Talk<'_> {
    /// Runs an input and shows what comes of it; whether it could be compiled.
    async fn answer(&mut self, text: &str) -> bool {
        let Some(input) = self.compile(text) else { return false };
        match self.run().await {
            Some(Outcome::Done(value)) if input.has_value => self.show(&value),
            Some(Outcome::Done(_)) => {}
            Some(Outcome::Failed(error)) => {
                self.output.complain(&report::failure(&error, self.session.sources()));
            }
            Some(Outcome::Finished(_)) | None => self.output.complain("interrupted"),
        }
        true
    }

    fn compile(&mut self, text: &str) -> Option<ReplInput> {
        self.inputs += 1;
        let name = format!("input {}", self.inputs);
        let bytes = completed(text).into_bytes();
        let mut loader = SourceLoader::new(self.sources, &self.library);
        match self.session.input(SourceText { name, bytes }, &mut loader) {
            Ok(input) => Some(input),
            Err(found) => {
                self.output.complain(&report::diagnostics(&found));
                None
            }
        }
    }

    /// `None`: the user did not want to wait for its end.
    async fn run(&mut self) -> Option<Outcome> {
        let context = self.session.context();
        let outcome = {
            let mut running = std::pin::pin!(hostcalls::run(context, &self.execution));
            let interrupt = Interrupt::here();
            let mut interrupted = std::pin::pin!(interrupt.0.notified());
            std::future::poll_fn(|cx| {
                use std::task::Poll;
                match running.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending => interrupted.as_mut().poll(cx).map(|()| None),
                }
            })
            .await
        };
        if outcome.is_none() {
            // Nothing of the script may catch this, but what it has locked is released.
            let context = self.session.context();
            context.stop(Fault::finished(Terminator::default()));
            hostcalls::run(context, &self.execution).await;
        }
        outcome
    }

    fn show(&self, value: &Value) {
        let mut text = Vec::new();
        match value.write_literal(&mut text) {
            Ok(()) => self.output.say(&text),
            Err(fault) => self.output.complain(&format!("error: {fault}")),
        }
    }
}

/// The input with the semicolon that people leave out.
fn completed(text: &str) -> String {
    let parses = |text: &str| {
        let mut sources = SourceMap::new();
        let file = sources.add("input", text.as_bytes(), None);
        !syntax::parse(&sources, file, &mut Names::default()).has_errors()
    };
    let with_semicolon = format!("{text};");
    if !parses(text) && parses(&with_semicolon) { with_semicolon } else { text.to_owned() }
}

/// What can be completed from the start.
fn words(library: &Library) -> BTreeSet<String> {
    const KEYWORDS: &str = "and as barrier break builtin cache case catch class closure constructor continue default \
                            echo else false for foreach forever from function global if import include include_once \
                            isset match none not or private readonly return static switch throw true try unset \
                            while with yield";
    let functions = library.functions().into_iter().map(|native| native.name);
    let classes = library.classes().into_iter().map(|class| class.name);
    // Those that the compiler calls are not for people.
    let named = functions.chain(classes).filter(|name| !name.starts_with("__"));
    named.chain(KEYWORDS.split_whitespace()).map(str::to_owned).collect()
}

/// Remembers the names in an input; whether there were new ones.
fn learn(words: &mut BTreeSet<String>, text: &str) -> bool {
    let before = words.len();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let long = text
        .split(|c| !is_part(c))
        .filter(|word| word.len() > 2 && !word.starts_with(|c: char| c.is_ascii_digit()));
    words.extend(long.map(str::to_owned));
    words.len() > before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_may_be_left_out() {
        assert_eq!(completed("1 + 2"), "1 + 2;");
        assert_eq!(completed("1 + 2;"), "1 + 2;");
        assert_eq!(completed("function f() { }"), "function f() { }");
        assert_eq!(completed("match (1) { 1 => 2 }"), "match (1) { 1 => 2 };");
        assert_eq!(completed("1 +* 2"), "1 +* 2", "errors are about what was typed");
    }

    #[test]
    fn names_are_learnt() {
        let mut words = BTreeSet::new();
        assert!(learn(&mut words, "$total = twice(21) + $x;"));
        assert!(words.contains("$total") && words.contains("twice") && !words.contains("21"));
        assert!(!learn(&mut words, "$total;"));
    }
}
