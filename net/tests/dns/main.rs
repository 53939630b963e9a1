//! DNS from outside: packets, a table of what they mean, and the corpora of the fuzz targets.

#[path = "../../fuzz/dns_checks.rs"]
mod checks;

use net::dns::{Answer, Handled, Lookup, Mx, Stub};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/dns_response");

#[allow(clippy::disallowed_methods)] // a test reads its files
fn packet(name: &str) -> Vec<u8> {
    std::fs::read(format!("{CORPUS}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(answer: &Answer) -> String {
    let exchanger =
        |mx: &Mx| format!("{} {}", mx.preference, mx.host.as_ref().map_or(".", |host| host.as_str()));
    match answer {
        Answer::Mx(list) => format!("mx [{}]", list.iter().map(exchanger).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

/// For how many seconds the stub knows the answer.
fn lifetime_s(stub: &mut Stub) -> u64 {
    let (mut known, mut unknown) = (0, 1_000_000);
    if let Lookup::Wait(_) = stub.lookup(&checks::question(), 0) {
        return 0;
    }
    while unknown - known > 1 {
        let middle = (known + unknown) / 2;
        match stub.lookup(&checks::question(), middle * 1_000) {
            Lookup::Known(_) => known = middle,
            Lookup::Wait(_) => unknown = middle,
        }
    }
    known + 1
}

/// What an answer by UDP leads to, in words.
fn meaning(packet: &[u8]) -> String {
    let checks::Asked { mut stub, transmit, .. } = checks::ask();
    if stub.handle_response(transmit.id, packet, 0) == Handled::Ignored {
        return "ignored".into();
    }
    if let Some((_, resolved)) = stub.poll_answer() {
        return format!("{} for {} s", text(&resolved.answer), lifetime_s(&mut stub));
    }
    let next = checks::send(&mut stub, 0).expect("no answer, so another query");
    if next.tcp {
        assert_eq!(next.payload[2..], transmit.payload, "the same with its length in front");
        return "tcp".into();
    }
    let (before, now) = (name_of(&transmit.payload), name_of(&next.payload));
    if before != now {
        return format!("asks for {now}");
    }
    assert!(next.payload.len() < transmit.payload.len(), "no answer, and the same query again");
    "without EDNS".into()
}

/// The name in the question of a query.
fn name_of(query: &[u8]) -> String {
    let (mut rest, mut name) = (&query[12..], String::new());
    while rest[0] != 0 {
        let (label, after) = rest[1..].split_at(usize::from(rest[0]));
        name.push_str(if name.is_empty() { "" } else { "." });
        name.push_str(&String::from_utf8_lossy(label));
        rest = after;
    }
    name
}

#[test]
fn packets_mean_what_the_table_says() {
    let malformed = "Failed(Malformed) for 5 s";
    let cases = [
        ("mx-one", "mx [10 mail.example.com] for 300 s"),
        (
            "mx-five-google-like",
            "mx [5 gmail-smtp-in.l.example.net, 10 alt1.gmail-smtp-in.l.example.net, \
             20 alt2.gmail-smtp-in.l.example.net, 30 alt3.gmail-smtp-in.l.example.net, \
             40 alt4.gmail-smtp-in.l.example.net] for 300 s",
        ),
        ("mx-ttl-smallest-counts", "mx [10 a.example.com, 20 b.example.com] for 60 s"),
        ("mx-ttl-negative-is-zero", "mx [10 a.example.com] for 0 s"),
        ("mx-null", "mx [0 .] for 3600 s"),
        ("mx-null-beside-others", "mx [0 ., 10 a.example.com] for 3600 s"),
        ("mx-owner-in-other-case", "mx [10 mail.example.com] for 300 s"),
        ("mx-unusable-names", "mx [] for 300 s"),
        ("mx-unusable-name-beside-good", "mx [20 b.example.com] for 300 s"),
        ("mx-glue-in-additional", "mx [10 mail.example.com] for 300 s"),
        ("mx-additional-garbage", "mx [10 mail.example.com] for 300 s"),
        ("mx-other-owner-left-out", "mx [10 mail.example.com] for 300 s"),
        ("mx-other-class-left-out", "mx [10 mail.example.com] for 300 s"),
        ("txt-noise", "mx [10 mail.example.com] for 300 s"),
        ("unknown-type", "mx [10 mail.example.com] for 300 s"),
        ("cname-then-mx", "mx [10 mx.example.net] for 100 s"),
        ("cname-after-mx", "mx [10 mx.example.net] for 100 s"),
        ("cname-twice-then-mx", "mx [10 mx.c.test] for 50 s"),
        ("cname-alone", "asks for other.test"),
        ("cname-nodata", "NoData for 100 s"),
        ("cname-nxdomain", "NoDomain for 600 s"),
        ("cname-to-itself", "Failed(AliasLoop) for 5 s"),
        ("cname-circle", "Failed(AliasLoop) for 5 s"),
        ("cname-long-chain", "Failed(AliasLoop) for 5 s"),
        ("nodata-soa", "NoData for 300 s"),
        ("nodata-soa-ttl-smaller", "NoData for 120 s"),
        ("nodata-soa-a-week", "NoData for 3600 s"),
        ("nodata-without-soa", "NoData for 5 s"),
        ("nxdomain-soa", "NoDomain for 900 s"),
        ("nxdomain-without-soa", "NoDomain for 5 s"),
        ("referral", "Failed(ServerFailure(5)) for 5 s"),
        ("servfail", "Failed(ServerFailure(2)) for 5 s"),
        ("refused", "Failed(ServerFailure(5)) for 5 s"),
        ("servfail-without-question", "Failed(ServerFailure(2)) for 5 s"),
        ("formerr", "without EDNS"),
        ("notimp", "without EDNS"),
        ("formerr-without-question", "without EDNS"),
        ("truncated", "tcp"),
        ("truncated-in-a-record", "tcp"),
        ("other-case", "tcp"),
        ("wrong-id", "ignored"),
        ("wrong-name", "ignored"),
        ("wrong-kind", "ignored"),
        ("wrong-class", "ignored"),
        ("a-query", "ignored"),
        ("other-opcode", "ignored"),
        ("two-questions", "ignored"),
        ("no-question", "ignored"),
        ("empty", "ignored"),
        ("short", "ignored"),
        ("header-only", "ignored"),
        ("half-question", "ignored"),
        ("bad-pointer-in-question", "ignored"),
        ("bad-record-cut", malformed),
        ("bad-rdlength", malformed),
        ("bad-rdlength-short", malformed),
        ("bad-count", malformed),
        ("bad-pointer-to-itself", malformed),
        ("bad-pointer-forward", malformed),
        ("bad-label-type", malformed),
        ("bad-name-too-long", malformed),
        ("bad-a-length", malformed),
        ("bad-authority", malformed),
    ];
    for (name, expected) in cases {
        assert_eq!(meaning(&packet(name)), expected, "{name}");
    }
}

#[test]
fn no_more_records_are_kept_than_the_limit_says() {
    let meaning = meaning(&packet("many-mx"));
    assert_eq!(meaning.matches("example.com").count(), net::limits::DNS_RECORDS_MAX);
}

#[test]
fn the_corpus_of_dns_responses_passes() {
    let mut count = 0;
    for entry in std::fs::read_dir(CORPUS).expect("the corpus is there") {
        let name = entry.expect("a readable folder").file_name();
        let bytes = packet(&name.to_string_lossy());
        checks::response(&bytes);
        // Every cut and every changed byte of it too.
        for at in 0..bytes.len() {
            checks::response(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            checks::response(&changed);
        }
        checks::records(&bytes);
        count += 1;
    }
    assert!(count > 60, "an empty corpus checks nothing");
}

#[test]
fn the_corpus_of_records_passes() {
    let mut count = 0;
    for entry in std::fs::read_dir(format!("{CORPUS}/../dns_records")).expect("the corpus is there") {
        let name = entry.expect("a readable folder").file_name();
        let bytes = packet(&format!("../dns_records/{}", name.to_string_lossy()));
        for at in 0..bytes.len() {
            checks::records(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            checks::records(&changed);
        }
        checks::records(&bytes);
        count += 1;
    }
    assert!(count >= 9, "an input for each type");
}
