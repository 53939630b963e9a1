//! The examples of the guide to hooks decide as it says. The first line of each names its hook.

use std::future::Future;

use hostcalls::hooks::HOOKS;
use script::lint::{names_with_options, options_of};

use crate::codes::{self, Codes, Refusals};
use crate::queued::{self, Action, Before, Ending, NextHop, Postdelivery, Predelivery, SourceIp};
use crate::tests::{Fixture, address, compiled, transports, with};
use crate::{Metadata, Verdict};

const GUIDE: &str = include_str!("../../docs/hsl/hooks.md");

/// Hook and text of each example.
fn examples() -> Vec<(&'static str, &'static str)> {
    let texts = GUIDE.split("```hsl\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let hook = |text: &'static str| text.strip_prefix("// ").and_then(|rest| rest.split_once(':'));
    texts.map(|(text, _)| (hook(text).expect("its first line names its hook").0, text)).collect()
}

fn example(hook: &str) -> &'static str {
    examples().into_iter().find(|(name, _)| *name == hook).expect("the guide has one").1
}

/// Runs the example of a hook.
fn run<F, Fut>(hook: &'static str, f: F)
where
    F: Fn(Fixture) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    with(&[(hook, example(hook))], f);
}

#[test]
fn every_example_compiles_for_its_hook() {
    let all = examples();
    assert!(all.len() >= 4, "{}", all.len());
    for example in all {
        compiled(&[example]).expect("it is correct");
    }
}

/// Whether the guide has it as code: by itself, as an index or as a key.
fn names(word: &str) -> bool {
    let forms =
        [format!("`{word}`"), format!("`${word}`"), format!("[\"{word}\"]"), format!("\"{word}\" =>")];
    forms.iter().any(|form| GUIDE.contains(form))
}

/// Keys stand in the code as literals of one word.
#[test]
fn the_guide_names_every_key_that_scripts_find() {
    let sources =
        [include_str!("variables.rs"), include_str!("queued/variables.rs"), include_str!("session/mod.rs")];
    let lines = sources.iter().flat_map(|source| source.lines());
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    let literals = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_key = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let missing: Vec<&str> = literals.filter(is_key).filter(|key| !names(key)).collect();
    assert_eq!(missing, [""; 0], "not in docs/hsl/hooks.md");
}

/// The row of a session's hook in the table of what it can say.
fn row(hook: &str) -> Option<&'static str> {
    let table = GUIDE.split_once("### What it can say").expect("a section").1;
    table.lines().find(|line| line.starts_with(&format!("| `{hook}` |")))
}

#[test]
fn the_guide_names_every_option_of_every_decision() {
    let of_hook = |name: &&str| {
        let decision = name.split(['.', ':']).find(|part| part.starts_with(|c: char| c.is_uppercase()));
        let is_decision = |name| HOOKS.iter().any(|hook| hook.decisions.iter().any(|d| d.name == name));
        !name.contains("::") && decision.is_some_and(is_decision)
    };
    for name in names_with_options().filter(of_hook) {
        let missing: Vec<&str> = options_of(name).filter(|option| !names(option)).collect();
        // The options of signDKIM are described with that function.
        assert!(missing.is_empty() || name.ends_with(".dkim"), "{name}: {missing:?}");
        let Some(row) = name.strip_suffix(":Accept").map(|hook| row(hook).expect("it has a row")) else {
            continue;
        };
        let missing: Vec<&str> =
            options_of(name).filter(|option| !row.contains(&format!("`{option}`"))).collect();
        assert_eq!(missing, [""; 0], "{row}");
    }
}

#[test]
fn the_guide_has_the_default_replies() {
    let text = |codes: Codes| match codes.enhanced {
        Some(enhanced) => {
            format!("{} {}.{}.{}", codes.code, enhanced.class, enhanced.subject, enhanced.detail)
        }
        None => codes.code.to_string(),
    };
    let refusals: [(&str, Refusals); 6] = [
        ("connect", codes::CONNECT),
        ("helo", codes::HELO),
        ("auth", codes::AUTH),
        ("mailfrom", codes::MAIL),
        ("rcptto", codes::RCPT),
        ("eod", codes::EOD),
    ];
    for (hook, refusals) in refusals {
        let closes = if refusals.closes { " and closes" } else { "" };
        let (reject, defer) = (text(refusals.reject.codes), text(refusals.defer.codes));
        let row = row(hook).expect("it has a row");
        assert!(row.ends_with(&format!("| {reject}{closes} | {defer}{closes} |")), "{row}");
    }
    let accepted = [
        ("auth", codes::AUTH_ACCEPTED.codes),
        ("mailfrom", codes::MAIL_ACCEPTED.codes),
        ("rcptto", codes::RCPT_ACCEPTED.codes),
        ("eod", codes::EOD_ACCEPTED),
    ];
    for (hook, codes) in accepted {
        let row = row(hook).expect("it has a row");
        assert!(row.starts_with(&format!("| `{hook}` | {}", text(codes))), "{row}");
    }
}

#[test]
fn the_example_of_rcptto_refuses_and_routes() {
    run("rcptto", |mut shard| async move {
        let script = shard.script("rcptto");
        let runner = shard.runner.clone();
        let names = std::sync::Arc::new(["mailbox".to_owned()].into());
        let mut ask = async |recipient| {
            shard.talk.rcpt(&runner, script, &address(recipient), &[], Some("out"), &names).await
        };
        let Verdict::Refuse(refusal) = ask("no@example.org").await else { panic!("it does not exist") };
        assert_eq!(refusal.reply.to_string(), "554 5.1.1 no such user");
        let Verdict::Accept(accepted) = ask("Jo@example.org").await else { panic!("it exists") };
        assert_eq!(accepted.transport.as_deref(), Some("mailbox"));
    });
}

#[test]
fn the_example_of_predelivery_waits_chooses_addresses_and_tries() {
    run("predelivery", |shard| async move {
        let id = shard.runner.scripts().find("predelivery", "predelivery").expect("there is one");
        let names = transports();
        let ask = async |job_id: &str, metadata: Metadata| {
            let message = || queued::Message { job_id: job_id.to_owned(), ..queued::tests::message() };
            let mut item = queued::tests::item_with(metadata, crate::Kept::default());
            let script = queued::Script { runner: &shard.runner, id, transports: &names };
            item.before(script, Before::default(), message).await
        };
        let in_a_minute = engine::time::wall_ms() / 1000 + 60;
        let later = vec![(b"notbefore".to_vec(), in_a_minute.to_string().into_bytes())];
        let Predelivery::Queue(requeue) = ask("", later).await else { panic!("{:?}", shard.told()) };
        assert_eq!((requeue.increment_retry, requeue.reason.as_deref()), (false, Some("not yet")));
        let Predelivery::Try(Some(wanted)) = ask("newsletter", Vec::new()).await else { panic!() };
        assert_eq!(
            wanted.source_ips,
            Some(["bulk1", "bulk2"].map(|id| SourceIp::Id(id.to_owned())).to_vec())
        );
        assert_eq!((wanted.helo.as_deref(), wanted.host), (Some("news.example.org"), None::<NextHop>));
        assert_eq!(ask("", Vec::new()).await, Predelivery::Try(None));
    });
}

#[test]
fn the_example_of_postdelivery_tells_and_decides() {
    run("postdelivery", |shard| async move {
        let id = shard.runner.scripts().find("postdelivery", "postdelivery").expect("there is one");
        let names = transports();
        let ask = async |job_id: &str, action, retry| {
            let message = || queued::Message { job_id: job_id.to_owned(), ..queued::tests::message() };
            let mut item = queued::tests::item_with(Vec::new(), crate::Kept::default());
            let ending = |_: &crate::Reads| Ending { action, retry, ..Ending::default() };
            let script = queued::Script { runner: &shard.runner, id, transports: &names };
            item.after(script, action.is_none(), message, ending).await
        };
        assert_eq!(ask("", None, 1).await, Postdelivery::Default);
        assert!(shard.told()[0].ends_with("] delivered to jo@y.example after 2 attempts"));
        assert_eq!(ask("newsletter", Some(Action::Bounce), 0).await, Postdelivery::Delete);
        let Postdelivery::Bounce(dsn) = ask("", Some(Action::Bounce), 0).await else { panic!() };
        assert_eq!(dsn.subject_prepend.as_deref(), Some("[mail] "));
        let Postdelivery::Queue(requeue) = ask("", Some(Action::Queue), 3).await else { panic!() };
        assert_eq!(requeue.dsn_delayed, Some(true));
        assert_eq!(ask("", Some(Action::Queue), 0).await, Postdelivery::Default);
        assert_eq!(shard.told(), [""; 0]);
    });
}
