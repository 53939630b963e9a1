//! The examples of the guide to hooks decide as it says. The first line of each names its hook.

use std::future::Future;

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
