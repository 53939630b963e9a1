//! `tls.ciphers`: lists of cipher suites as OpenSSL writes them, over the suites that this program has.
//!
//! As there, such a list is about TLS 1.2. The suites of TLS 1.3 stay as they are unless the list names some of them.

use crate::report::Problem;
use crate::scalar::quoted;

/// A cipher suite that this program has.
struct Suite {
    /// IANA's number.
    number: u16,
    /// OpenSSL's name, and IANA's.
    names: [&'static str; 2],
    /// Key of the server's certificate: `RSA` or `ECDSA`; either for TLS 1.3.
    auth: &'static str,
    /// `AESGCM` or `CHACHA20`.
    cipher: &'static str,
    key_bits: u16,
    hash: &'static str,
}

const fn suite(
    number: u16,
    names: [&'static str; 2],
    auth: &'static str,
    cipher: &'static str,
    key_bits: u16,
    hash: &'static str,
) -> Suite {
    Suite { number, names, auth, cipher, key_bits, hash }
}

/// Those of TLS 1.2, in the order in which they are preferred where nothing else is said.
const TLS_12: [Suite; 6] = [
    suite(
        0xc02c,
        ["ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
        "ECDSA",
        "AESGCM",
        256,
        "SHA384",
    ),
    suite(
        0xc02b,
        ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
        "ECDSA",
        "AESGCM",
        128,
        "SHA256",
    ),
    suite(
        0xcca9,
        ["ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
        "ECDSA",
        "CHACHA20",
        256,
        "SHA256",
    ),
    suite(
        0xc030,
        ["ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
        "RSA",
        "AESGCM",
        256,
        "SHA384",
    ),
    suite(
        0xc02f,
        ["ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        "RSA",
        "AESGCM",
        128,
        "SHA256",
    ),
    suite(
        0xcca8,
        ["ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"],
        "RSA",
        "CHACHA20",
        256,
        "SHA256",
    ),
];

/// Those of TLS 1.3.
const TLS_13: [(u16, &str); 3] = [
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
];

/// What a list leaves: IANA numbers, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CipherList {
    /// Of TLS 1.2.
    pub tls12: Vec<u16>,
    /// Of TLS 1.3.
    pub tls13: Vec<u16>,
}

impl CipherList {
    /// All that there is.
    pub(crate) fn all() -> CipherList {
        CipherList {
            tls12: TLS_12.iter().map(|suite| suite.number).collect(),
            tls13: TLS_13.iter().map(|(number, _)| *number).collect(),
        }
    }

    /// Reads a list such as `HIGH:!aNULL` or `ECDHE+AESGCM:!AES128`.
    ///
    /// # Errors
    /// A sentence about the list.
    pub fn parse(text: &str) -> Result<CipherList, String> {
        CipherList::read(text).map_err(String::from)
    }

    pub(crate) fn read(text: &str) -> Result<CipherList, Problem> {
        let mut reader = Reader::default();
        // A level may follow a name without anything between: DEFAULT@SECLEVEL=2.
        let text = text.replace('@', ":@");
        for word in text.split([':', ',', ';', ' ']).filter(|word| !word.is_empty()) {
            reader.word(word)?;
        }
        reader.end()
    }
}

#[derive(Default)]
struct Reader {
    tls12: Vec<u16>,
    /// Taken out for good.
    killed: Vec<u16>,
    tls13: Vec<u16>,
    tls13_removed: Vec<u16>,
}

impl Reader {
    fn word(&mut self, word: &str) -> Result<(), Problem> {
        if word == "@STRENGTH" {
            self.tls12.sort_by_key(|number| std::cmp::Reverse(key_bits(*number)));
            return Ok(());
        }
        // What this program has is above every level.
        if word.starts_with("@SECLEVEL=") {
            return Ok(());
        }
        let (sign, name) = match word.split_at_checked(1) {
            Some((sign @ ("!" | "-" | "+"), name)) => (sign, name),
            _ => ("", word),
        };
        if let Some((number, _)) = TLS_13.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            match sign {
                "" if !self.tls13.contains(number) => self.tls13.push(*number),
                "!" | "-" => self.tls13_removed.push(*number),
                _ => {}
            }
            return Ok(());
        }
        let matching = matching(name)?;
        let is_matching = |number: &u16| matching.contains(number);
        match sign {
            "!" => {
                self.tls12.retain(|number| !is_matching(number));
                self.killed.extend(matching);
            }
            "-" => self.tls12.retain(|number| !is_matching(number)),
            // To the end, in the order in which they are.
            "+" => self.tls12.sort_by_key(is_matching),
            _ => {
                for number in matching {
                    if !self.killed.contains(&number) && !self.tls12.contains(&number) {
                        self.tls12.push(number);
                    }
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<CipherList, Problem> {
        let named = !self.tls13.is_empty();
        let mut tls13 = if named { self.tls13 } else { CipherList::all().tls13 };
        tls13.retain(|number| !self.tls13_removed.contains(number));
        if self.tls12.is_empty() && !named {
            let names = TLS_12.iter().map(|suite| suite.names[0]);
            let names: Vec<&str> = names.chain(TLS_13.iter().map(|(_, name)| *name)).collect();
            return Err(Problem::new("leaves no cipher suite that this program has")
                .hint(format!("it has {}", names.join(", "))));
        }
        Ok(CipherList { tls12: self.tls12, tls13 })
    }
}

fn key_bits(number: u16) -> u16 {
    TLS_12.iter().find(|suite| suite.number == number).map_or(0, |suite| suite.key_bits)
}

/// The suites that a name, or names joined by `+`, stand for.
fn matching(name: &str) -> Result<Vec<u16>, Problem> {
    let mut numbers: Vec<u16> = TLS_12.iter().map(|suite| suite.number).collect();
    for part in name.split('+') {
        let meaning = Meaning::of(part)?;
        numbers
            .retain(|number| TLS_12.iter().any(|suite| suite.number == *number && meaning.includes(suite)));
    }
    Ok(numbers)
}

/// What one name stands for.
enum Meaning<'t> {
    All,
    /// Ciphers that OpenSSL knows and this program does not have.
    Nothing,
    One(&'t str),
    Auth(&'static str),
    Cipher(&'static str),
    KeyBits(u16),
    CipherAndKeyBits(&'static str, u16),
    Hash(&'static str),
}

impl Meaning<'_> {
    fn of(name: &str) -> Result<Meaning<'_>, Problem> {
        let known = |suite: &Suite| suite.names.iter().any(|known| known.eq_ignore_ascii_case(name));
        Ok(match name {
            "ALL" | "DEFAULT" | "HIGH" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" | "TLSv1.2" | "AEAD" => {
                Meaning::All
            }
            "aRSA" => Meaning::Auth("RSA"),
            "aECDSA" | "ECDSA" => Meaning::Auth("ECDSA"),
            "AES" | "AESGCM" | "FIPS" => Meaning::Cipher("AESGCM"),
            "CHACHA20" | "CHACHA20POLY1305" => Meaning::Cipher("CHACHA20"),
            "AES128" => Meaning::CipherAndKeyBits("AESGCM", 128),
            "AES256" => Meaning::CipherAndKeyBits("AESGCM", 256),
            "128" => Meaning::KeyBits(128),
            "256" => Meaning::KeyBits(256),
            "SHA256" => Meaning::Hash("SHA256"),
            "SHA384" => Meaning::Hash("SHA384"),
            _ if TLS_12.iter().any(known) => Meaning::One(name),
            _ if GROUPS_OF_NOTHING.contains(&name) || is_a_suite(name) => Meaning::Nothing,
            _ => {
                return Err(Problem::new(format!("{} is not a cipher or a group of ciphers", quoted(name)))
                    .hint("use names as `openssl ciphers` has them, such as HIGH or ECDHE-RSA-AES128-GCM-SHA256"));
            }
        })
    }

    fn includes(&self, suite: &Suite) -> bool {
        match self {
            Meaning::All => true,
            Meaning::Nothing => false,
            Meaning::One(name) => suite.names.iter().any(|known| known.eq_ignore_ascii_case(name)),
            Meaning::Auth(auth) => suite.auth == *auth,
            Meaning::Cipher(cipher) => suite.cipher == *cipher,
            Meaning::KeyBits(bits) => suite.key_bits == *bits,
            Meaning::CipherAndKeyBits(cipher, bits) => suite.cipher == *cipher && suite.key_bits == *bits,
            Meaning::Hash(hash) => suite.hash == *hash,
        }
    }
}

/// Groups that are known and of which this program has nothing.
const GROUPS_OF_NOTHING: &[&str] = &[
    "3DES",
    "ADH",
    "AECDH",
    "AESCCM",
    "AESCCM8",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "COMPLEMENTOFALL",
    "COMPLEMENTOFDEFAULT",
    "DES",
    "DH",
    "DHE",
    "DSS",
    "ECDH",
    "EDH",
    "EXP",
    "EXPORT",
    "EXPORT40",
    "EXPORT56",
    "GOST89MAC",
    "GOST94",
    "IDEA",
    "LOW",
    "MD5",
    "MEDIUM",
    "NULL",
    "PSK",
    "RC2",
    "RC4",
    "RSA",
    "SEED",
    "SHA",
    "SHA1",
    "SRP",
    "SSLv2",
    "SSLv3",
    "SUITEB128",
    "SUITEB128ONLY",
    "SUITEB192",
    "TLSv1",
    "TLSv1.0",
    "aDH",
    "aDSS",
    "aECDH",
    "aGOST",
    "aGOST01",
    "aNULL",
    "aPSK",
    "aSRP",
    "eNULL",
    "kDH",
    "kDHE",
    "kDHEPSK",
    "kDHd",
    "kDHr",
    "kECDH",
    "kECDHEPSK",
    "kECDHe",
    "kECDHr",
    "kEDH",
    "kGOST",
    "kPSK",
    "kRSA",
    "kRSAPSK",
    "kSRP",
];

/// Whether a name is made of the words of which OpenSSL and IANA make the names of suites.
fn is_a_suite(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "128",
        "256",
        "3DES",
        "8",
        "ADH",
        "AECDH",
        "AES",
        "AES128",
        "AES256",
        "ARIA128",
        "ARIA256",
        "CAMELLIA",
        "CAMELLIA128",
        "CAMELLIA256",
        "CBC",
        "CBC3",
        "CCM",
        "CCM8",
        "CHACHA20",
        "DES",
        "DH",
        "DHE",
        "DSS",
        "ECDH",
        "ECDHE",
        "ECDSA",
        "EDE",
        "EDH",
        "EXP",
        "GCM",
        "IDEA",
        "MD5",
        "NULL",
        "POLY1305",
        "PSK",
        "RC2",
        "RC4",
        "RSA",
        "SEED",
        "SHA",
        "SHA256",
        "SHA384",
        "SRP",
        "TLS",
        "WITH",
        "anon",
    ];
    let words: Vec<&str> = name.split(['-', '_']).collect();
    words.len() >= 2 && words.iter().all(|word| WORDS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short names for the numbers of TLS 1.2: E and R for the certificate, 256, 128 and `c`.
    fn short(numbers: &[u16]) -> String {
        let names = [
            (0xc02c, "E256"),
            (0xc02b, "E128"),
            (0xcca9, "Ec"),
            (0xc030, "R256"),
            (0xc02f, "R128"),
            (0xcca8, "Rc"),
        ];
        let name = |number: &u16| names.iter().find(|(known, _)| known == number).expect("known").1;
        numbers.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lists_mean_what_openssl_means_by_them() {
        let all = "E256 E128 Ec R256 R128 Rc";
        for (list, expected) in [
            ("HIGH:MEDIUM", all),
            ("HIGH:!aNULL:!MD5:!RC4", all),
            ("DEFAULT@SECLEVEL=2", all),
            ("DEFAULT:@SECLEVEL=2", all),
            ("ECDHE+AESGCM", "E256 E128 R256 R128"),
            ("ECDHE+aRSA+AES256", "R256"),
            ("CHACHA20:AES128:ALL", "Ec Rc E128 R128 E256 R256"),
            ("HIGH:!AES128", "E256 Ec R256 Rc"),
            ("!AES128:HIGH", "E256 Ec R256 Rc"),
            ("HIGH:-ECDSA:ECDSA", "R256 R128 Rc E256 E128 Ec"),
            ("HIGH:!ECDSA:ECDSA", "R256 R128 Rc"),
            ("HIGH:+AES256", "E128 Ec R128 Rc E256 R256"),
            ("HIGH:ECDSA", all),
            ("AES128:HIGH:@STRENGTH", "E256 Ec R256 Rc E128 R128"),
            ("ECDHE-RSA-AES128-GCM-SHA256,ecdhe-rsa-chacha20-poly1305", "R128 Rc"),
            ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "R256"),
            ("AES128-SHA:DHE-RSA-AES256-SHA256:ECDHE-RSA-AES128-GCM-SHA256", "R128"),
            ("TLS_RSA_WITH_AES_128_CBC_SHA R256 ALL", "?"),
            ("HIGHER", "?"),
        ] {
            match CipherList::read(list) {
                Ok(parsed) => {
                    assert_eq!(short(&parsed.tls12), expected, "{list}");
                    assert_eq!(parsed.tls13, CipherList::all().tls13, "{list}");
                }
                Err(_) => assert_eq!("?", expected, "{list}"),
            }
        }
    }

    #[test]
    fn suites_of_tls_1_3_change_only_when_they_are_named() {
        let list = CipherList::parse("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256").expect("known");
        assert_eq!((list.tls12, list.tls13), (vec![], vec![0x1303, 0x1301]));
        let list = CipherList::parse("HIGH:!TLS_AES_128_GCM_SHA256").expect("known");
        assert_eq!((list.tls12.len(), list.tls13), (6, vec![0x1302, 0x1303]));
    }

    #[test]
    fn a_list_that_leaves_nothing_is_an_error() {
        for list in ["RC4:3DES", "!ALL", "", "AES128-SHA"] {
            assert!(CipherList::parse(list).is_err(), "{list}");
        }
    }
}
