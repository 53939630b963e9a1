//! YAML into values, event by event, so that it can stop for a callback or for other scripts.

use std::collections::HashMap;

use granit_parser::{BufferedInput, Event, Parser, ScalarStyle, Tag};

use super::scalar;
use crate::limits::{MAX_YAML_DEPTH, MAX_YAML_NODES};
use crate::value::{Array, Key, Str, Value};

/// A document that is being decoded.
pub(super) struct Decoder {
    parser: Parser<'static, BufferedInput<Characters>>,
    /// Functions by tag.
    tags: Option<Array>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, usize)>,
    /// A node whose function has been called.
    called: Option<Node>,
    document: Option<Value>,
}

/// How far the decoder has come.
pub(super) enum Progress {
    /// The document is complete.
    Done(Value),
    /// A tag wants this function to be called with this value; [`Decoder::answer`] gets the result.
    Call(Value, Value),
    /// The steps are used up.
    Paused,
}

/// The text is no YAML, or exceeds a limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadYaml(pub(super) String);

/// What is known of a node beside its value.
struct Node {
    anchor: usize,
    /// The function of its tag.
    function: Option<Value>,
    /// The number of scalars and collections in it, aliases counted in full.
    size: usize,
}

/// A collection that is being filled.
struct Open {
    items: Items,
    node: Node,
}

enum Items {
    List(Vec<Value>),
    Map(Array, Option<Key>),
}

impl Decoder {
    pub(super) fn new(text: &str, tags: Option<Array>) -> Decoder {
        let options = granit_parser::options! {
            flow_nesting_limit: MAX_YAML_DEPTH / 2,
            block_nesting_limit: MAX_YAML_DEPTH / 2,
        };
        let characters = Characters { text: text.to_owned(), at: 0 };
        Decoder {
            parser: Parser::new_from_iter_with_options(characters, options),
            tags,
            open: Vec::new(),
            anchors: HashMap::new(),
            called: None,
            document: None,
        }
    }

    /// Goes on for at most `steps` events.
    pub(super) fn run(&mut self, steps: usize) -> Result<Progress, BadYaml> {
        for _ in 0..steps {
            let Some(event) = self.parser.next() else { return Ok(Progress::Done(self.take_document())) };
            let (event, span) = event.map_err(|error| BadYaml(error.to_string()))?;
            let called = match event {
                Event::Scalar(text, style, anchor, tag) => {
                    self.scalar(&text, style, anchor, tag.as_deref())?
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.begin(Items::List(Vec::new()), anchor, tag.as_deref())?
                }
                Event::MappingStart(_, anchor, tag) => {
                    self.begin(Items::Map(Array::new(), None), anchor, tag.as_deref())?
                }
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                Event::Alias(id) => self.alias(id)?,
                // Only the first document counts, whatever follows it.
                Event::DocumentStart(..) if self.document.is_some() => {
                    return Ok(Progress::Done(self.take_document()));
                }
                Event::StreamEnd => return Ok(Progress::Done(self.take_document())),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => None,
                other => return Err(BadYaml(format!("unexpected {other:?} at line {}", span.start.line()))),
            };
            if let Some((function, value)) = called {
                return Ok(Progress::Call(function, value));
            }
        }
        Ok(Progress::Paused)
    }

    /// The result of the function that a tag called.
    pub(super) fn answer(&mut self, result: Value) -> Result<(), BadYaml> {
        let Some(node) = self.called.take() else { return Ok(()) };
        self.add(result, None, Node { function: None, ..node })
    }

    /// Calls `visit` with each value that the decoder keeps alive.
    pub(super) fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        for open in &self.open {
            match &open.items {
                Items::List(items) => items.iter().for_each(&mut *visit),
                Items::Map(array, _) => array.for_each_value(visit),
            }
        }
        self.anchors.values().for_each(|(value, _)| visit(value));
        self.document.iter().for_each(visit);
    }

    fn take_document(&mut self) -> Value {
        self.document.take().unwrap_or(Value::None)
    }

    fn function(&self, tag: Option<&Tag>) -> Option<Value> {
        let tag = tag?;
        let name = format!("{}{}", tag.handle(), tag.suffix());
        self.tags.as_ref()?.get_str(&name).filter(|value| value.as_function().is_some())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>) -> Called {
        let core = tag.and_then(Tag::core_suffix);
        let plain =
            style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.handle() != "" || tag.suffix() != "!");
        let value = match core {
            Some(core) => {
                scalar::tagged(core, text).ok_or_else(|| BadYaml(format!("{text:?} is no {core}")))?
            }
            None if plain => scalar::resolve(text),
            None => Value::from(Str::from(text)),
        };
        let key = if tag.is_none() { Some(Key::from_bytes(text.as_bytes())) } else { None };
        let node = Node { anchor, function: self.function(tag), size: 1 };
        self.complete(value, key, node)
    }

    fn begin(&mut self, items: Items, anchor: usize, tag: Option<&Tag>) -> Called {
        if self.open.len() >= MAX_YAML_DEPTH {
            return Err(BadYaml("nested too deeply".into()));
        }
        let node = Node { anchor, function: self.function(tag), size: 1 };
        self.open.push(Open { items, node });
        Ok(None)
    }

    fn end(&mut self) -> Called {
        let open = self.open.pop().ok_or_else(|| BadYaml("an end without its beginning".into()))?;
        let value = match open.items {
            Items::List(items) => Array::from_list(items),
            Items::Map(array, _) => array,
        };
        self.complete(Value::from(value), None, open.node)
    }

    fn alias(&mut self, id: usize) -> Called {
        let (value, size) =
            self.anchors.get(&id).cloned().ok_or_else(|| BadYaml("an alias within its own node".into()))?;
        self.complete(value, None, Node { anchor: 0, function: None, size })
    }

    /// A node is there: its function is called, or it goes where it belongs.
    fn complete(&mut self, value: Value, key: Option<Key>, mut node: Node) -> Called {
        match node.function.take() {
            Some(function) => {
                self.called = Some(node);
                Ok(Some((function, value)))
            }
            None => self.add(value, key, node).map(|()| None),
        }
    }

    fn add(&mut self, value: Value, key: Option<Key>, node: Node) -> Result<(), BadYaml> {
        if node.anchor != 0 {
            self.anchors.insert(node.anchor, (value.clone(), node.size));
        }
        let Some(open) = self.open.last_mut() else {
            self.document.get_or_insert(value);
            return Ok(());
        };
        open.node.size = open.node.size.saturating_add(node.size);
        if open.node.size > MAX_YAML_NODES {
            return Err(BadYaml(format!("more than {MAX_YAML_NODES} nodes")));
        }
        match &mut open.items {
            Items::List(items) => items.push(value),
            Items::Map(array, pending) => match pending.take() {
                Some(pending) => array.set(pending, value),
                None => *pending = Some(key.unwrap_or_else(|| Key::from_value(value))),
            },
        }
        Ok(())
    }
}

type Called = Result<Option<(Value, Value)>, BadYaml>;

/// The characters of a text that the parser owns.
struct Characters {
    text: String,
    at: usize,
}

impl Iterator for Characters {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let character = self.text.get(self.at..)?.chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }
}
