//! What can be assigned to.

use super::Parser;
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{AssignOp, Expr, ExprKind, Place, PlaceRoot, Step, StepKind};

impl Parser<'_> {
    /// The place to the left of an assignment operator; complains if it is none.
    pub(super) fn assigned_place(&mut self, target: Expr, operator: AssignOp) -> Option<Place> {
        let text = operator.text();
        let place = self.place(target, &format!("`{text}`"))?;
        if operator == AssignOp::Set {
            return self.checked(place, text, true);
        }
        self.checked(place, text, false)
    }

    /// The place of `++` or `--`.
    pub(super) fn changed_place(&mut self, target: Expr, operator: &str) -> Option<Place> {
        let place = self.place(target, &format!("`{operator}`"))?;
        self.checked(place, operator, false)
    }

    /// The place in `isset(...)` or `unset(...)`.
    pub(super) fn named_place(&mut self, target: Expr, word: &str) -> Option<Place> {
        if let ExprKind::Access { steps, .. } = &target.kind
            && let Some(step) = steps.iter().find(|step| matches!(step.kind, StepKind::Append))
        {
            self.report(Diagnostic::error(step.span, format!("`[]` in `{word}`: which element?")));
            return None;
        }
        let place = self.place(target, &format!("`{word}`"))?;
        if let Some(step) = place.steps.last()
            && matches!(step.kind, StepKind::Slice(_))
            && word == "isset"
        {
            let error = Diagnostic::error(step.span, "`isset` of a slice");
            self.report(error.with_help("compare its length: length($a[1:]) > 0"));
            return None;
        }
        Some(place)
    }

    /// Complains about `[]` in an expression that is read.
    pub(super) fn check_read(&mut self, expr: &Expr) {
        let ExprKind::Access { steps, .. } = &expr.kind else { return };
        if let Some(step) = steps.iter().find(|step| matches!(step.kind, StepKind::Append)) {
            let error = Diagnostic::error(step.span, "`[]` appends: it can only be assigned to");
            self.report(error.with_help("the last element is $array[-1:][0]"));
        }
    }

    /// Slices are replaced only as a whole, `[]` cannot be read.
    fn checked(&mut self, place: Place, operator: &str, whole: bool) -> Option<Place> {
        if let PlaceRoot::Value(value) = &place.root
            && let ExprKind::Access { steps, .. } = &value.kind
            && let Some(Step { kind: StepKind::Slice(_), span }) = steps.last()
        {
            let error = Diagnostic::error(*span, format!("`{operator}` to a part of a slice"));
            self.report(
                error.with_help("a slice is a copy; only $array[i:j] = [...] as a whole changes the array"),
            );
            return None;
        }
        let read = |step: &&Step| match step.kind {
            StepKind::Append | StepKind::Slice(_) => !whole,
            _ => false,
        };
        if let Some(step) = place.steps.iter().find(read) {
            let what = if matches!(step.kind, StepKind::Append) { "`[]`" } else { "a slice" };
            self.report(Diagnostic::error(step.span, format!("{what} can be assigned with `=` only")));
            return None;
        }
        if let Some(step) = place.steps.last()
            && let StepKind::Slice(slice) = &step.kind
            && slice.step.is_some()
        {
            self.report(Diagnostic::error(step.span, "a slice with a step cannot be assigned to"));
            return None;
        }
        if let PlaceRoot::Variable(name) = &place.root
            && &*name.text == "this"
            && place.steps.is_empty()
        {
            self.report(Diagnostic::error(place.span, "`$this` cannot be assigned to"));
            return None;
        }
        Some(place)
    }

    /// The expression as a place, without a word about what may be done with it.
    fn place(&mut self, target: Expr, user: &str) -> Option<Place> {
        let span = target.span;
        let (root, steps) = match target.kind {
            ExprKind::Variable(name) => (PlaceRoot::Variable(name), Vec::new()),
            ExprKind::Static(member) if member.member.variable => (PlaceRoot::Static(member), Vec::new()),
            ExprKind::Access { base, steps } if ends_in_place(&steps) => split(*base, steps, span),
            // What is wrong has been said.
            ExprKind::Error => return None,
            kind => {
                let error =
                    Diagnostic::error(span, format!("{user} needs a variable, an element or a property"));
                self.report(match place_advice(&kind, user) {
                    Some(help) => error.with_help(help),
                    None => error,
                });
                return None;
            }
        };
        Some(Place { root, steps, span })
    }
}

fn ends_in_place(steps: &[Step]) -> bool {
    steps.last().is_some_and(|step| !matches!(step.kind, StepKind::Call(_)))
}

/// The root is all up to the last call, or up to the last slice that something follows.
fn split(base: Expr, mut steps: Vec<Step>, span: crate::source::Span) -> (PlaceRoot, Vec<Step>) {
    let last = steps.len() - 1;
    let computes = |(index, step): (usize, &Step)| match step.kind {
        StepKind::Call(_) => true,
        StepKind::Slice(_) => index < last,
        _ => false,
    };
    let root_steps = steps.iter().enumerate().rposition(computes).map_or(0, |index| index + 1);
    if root_steps > 0 {
        let rest = steps.split_off(root_steps);
        let end = steps.last().map_or(span, |step| step.span);
        let span = base.span.to(end);
        let root = Expr { kind: ExprKind::Access { base: Box::new(base), steps }, span };
        return (PlaceRoot::Value(Box::new(root)), rest);
    }
    let root = match base.kind {
        ExprKind::Variable(name) => PlaceRoot::Variable(name),
        ExprKind::Static(member) if member.member.variable => PlaceRoot::Static(member),
        kind => PlaceRoot::Value(Box::new(Expr { kind, span: base.span })),
    };
    (root, steps)
}

fn place_advice(kind: &ExprKind, user: &str) -> Option<&'static str> {
    match kind {
        ExprKind::Access { base, .. } => match &base.kind {
            ExprKind::Identifier { name, .. } if &*name.text == "list" => {
                Some("there is no list(); write [$a, $b] = $array")
            }
            _ if user == "`isset`" => Some("compare with none: f() !== none"),
            _ => None,
        },
        ExprKind::Identifier { .. } => Some("the name of a variable begins with `$`"),
        _ if user == "`=`" => Some("`==` compares"),
        _ => None,
    }
}
