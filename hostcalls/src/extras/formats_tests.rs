//! argon2, des and zip, against what others have computed.

use std::io::{Cursor, Read};

use crate::Settings;
use crate::on_engine::{on_a_shard, result};

#[test]
fn passwords_are_held_against_hashes_of_libargon2() {
    on_a_shard(Settings::default(), |environment| async move {
        // From the test script of the published module.
        let salt = "$v=19$m=16,t=2,p=1$Z0E4ODUyckw1SmFWQ2hqbA$";
        for (variant, hash) in [
            ("argon2d", "i4VZhbsITfwLIRPfkUqaFQ"),
            ("argon2i", "rr6IyJTTuhY9J3z/gaWzEA"),
            ("argon2id", "09T6+Fs9lxnpFqqhlA5lVg"),
        ] {
            let verify = async |function: &str, encoded: &str, password: &str| {
                let call = format!("{function}_verify(''{encoded}'', \"{password}\")");
                let import = format!("import {{ {function}_verify }} from \"extras://argon2\";");
                result(&environment, &format!("{import} return json_encode({call});")).await
            };
            let encoded = format!("${variant}{salt}{hash}");
            assert_eq!(verify(variant, &encoded, "hello").await, "true", "{encoded}");
            assert_eq!(verify(variant, &encoded, "world").await, "false", "{encoded}");
            let other = if variant == "argon2d" { "argon2i" } else { "argon2d" };
            assert_eq!(verify(other, &encoded, "hello").await, "false", "{other}: {encoded}");
            assert_eq!(verify(variant, "no hash", "hello").await, "false");
        }
        let greedy = r#"import { argon2d_verify } from "extras://argon2";
            try { argon2d_verify(''$argon2d$v=19$m=4000000000,t=1,p=1$Z0E4ODUyckw1SmFWQ2hqbA$i4VZhbsITfwLIRPfkUqaFQ'', "x"); }
            catch ($e) { return $e->toString(); }"#;
        assert!(result(&environment, greedy).await.contains("the hash asks for 4000000000 KiB"));
    });
}

/// `openssl enc -MODE -K … -iv 0102030405060708`; the keys are 8 and 24 bytes.
#[test]
fn des_agrees_with_openssl_in_all_modes() {
    on_a_shard(Settings::default(), |environment| async move {
        for (mode, expected) in [
            ("ecb", "6e80acabc92bc1530604226628287928"),
            ("cfb", "b31f6b70b11dc68d38da44"),
            ("ofb", "b31f6b70b11dc68d9a9be7"),
            ("ede3-cbc", "87acb525c1df8259b4fcad2528b28c1a"),
            ("ede3", "6cf9cf2e7935dfeba382c3e61c584113"),
            ("ede3-cfb", "c164fb43994385634363fc"),
            ("ede3-ofb", "c164fb4399438563b5c9f1"),
        ] {
            let key = match mode.starts_with("ede3") {
                true => "0123456789abcdef23456789abcdef01456789abcdef0123",
                false => "6d79206b65790000",
            };
            let script = format!(
                r#"import {{ des_encrypt, des_decrypt }} from "extras://des";
                $key = pack("H*", "{key}"); $iv = ["iv" => pack("H*", "0102030405060708")];
                $secret = des_encrypt("hello world", $key, "{mode}", $iv);
                return unpack("H*", $secret)[0] . " " . des_decrypt($secret, $key, "{mode}", $iv);"#
            );
            assert_eq!(result(&environment, &script).await, format!("{expected} hello world"), "{mode}");
        }
        let unfit = r#"import { des_encrypt, des_decrypt } from "extras://des";
            return json_encode([des_encrypt("x", "short", "cbc", ["iv" => "12345678"]), des_encrypt("x", "12345678", "cbc"),
                des_encrypt("x", "12345678", "ecb", ["padding" => false]), des_decrypt("12345678", "12345678", "ecb"),
                des_decrypt("1234567", "12345678", "ecb")]);"#;
        assert_eq!(result(&environment, unfit).await, "[null,null,null,null,null]");
    });
}

#[test]
fn archives_are_read_by_others_with_and_without_a_password() {
    on_a_shard(Settings::default(), |environment| async move {
        for (options, password) in [("", None), (r#"["password" => "12345678"]"#, Some("12345678"))] {
            let script = format!(
                r#"import {{ ZIP }} from "extras://zip";
                return base64_encode(ZIP()->addFile("foo/a.txt", "hello")->addFile("b.txt", str_repeat("world", 1000))
                    ->toString({options}));"#
            );
            let archive =
                data_encoding::BASE64.decode(result(&environment, &script).await.as_bytes()).unwrap();
            assert!(archive.len() < 1000, "{} bytes", archive.len());
            let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
            assert_eq!(archive.by_index(0).is_err(), password.is_some());
            for (name, expected) in [("foo/a.txt", "hello".to_owned()), ("b.txt", "world".repeat(1000))] {
                let mut text = String::new();
                match password {
                    None => archive.by_name(name).unwrap().read_to_string(&mut text).unwrap(),
                    Some(password) => {
                        let mut file = archive.by_name_decrypt(name, password.as_bytes()).unwrap();
                        file.read_to_string(&mut text).unwrap()
                    }
                };
                assert_eq!(text, expected);
            }
        }
    });
}
