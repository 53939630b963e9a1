use data_encoding::BASE64;

use super::*;

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("testdata/", $name, ".pem")).as_slice()
    };
}

fn hash(name: &str) -> Hash {
    match name {
        "md5" => Hash::Md5,
        "sha1" => Hash::Sha1,
        "sha256" => Hash::Sha256,
        "sha512" => Hash::Sha512,
        other => panic!("no hash {other}"),
    }
}

/// The lines of `signatures.txt` for one key: hash and signature.
fn signatures(key: &str) -> Vec<(&'static str, Vec<u8>)> {
    let lines = include_str!("testdata/signatures.txt").lines();
    lines
        .filter_map(|line| line.strip_prefix(key)?.trim().split_once(' '))
        .map(|(hash, signature)| (hash, BASE64.decode(signature.as_bytes()).unwrap()))
        .collect()
}

#[test]
fn rsa_signatures_are_those_of_openssl() {
    let keys = [("rsa1024", pem!("rsa1024.pkcs1"), 1024), ("rsa2048", pem!("rsa2048.pkcs8"), 2048)];
    for (name, pem, bits) in keys {
        let key = RsaPrivateKey::from_pem(pem).unwrap();
        assert_eq!(key.bits(), bits);
        let public = RsaPublicKey::from_pkcs1_der(&key.public_pkcs1_der()).unwrap();
        let signatures = signatures(name);
        assert_eq!(signatures.len(), 4);
        for (hash_name, expected) in signatures {
            let hash = hash(hash_name);
            assert_eq!(key.sign(hash, b"message").unwrap(), expected, "{name} {hash_name}");
            assert!(public.verify(hash, b"message", &expected), "{name} {hash_name}");
            assert!(!public.verify(hash, b"massage", &expected), "{name} {hash_name}");
            assert!(!public.verify(hash, b"message", &expected[1..]), "{name} {hash_name}");
        }
    }
}

#[test]
fn ed25519_signatures_are_those_of_openssl() {
    let key = Ed25519PrivateKey::from_pem(pem!("ed25519")).unwrap();
    let (_, expected) = signatures("ed25519").remove(0);
    assert_eq!(key.sign(b"message").as_slice(), expected);
    assert_eq!(verify_ed25519(&key.public_key(), b"message", &expected), Ok(true));
    assert_eq!(verify_ed25519(&key.public_key(), b"massage", &expected), Ok(false));
    assert_eq!(verify_ed25519(&key.public_key(), b"message", &expected[1..]), Ok(false));
    assert_eq!(verify_ed25519(b"short", b"message", &expected), Err(KeyError::Size));
}

/// RFC 8032, section 7.1, test 2.
#[test]
fn a_raw_seed_is_an_ed25519_key() {
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let public = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let key = Ed25519PrivateKey::from_seed(&seed).unwrap();
    assert_eq!(key.public_key().as_slice(), public);
    let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    assert_eq!(key.sign(&[0x72]).as_slice(), hex(expected));
    assert!(Ed25519PrivateKey::from_seed(&[seed.as_slice(), &public].concat()).is_ok());
    assert_eq!(Ed25519PrivateKey::from_seed(&[1; 31]).err(), Some(KeyError::Size));
}

#[test]
fn a_pem_text_gives_the_kind_of_key_that_it_holds() {
    let kind = |pem| match PrivateKey::from_pem(pem) {
        Ok(PrivateKey::Rsa(key)) => format!("rsa {}", key.bits()),
        Ok(PrivateKey::Ed25519(_)) => "ed25519".to_owned(),
        Ok(PrivateKey::Ec(key)) => format!("{:?}", key.curve()),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(kind(pem!("rsa1024.pkcs1")), "rsa 1024");
    assert_eq!(kind(pem!("rsa1024.pkcs8")), "rsa 1024");
    assert_eq!(kind(pem!("rsa2048.pkcs1")), "rsa 2048");
    assert_eq!(kind(pem!("ed25519")), "ed25519");
    assert_eq!(kind(pem!("p256.params")), "P256");
    assert_eq!(kind(pem!("p256.pkcs8")), "P256");
    assert_eq!(kind(pem!("p384")), "P384");
    assert_eq!(kind(pem!("p521")), "P521");
    assert_eq!(kind(pem!("k256")), "Malformed");
    assert_eq!(kind(pem!("rsa512")), "Size");
    assert_eq!(kind(pem!("rsa1024.encrypted")), "Encrypted");
    assert_eq!(kind(pem!("rsa1024.pkcs8enc")), "Encrypted");
    assert_eq!(kind(pem!("rsa1024.spki")), "NoPem");
    assert_eq!(kind(b""), "NoPem");
}

#[test]
fn both_forms_of_a_public_key_are_the_same_key() {
    let spki = RsaPublicKey::from_pem(pem!("rsa2048.spki")).unwrap();
    assert_eq!(spki, RsaPublicKey::from_pem(pem!("rsa2048.public")).unwrap());
    let private = RsaPrivateKey::from_pem(pem!("rsa2048.pkcs1")).unwrap();
    assert_eq!(private.public_pkcs1_der(), spki.pkcs1_der());
}

#[test]
fn broken_pem_is_refused() {
    let text = std::str::from_utf8(pem!("rsa1024.pkcs1")).unwrap();
    let error = |text: &str| PrivateKey::from_pem(text.as_bytes()).err();
    assert_eq!(error(&text.replace("-----END", "----END")), Some(KeyError::Malformed));
    assert_eq!(error(&text.replace("END RSA", "END EC")), Some(KeyError::Malformed));
    assert_eq!(error(&text[..text.len() / 2]), Some(KeyError::Malformed));
    assert_eq!(error(&text.replacen("MII", "MIJ", 1)), Some(KeyError::Malformed));
    assert_eq!(error(&"x".repeat(1 << 20)), Some(KeyError::TooLarge));
    let one_line =
        text.replace('\n', "").replace("-----MII", "-----\r\n MII").replace("-----END", "\r\n-----END");
    assert_eq!(error(&one_line), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_key_or_an_error(der: Vec<u8>, text: String) {
        let _ = RsaPrivateKey::from_pkcs1_der(&der);
        let _ = RsaPrivateKey::from_pkcs8_der(&der);
        let _ = RsaPublicKey::from_pkcs1_der(&der);
        let _ = RsaPublicKey::from_spki_der(&der);
        let _ = Ed25519PrivateKey::from_pkcs8_der(&der);
        let text = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----");
        let _ = PrivateKey::from_pem(text.as_bytes());
    }
}
