//! Files of cases: `=== name`, a script, and sections that begin with `--- name`.

/// One case.
#[derive(Debug)]
pub(super) struct Case<'a> {
    /// What stands behind `===`.
    pub(super) name: &'a str,
    /// The text up to the first section, without its last line end.
    pub(super) script: &'a str,
    /// Name and text of each section.
    pub(super) sections: Vec<(&'a str, &'a str)>,
}

impl<'a> Case<'a> {
    /// The text of a section.
    pub(super) fn section(&self, name: &str) -> Option<&'a str> {
        self.sections.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
    }

    /// Name and text of the sections `file <name>`.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.sections.iter().filter_map(|(name, text)| Some((name.strip_prefix("file ")?, *text)))
    }
}

/// The cases of a file. Lines before the first are comments.
pub(super) fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for part in blocks(text, "=== ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap_or((part, ""));
        let mut parts = blocks(rest, "--- ");
        let script = parts.next().unwrap_or_default();
        let sections = parts.map(|section| {
            let (name, text) = section.split_once('\n').unwrap_or((section, ""));
            (name.trim(), text)
        });
        cases.push(Case {
            name: name.trim(),
            script: script.strip_suffix('\n').unwrap_or(script),
            sections: sections.collect(),
        });
    }
    cases
}

/// The text before the first line that begins with `mark`, then what follows each such mark.
fn blocks<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    let starts = text.match_indices(mark).filter(|(at, _)| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    let mut bounds: Vec<(usize, usize)> = vec![(0, 0)];
    for (at, mark) in starts {
        bounds.last_mut().expect("begins with one").1 = at;
        bounds.push((at + mark.len(), text.len()));
    }
    if bounds.len() == 1 {
        bounds[0].1 = text.len();
    }
    bounds.into_iter().map(move |(start, end)| &text[start..end])
}

#[test]
fn a_file_of_cases_is_split() {
    let text = "# comment\n=== A1 x\necho 1;\n--- file f\nabc\n--- output\n1\n=== B\necho 2;\n";
    let cases = cases(text);
    assert_eq!((cases[0].name, cases[0].script), ("A1 x", "echo 1;"));
    assert_eq!(cases[0].files().collect::<Vec<_>>(), [("f", "abc\n")]);
    assert_eq!(cases[0].section("output"), Some("1\n"));
    assert_eq!((cases[1].name, cases[1].script, cases[1].section("output")), ("B", "echo 2;", None));
}
