//! YAML text to a tree of nodes that know where they stand.
//!
//! One document, no duplicate keys, bounded depth and size, aliases only to what is complete and at the price of what
//! they stand for. Scalars keep their text: what it means depends on the type that the schema asks for.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::limits::{MAX_DEPTH, MAX_EXPANDED, MAX_FILE_BYTES};
use crate::report::Problem;

/// Line and column, both from 1; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Position {
    /// Where problems of the file as a whole are.
    pub(crate) const START: Position = Position { line: 1, column: 1 };
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In file order; keys may repeat, which a later step refuses.
    Map(Vec<(Node, Node)>),
}

/// The text of a scalar, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a scalar was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes or tag: the core schema says what it is.
    Plain,
    /// In quotes, as a block, or tagged `!!str`: a string.
    Quoted,
    /// Tagged `!Env`: to be substituted.
    Env,
    /// The result of a substitution: whatever the schema asks for.
    Substituted,
    /// With a tag that means nothing here.
    Tagged(String),
    /// Found wrong already.
    Refused,
}

/// What a plain scalar is under the YAML 1.2 core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text,
}

impl Scalar {
    /// What the scalar is; text in quotes is text.
    pub(crate) fn kind(&self) -> Kind {
        match self.style {
            Style::Plain => core_kind(&self.text),
            _ => Kind::Text,
        }
    }

    /// What the scalar is where a number or boolean is asked for: the result of a substitution is typed again.
    pub(crate) fn retyped(&self) -> Kind {
        match self.style {
            Style::Plain | Style::Substituted => core_kind(&self.text),
            _ => Kind::Text,
        }
    }
}

/// Parses one document. `None`: there is nothing but comments.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, (Position, Problem)> {
    if text.len() > MAX_FILE_BYTES {
        let problem = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", text.len());
        return Err((Position::START, Problem::new(problem)));
    }
    Builder::new(text).document()
}

struct Builder<'input> {
    text: &'input str,
    parser: Parser<'input, StrInput<'input>>,
    /// Complete nodes that have an anchor, with their cost.
    anchors: HashMap<usize, (Node, usize)>,
    /// Memory of the nodes so far, in bytes.
    cost: usize,
}

type Built<T> = Result<T, (Position, Problem)>;

impl<'input> Builder<'input> {
    fn new(text: &'input str) -> Self {
        let mut options = granit_parser::options! {
            strict_indentation: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        Builder {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            cost: 0,
        }
    }

    fn document(mut self) -> Built<Option<Node>> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err((position(&span), Problem::new("more than one YAML document in the file")));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span)?);
                }
                _ => {
                    return Err((
                        position(&span),
                        Problem::new("not valid YAML: content outside of a document"),
                    ));
                }
            }
        }
    }

    /// The node that `event` begins. Recursion is bounded by the parser's nesting limits.
    fn node(&mut self, event: Event<'input>, span: Span) -> Built<Node> {
        let at = position(&span);
        let before = self.cost;
        self.spend(at, size_of::<Node>())?;
        let (anchor, value) = match event {
            Event::Alias(id) => return self.alias(at, id),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(at, text.len())?;
                let style = style_of(style, tag.as_deref());
                (anchor, Value::Scalar(Scalar { text: text.into_owned(), style }))
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(at, tag.as_deref())?;
                let mut items = Vec::new();
                while let Some((event, span)) = self.until(&Event::SequenceEnd)? {
                    items.push(self.node(event, span)?);
                }
                (anchor, Value::List(items))
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(at, tag.as_deref())?;
                let mut entries = Vec::new();
                while let Some((event, span)) = self.until(&Event::MappingEnd)? {
                    let key = self.node(event, span)?;
                    let (event, span) = self.next()?;
                    entries.push((key, self.node(event, span)?));
                }
                (anchor, Value::Map(entries))
            }
            other => return Err((at, Problem::new(format!("not valid YAML: unexpected {other:?}")))),
        };
        let node = Node { at, value };
        if anchor > 0 {
            self.spend(at, self.cost - before)?;
            self.anchors.insert(anchor, (node.clone(), self.cost - before));
        }
        Ok(node)
    }

    fn alias(&mut self, at: Position, id: usize) -> Built<Node> {
        let Some((node, cost)) = self.anchors.get(&id) else {
            return Err((at, Problem::new("alias of a node that it is part of")));
        };
        let (node, cost) = (node.clone(), *cost);
        self.spend(at, cost)?;
        Ok(node)
    }

    fn until(&mut self, end: &Event<'input>) -> Built<Option<(Event<'input>, Span)>> {
        let (event, span) = self.next()?;
        Ok((event != *end).then_some((event, span)))
    }

    fn next(&mut self) -> Built<(Event<'input>, Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(syntax_error(&error, self.text)),
            None => Err((Position::START, Problem::new("not valid YAML: the text ends too early"))),
        }
    }

    fn spend(&mut self, at: Position, cost: usize) -> Built<()> {
        self.cost += cost;
        if self.cost > MAX_EXPANDED {
            return Err((at, Problem::new("the file grows too large when its aliases are expanded")));
        }
        Ok(())
    }
}

fn position(span: &Span) -> Position {
    place(span.start.line(), span.start.col())
}

/// The parser counts lines from 1 and columns from 0.
fn place(line: usize, column: usize) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column.saturating_add(1)) }
}

fn style_of(style: ScalarStyle, tag: Option<&Tag>) -> Style {
    match tag {
        Some(tag) if tag.is_yaml_core_schema_tag("str") => Style::Quoted,
        Some(tag) if tag.original() == "!Env" => Style::Env,
        Some(tag) => Style::Tagged(tag.original()),
        None if style == ScalarStyle::Plain => Style::Plain,
        None => Style::Quoted,
    }
}

fn refuse_tag(at: Position, tag: Option<&Tag>) -> Built<()> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err((at, Problem::new(format!("unknown tag {} on a mapping or list", tag.original()))))
        }
        _ => Ok(()),
    }
}

fn syntax_error(error: &ScanError, text: &str) -> (Position, Problem) {
    let at = place(error.marker().line(), error.marker().col());
    match error.kind() {
        ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInPlainScalar => {
            let problem = Problem::new("not valid YAML: tab character in indentation").hint("use spaces");
            (indenting_tab(text, at.line).unwrap_or(at), problem)
        }
        ErrorKind::RecursionLimitExceeded => {
            (at, Problem::new(format!("nested more than {MAX_DEPTH} levels deep")))
        }
        _ => (at, Problem::new(format!("not valid YAML: {}", error.info()))),
    }
}

/// The first tab in front of the text of a line; the parser may notice it from the line before.
fn indenting_tab(text: &str, from_line: u32) -> Option<Position> {
    let numbered = (1..).zip(text.lines()).skip_while(|(line, _)| *line < from_line);
    numbered.take(2).find_map(|(line, text)| {
        let column = text.find('\t').filter(|tab| text[..*tab].chars().all(|c| c == ' '))?;
        Some(Position { line, column: u32::try_from(column + 1).unwrap_or(u32::MAX) })
    })
}

fn core_kind(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    decimal(text)
}

fn radix(digits: &str, radix: u32) -> Kind {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Kind::Text;
    }
    i128::from_str_radix(digits, radix).map_or(Kind::Float(f64::INFINITY), Kind::Integer)
}

/// `[-+]? ( [0-9]+ | \. [0-9]+ | [0-9]+ \. [0-9]* ) ( [eE] [-+]? [0-9]+ )?`
fn decimal(text: &str) -> Kind {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts = unsigned.strip_prefix('.').unwrap_or(unsigned).starts_with(|c: char| c.is_ascii_digit());
    if !starts || !unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+')) {
        return Kind::Text;
    }
    if unsigned.chars().all(|c| c.is_ascii_digit()) {
        return text.parse().map_or(Kind::Float(f64::INFINITY), Kind::Integer);
    }
    text.parse().map_or(Kind::Text, Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("true", Kind::Bool(true)),
            ("yes", Kind::Text),
            ("0027", Kind::Integer(27)),
            ("-3", Kind::Integer(-3)),
            ("0o17", Kind::Integer(15)),
            ("0x1F", Kind::Integer(31)),
            ("6.10", Kind::Float(6.1)),
            (".5", Kind::Float(0.5)),
            ("1e3", Kind::Float(1000.0)),
            ("1.2.3", Kind::Text),
            ("127.0.0.1", Kind::Text),
            ("1-2", Kind::Text),
            ("e5", Kind::Text),
            ("0xg", Kind::Text),
        ] {
            assert_eq!(core_kind(text), kind, "{text:?}");
        }
    }

    #[test]
    fn nodes_know_their_line_and_column() {
        let root = parse("a: 1\nb:\n  - x\n  - {c: d}\n").expect("valid").expect("not empty");
        let Value::Map(entries) = root.value else { panic!("a mapping") };
        let Value::List(items) = &entries[1].1.value else { panic!("a list") };
        assert_eq!(entries[0].1.at, Position { line: 1, column: 4 });
        assert_eq!(items[0].at, Position { line: 3, column: 5 });
        let Value::Map(inner) = &items[1].value else { panic!("a mapping") };
        assert_eq!(inner[0].1.at, Position { line: 4, column: 9 });
    }

    #[test]
    fn an_alias_bomb_is_refused_before_it_is_built() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..30 {
            let previous = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", previous.trim_end_matches(", ")));
        }
        let (_, problem) = parse(&text).map(|_| ()).expect_err("grows without bound");
        assert!(problem.text().contains("aliases"), "{}", problem.text());
    }

    #[test]
    fn an_alias_cycle_is_refused() {
        let (_, problem) = parse("a: &a [*a]\n").map(|_| ()).expect_err("a cycle");
        assert_eq!(problem.text(), "alias of a node that it is part of");
    }

    #[test]
    fn nesting_is_bounded_in_both_styles() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000)] {
            let (_, problem) = parse(&text).map(|_| ()).expect_err("too deep");
            assert!(problem.text().starts_with("nested more than"), "{}", problem.text());
        }
    }

    #[test]
    fn an_alias_stands_for_its_node() {
        let root = parse("a: &x {k: v}\nb: *x\n").expect("valid").expect("not empty");
        let Value::Map(entries) = root.value else { panic!("a mapping") };
        assert!(matches!(&entries[1].1.value, Value::Map(inner) if inner.len() == 1));
    }

    #[test]
    fn two_documents_are_refused() {
        let (at, problem) = parse("a: 1\n---\nb: 2\n").map(|_| ()).expect_err("two documents");
        assert_eq!((at.line, problem.text()), (2, "more than one YAML document in the file"));
    }
}
