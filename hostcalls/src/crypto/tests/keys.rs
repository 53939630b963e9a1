use super::*;

macro_rules! pem {
    ($name:literal) => {
        Value::from(include_bytes!(concat!("../../../../mail/src/keys/testdata/", $name, ".pem")).as_slice())
    };
}

fn hex(text: &str) -> Value {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().into()
}

fn is_true(value: Result<Value, Fault>) -> bool {
    value.unwrap().as_bool().unwrap()
}

#[test]
fn private_keys_are_resources_of_their_kind() {
    let kinds = ["rsa", "ec", "ed25519"];
    let texts = [pem!("rsa2048.pkcs8"), pem!("p256.pkcs8"), pem!("ed25519")];
    for (row, kind) in kinds.iter().enumerate() {
        for (column, pem) in texts.iter().enumerate() {
            let key = call(&format!("{kind}_privatekey"), std::slice::from_ref(pem)).unwrap();
            assert_eq!(key.is_none(), row != column, "{kind}");
            for (other, name) in kinds.iter().enumerate() {
                let is = is_true(call(&format!("is_{name}_privatekey"), std::slice::from_ref(&key)));
                assert_eq!(is, row == column && row == other, "is_{name} of {kind}");
            }
        }
    }
    assert!(call("rsa_privatekey", &["nonsense".into()]).unwrap().is_none());
    assert!(!is_true(call("is_rsa_privatekey", &[Value::None])));
    let fault = call("rsa_privatekey", &[1.0.into()]).unwrap_err();
    assert!(fault.to_string().contains("rsa_privatekey(): argument 1 must be a string"), "{fault}");
}

#[test]
fn rsa_signatures_verify() {
    let key = call("rsa_privatekey", &[pem!("rsa2048.pkcs8")]).unwrap();
    for hash in ["md5", "sha1", "sha256", "sha512"] {
        let hash = ("hash", Value::from(hash));
        let signature =
            call("rsa_sign", &["message".into(), key.clone(), options(std::slice::from_ref(&hash))]).unwrap();
        let verify = |message: &str| {
            let options = options(&[hash.clone(), ("pem", true.into())]);
            is_true(call("rsa_verify", &[message.into(), signature.clone(), pem!("rsa2048.spki"), options]))
        };
        assert!(verify("message"));
        assert!(!verify("massage"));
    }
}

#[test]
fn keys_are_given_in_every_form() {
    let der = |pem: &Value| -> Value {
        let blocks = mail::keys::pem_blocks(pem.as_bytes().unwrap()).unwrap();
        blocks[0].der.clone().into()
    };
    let (pkcs1, pkcs8) = (pem!("rsa2048.pkcs1"), pem!("rsa2048.pkcs8"));
    let expected =
        text(&call("rsa_sign", &["m".into(), pkcs1.clone(), options(&[("pem", true.into())])]).unwrap());
    let forms = [
        (pkcs8.clone(), options(&[("pem", true.into())])),
        (der(&pkcs1), Value::None),
        (der(&pkcs1), options(&[("format", "RSAPrivateKey".into())])),
        (der(&pkcs8), options(&[("format", "PrivateKeyInfo".into())])),
    ];
    for (key, options) in forms {
        assert_eq!(text(&call("rsa_sign", &["m".into(), key, options]).unwrap()), expected);
    }
    let signature = call("rsa_sign", &["m".into(), der(&pkcs1)]).unwrap();
    let forms = [
        (pem!("rsa2048.public"), options(&[("pem", true.into())])),
        (der(&pem!("rsa2048.public")), Value::None),
        (der(&pem!("rsa2048.spki")), options(&[("format", "SubjectPublicKeyInfo".into())])),
    ];
    for (key, options) in forms {
        assert!(is_true(call("rsa_verify", &["m".into(), signature.clone(), key, options])));
    }
}

#[test]
fn what_is_no_key_gives_none() {
    let none = |name: &str, args: &[Value]| assert!(call(name, args).unwrap().is_none(), "{name} {args:?}");
    none("rsa_sign", &["m".into(), "nonsense".into()]);
    none("rsa_sign", &["m".into(), pem!("rsa2048.pkcs1")]);
    none("rsa_sign", &["m".into(), call("ed25519_privatekey", &[pem!("ed25519")]).unwrap()]);
    none("rsa_sign", &["m".into(), "unknown".into(), options(&[("id", true.into())])]);
    none("rsa_verify", &["m".into(), "s".into(), "nonsense".into()]);
    none("rsa_verify", &["m".into(), "s".into(), "unknown".into(), options(&[("id", true.into())])]);
    none("ed25519_sign", &["m".into(), "short".into()]);
    none("ed25519_sign", &["m".into(), call("rsa_privatekey", &[pem!("rsa2048.pkcs1")]).unwrap()]);
    none("ed25519_verify", &["m".into(), "s".into(), "short".into()]);
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    let error = |name: &str, args: &[Value]| call(name, args).unwrap_err().to_string();
    let hash = options(&[("hash", "sha3".into())]);
    assert!(error("rsa_sign", &["m".into(), "k".into(), hash]).contains("option \"hash\" must be md5"));
    let format = options(&[("format", "x".into())]);
    assert!(
        error("rsa_sign", &["m".into(), "k".into(), format.clone()])
            .contains("RSAPrivateKey or PrivateKeyInfo")
    );
    assert!(
        error("rsa_verify", &["m".into(), "s".into(), "k".into(), format]).contains("SubjectPublicKeyInfo")
    );
    assert!(
        error("rsa_sign", &["m".into(), 1.0.into()])
            .contains("argument 2 must be an RSAPrivateKey or a string")
    );
    assert!(error("ed25519_sign", &["m".into(), Value::None]).contains("argument 2"));
    assert!(error("rsa_sign", &["m".into()]).contains("takes 2 to 3 argument(s), not 1"));
}

/// V020: RFC 8032, section 7.1, test 1.
#[test]
fn the_vector_of_ed25519_verifies() {
    let signature = hex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert!(is_true(call("ed25519_verify", &["".into(), signature.clone(), public.clone()])));
    assert!(!is_true(call("ed25519_verify", &["x".into(), signature.clone(), public])));
    let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let signed = call("ed25519_sign", &["".into(), seed]).unwrap();
    assert_eq!(signed.as_bytes(), signature.as_bytes());
}

#[test]
fn the_configuration_names_keys() {
    let bytes = |value: Value| value.as_bytes().unwrap().to_vec();
    let mut pki = Pki::default();
    let leaf = include_bytes!("../testdata/leaf.crt");
    pki.add_private("rsa", Some(&bytes(pem!("rsa2048.pkcs8"))), None).unwrap();
    pki.add_private("certificate", None, Some(leaf)).unwrap();
    pki.add_public_key("public", &bytes(pem!("rsa2048.spki"))).unwrap();
    pki.add_certificate("public-certificate", leaf).unwrap();
    assert!(pki.private_key(b"rsa").is_some());
    assert!(pki.private_key(b"pki:rsa").is_some());
    assert!(pki.private_key(b"certificate").is_none());
    for id in ["rsa", "public", "certificate", "public-certificate"] {
        assert_eq!(pki.rsa_public_key(id.as_bytes()).unwrap().bits(), 2048, "{id}");
    }
    assert!(pki.rsa_public_key(b"absent").is_none());
    assert_eq!(
        pki.add_private("bad", Some(b"x"), None).unwrap_err().to_string(),
        "no PEM block with such a key"
    );
    assert_eq!(pki.add_certificate("bad", b"x"), Err(PkiError::Certificate));
}

#[test]
fn a_key_file_is_imported() {
    let key = load_key(pem!("p384").as_bytes().unwrap(), &Array::new()).unwrap();
    assert!(is_true(call("is_ec_privatekey", &[Value::from_frozen(&key)])));
    assert!(load_key(b"nonsense", &Array::new()).is_err());
}
