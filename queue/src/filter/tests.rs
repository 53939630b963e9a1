//! Each kind of condition, and how they go together.

use super::*;
use crate::details::{Details, Link, Origin};
use crate::diagnosis::Remote;
use crate::item::{Entry, Item, ItemKey};
use crate::queue::{Options, Queue};

const NOW_MS: u64 = 1_700_000_000_000;

/// Three items: one held, one deferred by 90 s after two attempts, one being sent to an IPv6 host.
fn queue() -> Queue {
    let mut queue = Queue::new(Options::default());
    let origin = Origin {
        server_id: "inbound".into(),
        helo: "client".into(),
        sasl_user: "Kim".into(),
        peer: "192.0.2.77".parse().ok(),
    };
    let add = |queue: &mut Queue, number: u8, domain: &str, entry: Entry, metadata: &[(&[u8], &[u8])]| {
        let recipient = format!("User{number}@{domain}");
        let item = Item {
            key: ItemKey::new(1, u64::from(number), 0),
            transaction: [number; 16],
            sender: b"News@Sender.example",
            sender_domain: Some("sender.example"),
            recipient: recipient.as_bytes(),
            domain,
            transport: "mx",
            job_id: Some(if number == 1 { "x" } else { "y" }),
            tenant_id: None,
            size_bytes: u64::from(number) * 1000,
            received_ms: NOW_MS - u64::from(number) * 3_600_000,
            attempts: if number == 2 { 2 } else { 0 },
            flags: 0,
            priority: 0,
            details: Details { origin: origin.clone(), metadata, quotas: &[], last: None },
        };
        queue.insert(item, entry, NOW_MS).expect("there is room");
    };
    add(&mut queue, 1, "a.example", Entry::Hold("why".into()), &[(b"qid", b"week"), (b"n", b"17")]);
    add(&mut queue, 2, "b.example", Entry::DeferUntil(NOW_MS + 90_000), &[(b"qid", b"month")]);
    add(&mut queue, 3, "c.example", Entry::Active, &[]);
    let attempt = queue.next(NOW_MS).expect("one is due");
    queue.note_link(attempt.id, |_| Link {
        local: "127.0.0.2".parse().ok(),
        remote: Some(Remote { name: "mx1.big.example".into(), address: "2001:db8::5".parse().unwrap() }),
        grouping: "&big".into(),
    });
    queue
}

/// The numbers of the items that the conditions select.
fn selected(conditions: impl IntoIterator<Item = Condition>) -> Vec<u8> {
    let (queue, filter) = (queue(), Filter::new(conditions));
    let mut found = Vec::new();
    queue.scan(crate::Cursor::default(), |item| {
        if filter.matches(&item, NOW_MS) {
            found.push(item.transaction[0]);
        }
    });
    found.sort_unstable();
    found
}

fn is<T>(value: T) -> Negatable<T> {
    Negatable { value, negate: false }
}

fn domain(text: TextMatch) -> AddressMatch {
    AddressMatch { domain: Some(text), ..AddressMatch::default() }
}

#[test]
fn conditions_of_one_field_are_alternatives_and_fields_must_all_match() {
    let domains = |domains: &[&str]| {
        let list = domains.iter().map(|name| domain(TextMatch::equal(name))).collect();
        Condition::Recipient(list)
    };
    let job = |job: &str| Condition::Text(TextField::JobId, vec![TextMatch::equal(job)]);
    assert_eq!(selected([]), [1, 2, 3]);
    assert_eq!(selected([domains(&[])]), [1, 2, 3], "no alternatives, no condition");
    assert_eq!(selected([domains(&["a.example", "B.EXAMPLE"])]), [1, 2]);
    assert_eq!(selected([domains(&["a.example", "b.example"]), job("y")]), [2]);
    assert_eq!(selected([domains(&["a.example"]), job("y")]), [0; 0]);
}

#[test]
fn states_are_those_of_the_listing() {
    assert_eq!(selected([Condition::States(vec![is(Listed::Hold), is(Listed::Sending)])]), [1, 3]);
    let not_held = Negatable { value: Listed::Hold, negate: true };
    assert_eq!(selected([Condition::States(vec![not_held])]), [2, 3]);
    assert_eq!(selected([Condition::States(vec![is(Listed::Update), is(Listed::Unknown)])]), [0; 0]);
}

#[test]
fn what_an_update_is_written_of_is_listed_as_that_until_the_last_is_on_disk_unless_it_is_sent() {
    let mut queue = queue();
    let [held, sending] = [1, 3].map(|sequence| ItemKey::new(1, sequence, 0));
    let listed = |queue: &Queue, key| Listed::of(&queue.get(key).expect("it is queued"));
    for key in [held, held, sending] {
        queue.begin_writing(key);
    }
    assert_eq!([held, sending].map(|key| listed(&queue, key)), [Listed::Update, Listed::Sending]);
    queue.end_writing(held);
    assert_eq!(listed(&queue, held), Listed::Update, "another one goes on");
    queue.end_writing(held);
    queue.end_writing(held);
    assert_eq!(listed(&queue, held), Listed::Hold);
}

#[test]
fn ids_name_a_recipient_or_a_whole_transaction() {
    let ids = |list: &[([u8; 16], Option<u32>)]| Condition::Ids(list.iter().copied().collect());
    assert_eq!(selected([ids(&[([1; 16], Some(1)), ([2; 16], None), ([3; 16], Some(2))])]), [1, 2]);
}

#[test]
fn addresses_match_by_their_parts_and_texts_without_case() {
    let sender = |wanted: AddressMatch| selected([Condition::Sender(vec![wanted])]);
    let address = |text: TextMatch| AddressMatch { address: Some(text), ..AddressMatch::default() };
    assert_eq!(sender(address(TextMatch::equal("news@sender.EXAMPLE"))), [1, 2, 3]);
    assert_eq!(sender(address(TextMatch::equal("news@sender.example").case_sensitive(true))), [0; 0]);
    assert_eq!(sender(address(TextMatch::containing("S@s", false).unwrap())), [1, 2, 3]);
    assert_eq!(sender(address(TextMatch::containing("S@s", true).unwrap())), [0; 0]);
    let recipient = |text: TextMatch| {
        let local_part = Some(text);
        selected([Condition::Recipient(vec![AddressMatch { local_part, ..AddressMatch::default() }])])
    };
    assert_eq!(recipient(TextMatch::regex("^user[12]$", false).unwrap()), [1, 2]);
    assert_eq!(recipient(TextMatch::regex("^user[12]$", false).unwrap().negated(true)), [3]);
    assert!(TextMatch::regex("(", false).is_err());
}

#[test]
fn addresses_of_the_network_match_networks() {
    let ip = |field, network: &str| selected([Condition::Ip(field, vec![is(network.parse().unwrap())])]);
    assert_eq!(ip(IpField::Sender, "192.0.2.64/26"), [1, 2, 3]);
    assert_eq!(ip(IpField::Sender, "192.0.2.0/26"), [0; 0]);
    assert_eq!(ip(IpField::Remote, "2001:db8::/32"), [3]);
    assert_eq!(ip(IpField::Local, "127.0.0.2/32"), [3]);
    let elsewhere = Negatable { value: "2001:db8::/32".parse().unwrap(), negate: true };
    assert_eq!(
        selected([Condition::Ip(IpField::Remote, vec![elsewhere])]),
        [1, 2],
        "no address is another one"
    );
}

#[test]
fn hosts_match_by_name_or_below_a_domain() {
    let mx = |text| selected([Condition::Text(TextField::RemoteMx, vec![TextMatch::host(text)])]);
    assert_eq!((mx("MX1.big.example"), mx("*.BIG.example"), mx("*.example")), (vec![3], vec![3], vec![3]));
    assert_eq!((mx("big.example"), mx("*.mx1.big.example")), (vec![], vec![]));
    let text = |field, text| selected([Condition::Text(field, vec![TextMatch::equal(text)])]);
    assert_eq!(text(TextField::Grouping, "&big"), [3]);
    assert_eq!(text(TextField::SaslUser, "kim"), [1, 2, 3]);
    assert_eq!(text(TextField::ServerId, "outbound"), [0; 0]);
}

#[test]
fn numbers_compare_and_lie_within_bounds() {
    let number = |field, wanted| selected([Condition::Number(field, vec![wanted])]);
    let to = NumberMatch::To;
    assert_eq!(number(NumberField::Age, to(Compare::Above, 3600.0)), [2, 3]);
    assert_eq!(number(NumberField::Age, to(Compare::AtLeast, 3600.0)), [1, 2, 3]);
    assert_eq!(number(NumberField::Size, NumberMatch::Within(Some(1000.0), Some(2000.0))), [1, 2]);
    assert_eq!(number(NumberField::Size, NumberMatch::Within(None, Some(1000.0))), [1]);
    assert_eq!(number(NumberField::RetryCount, to(Compare::NotEqual, 0.0)), [2]);
    assert_eq!(number(NumberField::RetryDelay, to(Compare::Below, 60.0)), [3], "a held item has no delay");
    assert_eq!(number(NumberField::RetryDelay, to(Compare::AtMost, 92.0)), [2, 3]);
    let received = (NOW_MS / 1000 - 3600) as f64;
    assert_eq!(number(NumberField::Received, to(Compare::Equal, received)), [1]);
}

#[test]
fn metadata_match_by_key_and_value() {
    let metadata = |key: &str, value: Option<&str>, number| {
        let value = value.map(TextMatch::equal);
        selected([Condition::Metadata(vec![MetadataMatch { key: key.as_bytes().into(), value, number }])])
    };
    assert_eq!(metadata("qid", Some("week"), None), [1]);
    assert_eq!(metadata("qid", None, None), [1, 2]);
    assert_eq!(metadata("n", None, Some(NumberMatch::To(Compare::Above, 16.5))), [1]);
    assert_eq!(metadata("qid", None, Some(NumberMatch::To(Compare::Above, 0.0))), [0; 0], "no number");
}

#[test]
fn many_domains_of_addresses_select_what_each_of_them_does() {
    let many = |of: fn(Vec<AddressMatch>) -> Condition, wanted: TextMatch| {
        let others = (0..10).map(|number| domain(TextMatch::equal(&format!("{number}.test"))));
        of(others.chain([domain(wanted)]).collect())
    };
    let listed = |condition: &Condition| listed(condition.clone()).is_ok();
    for (condition, found) in [
        (many(Condition::Recipient, TextMatch::equal("B.example")), vec![2]),
        (many(Condition::Recipient, TextMatch::equal("b.Example").case_sensitive(true)), vec![]),
        (many(Condition::Sender, TextMatch::equal("sender.example")), vec![1, 2, 3]),
        (many(Condition::Sender, TextMatch::equal("other.example")), vec![]),
    ] {
        assert!(listed(&condition), "{condition:?}");
        assert_eq!(selected([condition]), found);
    }
    let local = AddressMatch { local_part: Some(TextMatch::equal("user1")), ..AddressMatch::default() };
    let Condition::Recipient(mut list) = many(Condition::Recipient, TextMatch::equal("b.example")) else {
        unreachable!("it was made so");
    };
    list.push(local);
    let mixed = Condition::Recipient(list);
    assert!(!listed(&mixed));
    assert_eq!(selected([mixed]), [1, 2]);
}
