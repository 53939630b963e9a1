//! Random conversations made of the words that matter, through the checks of the fuzz targets.

use proptest::prelude::*;
use proptest::sample::select;

use crate::checks;

/// What a server reads: commands, good and bad, and the pieces of messages.
const CLIENT_WORDS: &[&[u8]] = &[
    b"EHLO x\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<> SIZE=401\r\n",
    b"RCPT TO:<c@d.example>\r\n",
    b"RCPT TO:<\"x\\\"y>\"@d.example>\r\n",
    b"DATA\r\n",
    b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
    b"RSET\r\n",
    b"BDAT 9\r\n",
    b"BDAT 31 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 5\r\n",
    b"BDAT x\r\n",
    b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n",
    b"AUTH LOGIN\r\n",
    b"AUTH X-WHY\r\n",
    b"dXNlcg==\r\n",
    b"*\r\n",
    b"XCLIENT NAME=a ADDR=192.0.2.1 HELO=b\r\n",
    b"MAIL FROM:<d\xc3\xb8@b.example> SMTPUTF8 RET=HDRS ENVID=x+20y\r\n",
    b"RCPT TO:<c@d.example> NOTIFY=DELAY ORCPT=rfc822;c@d.example\r\n",
    b"NOOP\r\n",
    b"\r\n.\r\n",
    b".",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xe9",
    b"Received: x\r\n",
    b"text",
    b"a longer line of text, so that a few of them fill a block, with a dot. And another .....\r\n",
];

/// What a client reads.
const SERVER_WORDS: &[&[u8]] = &[
    b"220 x\r\n",
    b"250 2.0.0 Ok\r\n",
    b"250-x\r\n250-PIPELINING\r\n250 SIZE 1000\r\n",
    b"250 8BITMIME\r\n",
    b"250-",
    b"354 go\r\n",
    b"450 4.2.1 later\r\n",
    b"550-5.1.1 no\r\n550 5.1.1 user\r\n",
    b"503 no\r\n",
    b"421 4.3.2 bye\r\n",
    b"250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-XCLIENT NAME HELO\r\n250-STARTTLS\r\n250 AUTH CRAM-MD5 SCRAM-SHA-256\r\n",
    b"334 \r\n",
    b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n",
    b"235 2.7.0 in\r\n",
    b"452 4.5.3 too many\r\n",
    b"\n",
    b"\r",
];

fn conversation(words: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), prop::collection::vec(select(words), 0..40))
        .prop_map(|(first, words)| [&[first][..], &words.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_server_does_the_same_however_its_input_is_cut(data in conversation(CLIENT_WORDS)) {
        checks::server_bytes(&data);
    }

    #[test]
    fn a_client_settles_every_envelope_whatever_it_hears(data in conversation(SERVER_WORDS)) {
        checks::client_replies(&data);
    }

    #[test]
    fn a_client_settles_every_envelope_of_a_peer_that_begins_well(data in conversation(SERVER_WORDS)) {
        let (first, rest) = data.split_at(1);
        for extensions in ["PIPELINING", "PIPELINING\r\n250-CHUNKING", "CHUNKING", "LIMITS RCPTMAX=1"] {
            for kind in 0..8 {
                let start = format!("220 x\r\n250-x\r\n250-{extensions}\r\n250 AUTH LOGIN PLAIN\r\n");
                checks::client_replies(&[&[kind], first, start.as_bytes(), rest].concat());
            }
        }
    }

    #[test]
    fn what_parses_as_a_path_is_safe(
        text in prop::collection::vec(select(b"<>@.,:\\\"[]ab1 \r\n\0\xe9-".to_vec()), 0..20),
    ) {
        checks::path(&text);
    }
}
