//! From a fault to whoever handles it.

use crate::fault::{Fault, FaultKind, Position};
use crate::host::Host;
use crate::native::Next as NativeNext;
use crate::source::Span;
use crate::value::{Object, Value};

use super::context::{Context, Next, Run};
use super::error::{Place, ScriptError, StackEntry};
use super::frame::Entry;
use super::generator::{Generator, State};
use super::operate::weight;

/// Calls of a stack that an error shows; the middle of a longer one is left out.
const MAX_TRACE: usize = 40;

impl Context {
    /// Takes calls off the stack until one handles the fault.
    pub(super) fn unwind(&mut self, mut fault: Fault, host: &mut dyn Host) -> Result<Option<Run>, Fault> {
        // Nobody asks where a script has decided.
        if !matches!(fault.kind(), FaultKind::Finished(_)) {
            self.describe(&mut fault);
        }
        loop {
            let Some(entry) = self.entries.last_mut() else { return Ok(Some(self.ended(fault))) };
            match entry {
                Entry::Script(frame) => {
                    if fault.is_catchable() {
                        let proto = &self.loaded.protos[frame.proto as usize].proto;
                        let at = frame.pc.saturating_sub(1);
                        let handler =
                            proto.handlers.iter().find(|handler| (handler.start..handler.end).contains(&at));
                        if let Some(handler) = handler {
                            frame.pc = handler.target;
                            let register = frame.base as usize + usize::from(handler.register);
                            let value = fault.into_caught().unwrap_or_default();
                            self.heap.charge(weight(&value));
                            self.stacks.values[register] = value;
                            self.trace.clear();
                            self.next = Next::Run;
                            return Ok(None);
                        }
                    }
                    self.drop_function();
                }
                Entry::Native(waiting) => {
                    let catchable = fault.is_catchable();
                    let again = if catchable { None } else { repeat(&fault) };
                    match (waiting.frame.unwind(fault, host), again) {
                        (Err(other), _) => {
                            fault = other;
                            self.entries.pop();
                        }
                        // What ends the script does not wait.
                        (Ok(_), Some(again)) => {
                            fault = again;
                            self.entries.pop();
                        }
                        (Ok(next), None) => return self.after_unwind(next, host),
                    }
                }
            }
        }
    }

    /// Notes where a fault was raised, and the calls that led there.
    fn describe(&mut self, fault: &mut Fault) {
        let place = self.entries.iter().rev().find_map(|entry| self.place_of(entry)).map(|entry| entry.place);
        if let Some(place) = place {
            fault.locate(|| Position { file: place.file, line: place.line, column: place.column });
        }
        if self.trace.is_empty() && !self.is_handled(fault) {
            self.trace = self.stack();
        }
    }

    fn after_unwind(&mut self, next: NativeNext, host: &mut dyn Host) -> Result<Option<Run>, Fault> {
        self.trace.clear();
        self.native_next(next, host)
    }

    /// The function at the top ends without a result.
    fn drop_function(&mut self) {
        let Some(Entry::Script(frame)) = self.entries.pop() else { return };
        let base = frame.base as usize;
        for register in &mut self.stacks.values[base..frame.end as usize] {
            *register = Value::Undefined;
        }
        if let Some(generator) = frame.generator.as_ref().and_then(Object::downcast::<Generator>) {
            *generator.state.borrow_mut() = State::Done;
        }
    }

    /// Whether a function of the script will certainly catch the fault.
    pub(super) fn is_handled(&self, fault: &Fault) -> bool {
        fault.is_catchable()
            && self.entries.iter().any(|entry| match entry {
                Entry::Script(frame) => {
                    let at = frame.pc.saturating_sub(1);
                    let proto = &self.loaded.protos[frame.proto as usize].proto;
                    proto.handlers.iter().any(|handler| (handler.start..handler.end).contains(&at))
                }
                Entry::Native(_) => false,
            })
    }

    fn ended(&mut self, fault: Fault) -> Run {
        let message = match fault.kind() {
            FaultKind::Finished(_) => String::new(),
            _ => fault.to_string(),
        };
        let (kind, _) = fault.into_parts();
        let (value, limit) = match kind {
            FaultKind::Finished(decision) => return Run::Finished(decision),
            FaultKind::Thrown(value) => (Some(value), None),
            FaultKind::Limit(limit) => (None, Some(limit)),
            FaultKind::Error(_) => (None, None),
        };
        let stack = std::mem::take(&mut self.trace);
        let position = stack.first().map(|entry| entry.place.clone());
        let sources = &self.loaded.program.sources;
        let includes = position.iter().flat_map(|place| sources.include_chain(place.span.file));
        let includes = includes.map(|span| Place::new(sources, span)).collect();
        Run::Failed(Box::new(ScriptError { message, value, limit, position, stack, includes }))
    }

    /// The calls, innermost first.
    pub(super) fn stack(&self) -> Vec<StackEntry> {
        let count = self.entries.len();
        let shown = self.entries.iter().rev().enumerate();
        let shown = shown.filter(|(at, _)| *at < MAX_TRACE / 2 || count - at <= MAX_TRACE / 2);
        shown.filter_map(|(_, entry)| self.place_of(entry)).collect()
    }

    /// Where a function is.
    pub(super) fn place_of(&self, entry: &Entry) -> Option<StackEntry> {
        let Entry::Script(frame) = entry else { return None };
        let proto = &self.loaded.protos[frame.proto as usize].proto;
        let span = proto.spans.get(frame.pc.saturating_sub(1) as usize).copied().unwrap_or_default();
        if span == Span::default() && self.loaded.program.sources.files().is_empty() {
            return None;
        }
        let place = Place::new(&self.loaded.program.sources, span);
        Some(StackEntry { function: proto.name.to_string(), place })
    }
}

/// A fault that ends the script, once more.
fn repeat(fault: &Fault) -> Option<Fault> {
    match fault.kind() {
        FaultKind::Limit(limit) => Some(Fault::limit(*limit)),
        FaultKind::Finished(decision) => Some(Fault::finished(decision.clone())),
        FaultKind::Thrown(_) | FaultKind::Error(_) => None,
    }
}
