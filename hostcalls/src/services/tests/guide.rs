//! The examples in `docs/hsl/services.md`: each is compiled; where its output stands behind it, it is run.

use std::rc::Rc;

use script::machine::{Context, Limits};

use crate::on_engine::{TestLog, load, on_a_shard};
use crate::{Execution, Outcome, Settings};

const GUIDE: &str = include_str!("../../../../docs/hsl/services.md");

/// The scripts, and what they print where that is said.
fn examples() -> Vec<(&'static str, Option<&'static str>)> {
    let mut examples = Vec::new();
    for behind in GUIDE.split("```hsl\n").skip(1) {
        let (source, rest) = behind.split_once("```").unwrap();
        let output = rest.strip_prefix("\n```text\n").map(|text| text.split_once("```").unwrap().0);
        examples.push((source, output));
    }
    examples
}

#[test]
fn the_examples_of_the_guide_are_right() {
    let examples = examples();
    let told = examples.iter().filter(|(_, output)| output.is_some()).count();
    assert!(examples.len() >= 10 && told >= 2);
    on_a_shard(Settings::default(), move |environment| {
        let examples = examples.clone();
        async move {
            for (source, output) in examples {
                let program = load(source);
                let Some(output) = output else { continue };
                let log = Rc::new(TestLog::default());
                let execution = Execution::begin_as("guide".into(), &environment, log.clone(), None);
                let mut context = Context::new(&program, Limits::default());
                let outcome = crate::run(&mut context, &execution).await;
                assert!(matches!(outcome, Outcome::Done(_)), "{source}: {outcome:?}");
                assert_eq!(log.lines.borrow().join("\n"), output.trim_end(), "{source}");
            }
        }
    });
}
