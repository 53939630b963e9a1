//! Tables of scripts with their trees and errors.

use super::{Parsed, parse, printed};
use crate::source::SourceMap;
use crate::syntax::Names;
use crate::syntax::tables::{check, findings};

fn parse_text(text: &str) -> (Parsed, SourceMap) {
    let mut sources = SourceMap::new();
    let file = sources.add("main", text.as_bytes(), None);
    let parsed = parse(&sources, file, &mut Names::new());
    (parsed, sources)
}

#[test]
fn scripts_parse_to_their_trees() {
    check(include_str!("tests/trees.txt"), |script| {
        let (parsed, sources) = parse_text(script);
        let errors = findings(&parsed.diagnostics, &sources);
        if errors.is_empty() { printed::script(&parsed.script) } else { errors }
    });
}

#[test]
fn wrong_scripts_are_refused_with_one_message_for_each_mistake() {
    check(include_str!("tests/errors.txt"), |script| {
        let (parsed, sources) = parse_text(script);
        findings(&parsed.diagnostics, &sources)
    });
}

#[test]
fn hostile_nesting_is_an_error_and_overflows_no_stack() {
    let openers = [
        "(",
        "[",
        "[1=>",
        "!",
        "- ",
        "++",
        "{",
        "if(1)",
        "if(1){",
        "while(1)",
        "f(",
        "$a[",
        "$a[1:",
        "1?",
        "1?1:",
        "$a=",
        "1**",
        "match(1){1=>",
        "match(",
        "function(){",
        "(function(){",
        "function f(){",
        "class A{function f(){",
        "switch(1){case 1:",
        "try{",
        "barrier 1{",
        "cache [",
        "cache [] f(",
        "isset($a[",
        "[$a=",
        "...",
        "[...",
        "(1|1^1&1==1<1<<1 .1+1*",
        "$a->b(",
        "1 ?? (",
        "forever ",
        "else ",
        "1 + $x = ",
    ];
    for opener in openers {
        let script = format!("{}1", opener.repeat(3_000));
        let (parsed, _) = parse_text(&script);
        assert!(parsed.has_errors(), "{opener}");
        assert!(parsed.diagnostics.len() <= 2 * crate::limits::MAX_SYNTAX_ERRORS, "{opener}");
    }
}

#[test]
fn what_scripts_write_at_any_length_does_not_nest() {
    let chains = [
        ("1", "+1", ";"),
        ("1", "*1-1", ";"),
        ("$a", "['x']", ";"),
        ("$a", "->f(1)", ";"),
        ("$a", " and $b", ";"),
        ("$a", " or $b and $c", ";"),
        ("$a", " ?? $b", ";"),
        ("'E'a'E'", ".\"x$a\"", ";"),
        ("if (1) ;", "else if (1) ;", ""),
        ("f(1", ",1", ");"),
        ("[1", ",1=>2", "];"),
        ("", "$a=1;", ""),
        ("switch (1) {", "case 1: break;", "}"),
    ];
    for (start, repeated, end) in chains {
        let script = format!("{start}{}{end}", repeated.replace("'x'", "''x''").repeat(20_000));
        let (parsed, sources) = parse_text(&script);
        assert_eq!(findings(&parsed.diagnostics, &sources), "", "{repeated}");
    }
}

#[test]
fn errors_are_bounded_in_number() {
    let (parsed, _) = parse_text(&"echo ; \u{2605} $x = ;\n".repeat(1000));
    assert!(parsed.diagnostics.len() <= crate::limits::MAX_SYNTAX_ERRORS);
}

#[test]
fn a_byte_order_mark_is_read_over() {
    let (parsed, sources) = parse_text("\u{feff}echo 1;");
    assert_eq!(findings(&parsed.diagnostics, &sources), "");
}

#[test]
fn spans_cover_what_they_name() {
    let text = "$x = ($a + 1) * f($b)->c;";
    let (parsed, _) = parse_text(text);
    let crate::syntax::ast::StatementKind::Expression(expr) = &parsed.script.statements[0].kind else {
        panic!()
    };
    let crate::syntax::ast::ExprKind::Assign { place, value, .. } = &expr.kind else { panic!() };
    let crate::syntax::ast::ExprKind::Binary { first, links } = &value.kind else { panic!() };
    let cut = |span: crate::source::Span| &text[span.start as usize..span.end as usize];
    assert_eq!(cut(parsed.script.statements[0].span), text);
    assert_eq!(cut(place.span), "$x");
    assert_eq!(cut(first.span), "$a + 1");
    assert_eq!(cut(links[0].span), "*");
    assert_eq!(cut(links[0].operand.span), "f($b)->c");
}

#[test]
fn input_is_incomplete_while_something_is_open() {
    for text in ["f(", "if (1) {", "[1, {", "\"abc", "''abc", "/* x", "f(\"a)\"", "#/x", "{ /* } */"] {
        assert!(crate::syntax::is_incomplete(text.as_bytes()), "{text}");
    }
    for text in ["", "f(1);", "f(1", "}", "(]", "// (", "''(''", "echo 1", "\"{\""] {
        assert_eq!(crate::syntax::is_incomplete(text.as_bytes()), text == "f(1", "{text}");
    }
}
