use super::*;
use crate::testing::method;

macro_rules! file {
    ($name:literal) => {
        Value::from(include_bytes!(concat!("../testdata/", $name)).as_slice())
    };
}

fn static_call(class: &'static script::native::NativeClass, args: &[Value]) -> Value {
    testing::plain(class.static_function(b"String").unwrap(), args).unwrap()
}

fn certificate(pem: Value) -> Value {
    static_call(&x509::CLASS, &[pem])
}

fn show(object: &Value, name: &str) -> String {
    text(&method(object, name, &[]).unwrap())
}

#[test]
fn a_certificate_tells_what_it_holds() {
    let leaf = certificate(file!("leaf.crt"));
    assert_eq!(
        show(&leaf, "subject"),
        "[0=>[0=>\"C\",1=>\"SE\"],1=>[0=>\"O\",1=>\"Tést AB\"],2=>[0=>\"CN\",1=>\"mail.example.org\"],\
         3=>[0=>\"emailAddress\",1=>\"post@example.org\"],4=>[0=>\"1.2.3.4.5\",1=>\"x\"]]"
    );
    assert_eq!(
        show(&leaf, "issuer"),
        "[0=>[0=>\"C\",1=>\"SE\"],1=>[0=>\"O\",1=>\"Test Org\"],2=>[0=>\"CN\",1=>\"Test Intermediate\"]]"
    );
    assert_eq!(
        show(&leaf, "subject_alt_name"),
        "[\"DNS\"=>[0=>\"mail.example.org\",1=>\"*.example.org\"],\"email\"=>[0=>\"post@example.org\"],\
         \"URI\"=>[0=>\"https://example.org/\"],\"IP\"=>[0=>\"192.0.2.1\",1=>\"2001:db8::1\"]]"
    );
    assert_eq!(show(&leaf, "version"), "3");
    assert_eq!(show(&leaf, "serial_number"), "0A60");
    assert_eq!(show(&leaf, "not_valid_before"), "1577836800");
    assert_eq!(show(&leaf, "not_valid_after"), "4733510400");
    assert_eq!(show(&certificate(file!("root.crt")), "subject_alt_name"), "[]");
}

#[test]
fn keys_and_certificates_are_exported() {
    let pem = options(&[("pem", true.into())]);
    let leaf = certificate(file!("leaf.crt"));
    let exported = method(&leaf, "export", std::slice::from_ref(&pem)).unwrap();
    assert_eq!(text(&exported), text(&file!("leaf.crt")));
    let der = method(&leaf, "export", &[]).unwrap();
    assert_eq!(show(&certificate(der), "serial_number"), "0A60");
    let key = mail::keys::RsaPrivateKey::from_pem(include_bytes!("../testdata/leaf.key")).unwrap();
    let public = method(&leaf, "public_key", &[pem]).unwrap();
    let public = mail::keys::RsaPublicKey::from_pem(public.as_bytes().unwrap()).unwrap();
    assert_eq!(public.pkcs1_der(), key.public_pkcs1_der());
    let public = method(&leaf, "public_key", &[]).unwrap();
    assert!(mail::keys::RsaPublicKey::from_spki_der(public.as_bytes().unwrap()).is_ok());
}

#[test]
fn extensions_have_their_names() {
    let leaf = certificate(file!("leaf.crt"));
    let list = method(&leaf, "extensions", &[]).unwrap();
    let names: Vec<String> = list
        .as_array()
        .unwrap()
        .values()
        .map(|item| {
            let get = |key| text(&item.as_array().unwrap().get_str(key).unwrap());
            format!("{} {} {}", get("name"), get("oid"), get("critical"))
        })
        .collect();
    assert_eq!(names[0], "basicConstraints 2.5.29.19 true");
    assert!(names.contains(&"subjectAltName 2.5.29.17 false".to_owned()), "{names:?}");
}

fn verify(leaf: &Value, roots: &[&Value], intermediates: &[&Value], lists: &[&Value]) -> String {
    let array =
        |values: &[&Value]| Value::from(values.iter().map(|value| (*value).clone()).collect::<Vec<_>>());
    let result = method(leaf, "verify", &[array(roots), array(intermediates), array(lists)]).unwrap();
    let get = |key| result.as_array().unwrap().get_str(key);
    match get("result").unwrap().as_bool().unwrap() {
        true => "ok".to_owned(),
        false => text(&get("error").unwrap()),
    }
}

#[test]
fn a_chain_leads_to_a_trusted_certificate() {
    let (root, inter) = (certificate(file!("root.crt")), certificate(file!("inter.crt")));
    let (leaf, expired) = (certificate(file!("leaf.crt")), certificate(file!("expired.crt")));
    assert_eq!(verify(&leaf, &[&root], &[&inter], &[]), "ok");
    assert_eq!(verify(&leaf, &[&inter], &[], &[]), "ok");
    assert_eq!(verify(&leaf, &[&root], &[], &[]), "no certificate of the list issued it");
    assert_eq!(verify(&leaf, &[], &[&inter, &root], &[]), "no certificate of the list issued it");
    assert_eq!(verify(&expired, &[&root], &[&inter], &[]), "certificate has expired");
    let resource = method(&root, "toResource", &[]).unwrap();
    assert_eq!(verify(&leaf, &[&resource], &[&inter], &[]), "ok");
    let fault = method(&leaf, "verify", &[Value::from(vec![Value::from("x")])]).unwrap_err();
    assert!(fault.to_string().contains("X509"), "{fault}");
}

/// A certificate that has issued itself, valid for the years.
fn self_signed(years: (i32, i32)) -> Value {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    certificate(Value::from(params.self_signed(&key).unwrap().der().as_ref()))
}

#[test]
fn an_authority_in_the_list_passes_itself() {
    let (this, other) = (self_signed((2020, 2100)), self_signed((2020, 2100)));
    assert_eq!(verify(&this, &[&this], &[], &[]), "ok");
    assert_eq!(verify(&this, &[&other, &this], &[&other], &[]), "ok");
    let of_an_authority =
        "it is the certificate of an authority: such a one passes only when it is in the list itself";
    assert_eq!(verify(&this, &[&other], &[], &[]), of_an_authority);
    assert_eq!(
        verify(&certificate(file!("inter.crt")), &[&certificate(file!("root.crt"))], &[], &[]),
        of_an_authority
    );
    let (old, early) = (self_signed((2000, 2001)), self_signed((2090, 2100)));
    assert_eq!(verify(&old, &[&old], &[], &[]), "certificate has expired");
    assert_eq!(verify(&early, &[&early], &[], &[]), "certificate is not yet valid");
    let (leaf, list) =
        (certificate(file!("leaf.crt")), static_call(&x509::crl::CLASS, &[file!("inter.crl")]));
    assert_eq!(verify(&leaf, &[&leaf], &[], &[]), "ok");
    assert_eq!(verify(&leaf, &[&leaf], &[], &[&list]), "certificate revoked");
}

#[test]
fn a_revoked_certificate_is_refused() {
    let (root, inter) = (certificate(file!("root.crt")), certificate(file!("inter.crt")));
    let leaf = certificate(file!("leaf.crt"));
    let list = static_call(&x509::crl::CLASS, &[file!("inter.crl")]);
    assert_eq!(verify(&leaf, &[&root], &[&inter], &[&list]), "certificate revoked");
}

#[test]
fn a_revocation_list_tells_what_it_holds() {
    let list = static_call(&x509::crl::CLASS, &[file!("inter.crl")]);
    assert_eq!(
        show(&list, "revoked").split(",\"time\"").next().unwrap(),
        "[0=>[\"serial_number\"=>\"0A60\",\"reason\"=>\"keyCompromise\""
    );
    assert_eq!(show(&list, "version"), "2");
    assert_eq!(show(&list, "last_update"), "1577836800");
    assert_eq!(show(&list, "next_update"), "4733510400");
    assert!(show(&list, "issuer").contains("Test Intermediate"));
    assert!(show(&list, "extensions").contains("2.5.29.20"));
    let exported = method(&list, "export", &[options(&[("pem", true.into())])]).unwrap();
    assert_eq!(text(&exported), text(&file!("inter.crl")));
    let resource = method(&list, "toResource", &[]).unwrap();
    let again = testing::plain(x509::crl::CLASS.constructor.as_ref().unwrap(), &[resource]).unwrap();
    assert_eq!(show(&again, "version"), "2");
}

#[test]
fn several_certificates_are_read_from_one_text() {
    let bundle =
        [text(&file!("leaf.crt")), text(&file!("inter.crt")), text(&file!("leaf.key"))].join("junk\n");
    let multiple = options(&[("multiple", true.into())]);
    let list = static_call(&x509::CLASS, &[bundle.clone().into(), multiple]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(show(&certificate(bundle.clone().into()), "serial_number"), "0A60");
    for broken in ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "\x30\x03abc"]
    {
        assert!(certificate(broken.into()).is_none(), "{broken}");
    }
}

#[test]
fn a_certificate_file_is_imported_as_objects_or_resources() {
    let bundle = [text(&file!("leaf.crt")), text(&file!("inter.crt"))].concat();
    let kind = |with: &Value| {
        let list = Value::from_frozen(&load_crt(bundle.as_bytes(), with.as_array().unwrap()).unwrap());
        let first = list.as_array().unwrap().get_index(0).unwrap();
        first.as_resource().map_or(first.type_name().to_owned(), |resource| resource.kind().to_owned())
    };
    assert_eq!(kind(&options(&[])), "object");
    assert_eq!(kind(&options(&[("resource", true.into())])), "X509Resource");
    assert!(load_crt(b"nothing", &Array::new()).is_err());
}

#[test]
fn a_resource_becomes_an_object() {
    let construct = |value: Value| testing::plain(x509::CLASS.constructor.as_ref().unwrap(), &[value]);
    let resource = method(&certificate(file!("leaf.crt")), "toResource", &[]).unwrap();
    assert_eq!(show(&construct(resource).unwrap(), "serial_number"), "0A60");
    assert!(construct("text".into()).unwrap_err().to_string().contains("must be an X509Resource"));
    let fault = method(&certificate(file!("leaf.crt")), "toFFIValue", &[]).unwrap_err();
    assert!(fault.to_string().contains("no foreign function interface"));
}
