//! Holds a tree of nodes against the schema.

use std::collections::HashMap;

use crate::prepare::{key_text, prepare};
use crate::report::{Path, Problem, Report};
use crate::scalar;
use crate::schema::{Default, File, Key, Shape, Status, Type};
use crate::tree::{Checked, Tree};
use crate::version;
use crate::yaml::{self, Node, Position, Scalar, Style, Value};
use crate::{Options, PLUGINS, Scope, Source, Version};

/// Parses and checks one file. What is wrong is in the report; the tree has what is right, without defaults.
/// `None`: not even the root is there.
pub(crate) fn read(
    file: File,
    source: &Source<'_>,
    options: &Options<'_>,
    report: &mut Report,
) -> Option<(Tree, Version)> {
    let mut root = match yaml::parse(source.text) {
        Ok(Some(root)) => root,
        Ok(None) => {
            report.error(Position::START, "", Problem::new("\"Missing version\""));
            return None;
        }
        Err((at, problem)) => {
            report.error(at, "", problem);
            return None;
        }
    };
    let keys = file.keys(options.scope);
    forget_what_does_not_count(&mut root, file, keys);
    if options.scope == Scope::Scripts {
        forget_other_plugins(&mut root);
    }
    prepare(&mut root, &mut Path::default(), options, report);
    if !matches!(root.value, Value::Map(_)) {
        report.error(root.at, "", Problem::new("expected a mapping at the top level"));
        return None;
    }
    let version = version::of_file(&root, options.scope, report);
    let mut checker = Checker { file, report, quiet: options.scope == Scope::Scripts };
    let tree = checker.object(&root, keys, &mut Path::default());
    // A file of an unknown version is checked like the newest: its other errors are worth knowing too.
    Some((tree, version.unwrap_or(Version::NEWEST)))
}

/// Drops the plugins that are not built in: whether the server can do without them is not for scripts to decide.
fn forget_other_plugins(root: &mut Node) {
    let Value::Map(entries) = &mut root.value else { return };
    for (name, value) in entries {
        if let Value::List(items) = &mut value.value
            && key_text(name) == "plugins"
        {
            items.retain(|item| match &item.value {
                Value::Map(entries) => entries.iter().any(|(key, id)| {
                    let id = match &id.value {
                        Value::Scalar(scalar) => &*scalar.text,
                        _ => "",
                    };
                    key_text(key) == "id" && PLUGINS.contains(&id)
                }),
                _ => true,
            });
        }
    }
}

/// Drops the keys of the root that the file knows and that are not among `keys`.
fn forget_what_does_not_count(root: &mut Node, file: File, keys: &'static [Key]) {
    let named = |keys: &'static [Key], name: &str| keys.iter().any(|key| key.name == name);
    if let Value::Map(entries) = &mut root.value {
        let all = file.keys(Scope::Server);
        entries.retain(|(name, _)| {
            let name = key_text(name);
            named(keys, name) || !named(all, name)
        });
    }
}

/// Puts the default of every absent key of `keys` into `tree`, and into what is below it.
pub(crate) fn fill(tree: &mut Tree, keys: &'static [Key]) {
    let Checked::Map(entries) = &mut tree.value else { return };
    for key in keys {
        match entries.iter_mut().find(|(name, _)| name == key.name) {
            Some((_, value)) => fill_shape(value, key.shape),
            None => {
                if let Some(mut value) = default_of(key) {
                    fill_shape(&mut value, key.shape);
                    entries.push((key.name.to_owned(), value));
                }
            }
        }
    }
}

fn fill_shape(tree: &mut Tree, shape: Shape) {
    match (shape, &mut tree.value) {
        (Shape::Object(keys) | Shape::OneOrObject(_, keys), Checked::Map(_)) => fill(tree, keys),
        (Shape::List(item), Checked::List(items)) => {
            items.iter_mut().for_each(|tree| fill_shape(tree, *item))
        }
        _ => {}
    }
}

/// What `key` is when it is absent. The tables' defaults pass their own checks: a test sees to it.
pub(crate) fn default_of(key: &Key) -> Option<Tree> {
    match (key.default, key.shape) {
        (Default::Value(text), shape) => {
            let node = yaml::parse(text).ok()??;
            let mut report = Report::new("default");
            let mut checker = Checker { file: File::Startup, report: &mut report, quiet: true };
            let mut tree = checker.shape(&node, shape, &mut Path::default())?;
            tree.at = Position::START;
            (!report.has_errors()).then_some(tree)
        }
        (Default::None, Shape::Object(_)) => {
            Some(Tree { at: Position::START, value: Checked::Map(Vec::new()) })
        }
        _ => None,
    }
}

struct Checker<'r> {
    file: File,
    report: &'r mut Report,
    /// Inside of something that has been reported as a whole.
    quiet: bool,
}

impl Checker<'_> {
    fn object(&mut self, node: &Node, keys: &'static [Key], path: &mut Path) -> Tree {
        let mut checked = Vec::new();
        let given: &[(Node, Node)] = match &node.value {
            Value::Map(entries) => entries,
            _ => &[],
        };
        for (name, value) in given {
            let name_text = key_text(name);
            path.with_key(name_text, |path| match row(keys, name_text, value) {
                Some(key) => {
                    let tree = self.entry(name, value, key, path);
                    checked.push((name_text.to_owned(), tree));
                }
                None => self.unknown(name, keys, path),
            });
        }
        for key in keys.iter().filter(|key| key.required) {
            let missing = !given.iter().any(|(name, _)| key_text(name) == key.name);
            // The version has words of its own.
            if missing && !(path.as_str().is_empty() && key.name == "version") {
                path.with_key(key.name, |path| {
                    self.report.error(node.at, path.as_str(), Problem::new("required property is missing"));
                });
            }
        }
        Tree { at: node.at, value: Checked::Map(checked) }
    }

    fn entry(&mut self, name: &Node, value: &Node, key: &Key, path: &mut Path) -> Tree {
        let opaque = Tree { at: value.at, value: Checked::Opaque };
        if path.as_str() == "version" {
            return opaque;
        }
        let was_quiet = self.quiet;
        self.status(name, value, key, path);
        let tree = self.shape(value, key.shape, path);
        self.quiet = was_quiet;
        // Wrong is not the same as absent.
        tree.unwrap_or(opaque)
    }

    /// Says what this version does not do.
    fn status(&mut self, name: &Node, value: &Node, key: &Key, path: &Path) {
        if self.quiet || asks_for_nothing(value) {
            return;
        }
        let (at, path) = (name.at, path.as_str());
        match key.status {
            Status::Used => return,
            Status::NoEffect { fine, .. } if one_of(value, fine) => return,
            Status::NoEffect { why, .. } => {
                self.report.warning(at, path, Problem::new("has no effect").hint(why));
            }
            Status::NotYet { fine } if one_of(value, fine) => return,
            // A value that is no value of this key gets the error about that.
            Status::NotYet { .. } if !scalar::is_choice(value, key.shape) => return,
            Status::NotYet { fine } => {
                let hint = match fine {
                    [] => "remove it".to_owned(),
                    [one] => format!("remove it, or write {one}"),
                    many => format!("remove it, or write one of {}", many.join(", ")),
                };
                let what = if fine.is_empty() { String::new() } else { scalar::quoted_node(value) + " is " };
                self.report.error(
                    at,
                    path,
                    Problem::new(format!("{what}not supported yet by this version")).hint(hint),
                );
            }
        }
        self.quiet = true;
    }

    fn shape(&mut self, node: &Node, shape: Shape, path: &mut Path) -> Option<Tree> {
        match (shape, &node.value) {
            // What stands there has had its error.
            (_, Value::Scalar(Scalar { style: Style::Refused, .. })) => None,
            (Shape::Any, _) => Some(Tree { at: node.at, value: Checked::Opaque }),
            (Shape::Object(keys) | Shape::OneOrObject(_, keys), Value::Map(_)) => {
                Some(self.object(node, keys, path))
            }
            (Shape::Map(value), Value::Map(entries)) => Some(self.map(node, entries, *value, path)),
            (Shape::List(item), Value::List(items)) => Some(self.list(node, items, *item, path)),
            (Shape::OneOrMany(ty), Value::List(items)) => Some(self.list(node, items, Shape::One(ty), path)),
            (Shape::One(ty) | Shape::OneOrMany(ty) | Shape::OneOrObject(ty, _), Value::Scalar(scalar)) => {
                match scalar::check(scalar, ty) {
                    Ok(value) => Some(Tree { at: node.at, value }),
                    Err(problem) => self.refuse(node, path, problem),
                }
            }
            (Shape::Object(_) | Shape::Map(_), _) => self.unexpected(node, "a mapping", path),
            (Shape::One(ty @ Type::Field(_)), Value::Map(_)) => {
                let problem = Problem::new(format!("expected {}, got a mapping", scalar::name_of(ty)));
                self.refuse(node, path, problem.hint(ROLL_UP))
            }
            (Shape::List(_), _) => self.unexpected(node, "a list", path),
            (Shape::OneOrObject(..), _) => self.unexpected(node, "a value or a mapping", path),
            (Shape::OneOrMany(_), _) => self.unexpected(node, "a value or a list of values", path),
            (Shape::One(ty), _) => self.unexpected(node, scalar::name_of(ty), path),
        }
    }

    fn map(&mut self, node: &Node, entries: &[(Node, Node)], shape: Shape, path: &mut Path) -> Tree {
        let checked = entries.iter().filter_map(|(name, value)| {
            let name = key_text(name);
            path.with_key(name, |path| self.shape(value, shape, path)).map(|tree| (name.to_owned(), tree))
        });
        Tree { at: node.at, value: Checked::Map(checked.collect()) }
    }

    fn list(&mut self, node: &Node, items: &[Node], shape: Shape, path: &mut Path) -> Tree {
        let mut checked = Vec::new();
        for (index, item) in items.iter().enumerate() {
            // Items that are left out would shift the numbers in later errors.
            let tree = path.with_index(index, |path| self.shape(item, shape, path));
            checked.push(tree.unwrap_or(Tree { at: item.at, value: Checked::Opaque }));
        }
        self.unique_ids(&checked, path);
        Tree { at: node.at, value: Checked::List(checked) }
    }

    /// In one list, an `id` may appear once.
    fn unique_ids(&mut self, items: &[Tree], path: &mut Path) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(id) = item.text("id") else { continue };
            if let Some(earlier) = first.get(id) {
                let at = item.get("id").map_or(item.at, |id| id.at);
                let problem =
                    Problem::new(format!("\"{id}\" is already the id of {}[{earlier}]", path.as_str()));
                path.with_index(index, |path| {
                    path.with_key("id", |path| self.report.error(at, path.as_str(), problem))
                });
            } else {
                first.insert(id, index);
            }
        }
    }

    fn unknown(&mut self, name: &Node, keys: &'static [Key], path: &Path) {
        let problem = Problem::new("unknown property");
        let text = key_text(name);
        let problem = match (nearest(text, keys), elsewhere(self.file, path.as_str())) {
            (_, Some(file)) => problem.hint(format!("it belongs in {}", file.file_name())),
            (Some(near), None) => problem.hint(format!("did you mean \"{near}\"?")),
            (None, None) => problem,
        };
        self.report.error(name.at, path.as_str(), problem);
    }

    fn unexpected(&mut self, node: &Node, expected: &str, path: &Path) -> Option<Tree> {
        let found = scalar::describe(node);
        self.refuse(node, path, Problem::new(format!("expected {expected}, got {found}")))
    }

    fn refuse(&mut self, node: &Node, path: &Path, problem: Problem) -> Option<Tree> {
        self.report.error(node.at, path.as_str(), problem);
        None
    }
}

/// Files of the time before 5.8 could name groups of values here (configuration 5.5).
const ROLL_UP: &str = "groups of values are named under queues.grouping of the running file: define them there, write \
                       grouping here, and \"&name\" instead of \"#name\" in conditions";

/// The row for `name` whose form fits `value`, else the first row for `name`.
fn row(keys: &'static [Key], name: &str, value: &Node) -> Option<&'static Key> {
    let fits = |key: &&Key| {
        matches!(
            (key.shape, &value.value),
            (Shape::One(_) | Shape::OneOrMany(_) | Shape::OneOrObject(..), Value::Scalar(_))
                | (Shape::List(_) | Shape::OneOrMany(_), Value::List(_))
                | (Shape::Object(_) | Shape::OneOrObject(..) | Shape::Map(_), Value::Map(_))
                | (Shape::Any, _)
        )
    };
    let mut rows = keys.iter().filter(|key| key.name == name);
    rows.clone().find(fits).or_else(|| rows.next())
}

/// An empty list or mapping.
fn asks_for_nothing(value: &Node) -> bool {
    match &value.value {
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Scalar(_) => false,
    }
}

fn one_of(value: &Node, texts: &[&str]) -> bool {
    matches!(&value.value, Value::Scalar(scalar) if texts.contains(&scalar.text.as_str()))
}

/// The known name that `text` is most likely meant to be.
fn nearest(text: &str, keys: &'static [Key]) -> Option<&'static str> {
    let far = (text.chars().count() / 3).max(1);
    let distance = |key: &Key| strsim::osa_distance(&text.to_lowercase(), &key.name.to_lowercase());
    let (distance, name) = keys.iter().map(|key| (distance(key), key.name)).min()?;
    (distance <= far).then_some(name)
}

/// The other file that has a key with this path: the startup and running files are easily mixed up.
fn elsewhere(file: File, path: &str) -> Option<File> {
    let other = match file {
        File::Startup => File::Running,
        File::Running => File::Startup,
        _ => return None,
    };
    let mut keys = other.keys(Scope::Server);
    let mut last = None;
    for part in path.split('.') {
        let name = part.split('[').next().unwrap_or(part);
        let key = keys.iter().find(|key| key.name == name)?;
        keys = key.shape.keys();
        last = Some(key);
    }
    last.map(|_| other)
}
