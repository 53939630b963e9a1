use proptest::prelude::*;

use super::super::testing::{call, text};
use crate::value::{Array, Value};

/// Options in JSON.
fn options(json: &str) -> Value {
    super::super::json::decode(json.as_bytes(), false).unwrap()
}

fn decoded(csv: &str, json: &str) -> String {
    let value = call("csv_decode", [csv.into(), options(json)]).unwrap();
    if value.is_none() { "none".into() } else { text(Ok(value)) }
}

#[test]
fn rows_are_read() {
    let cases = [
        ("a,b\r\n1,2\r\n3,4\r\n", "{}", r#"[0=>["a"=>"1","b"=>"2"],1=>["a"=>"3","b"=>"4"]]"#),
        ("a;b\n1;2", r#"{"delimiter":";"}"#, r#"[0=>["a"=>"1","b"=>"2"]]"#),
        ("1,2\n3", r#"{"header":false}"#, r#"[0=>[0=>"1",1=>"2"],1=>[0=>"3"]]"#),
        ("a,b\n\"x\ny\",\"say \"\"hi\"\"\"", "{}", "[0=>[\"a\"=>\"x\ny\",\"b\"=>\"say \"hi\"\"]]"),
        ("a,b\n1\n1,2,3", "{}", r#"[0=>["a"=>"1"],1=>["a"=>"1","b"=>"2",2=>"3"]]"#),
        ("a\n\n1\n\n", "{}", r#"[0=>["a"=>"1"]]"#),
        ("\u{feff}a\n1", "{}", r#"[0=>["a"=>"1"]]"#),
        ("a", "{}", "[]"),
        ("", "{}", "[]"),
        ("", r#"{"header":false}"#, "[]"),
        ("a,a\n1,2", "{}", r#"[0=>["a"=>"2"]]"#),
    ];
    for (csv, json, expected) in cases {
        let found = decoded(csv, json).replace("\\n", "\n").replace("\\\"", "\"");
        assert_eq!(found, expected, "{csv}");
    }
}

#[test]
fn a_schema_gives_cells_their_type() {
    let cases = [
        ("n\n-7.5", r#"{"schema":{"n":{"type":"number"}}}"#, r#"[0=>["n"=>-7.5]]"#),
        ("n\n7x", r#"{"schema":{"n":{"type":"number"}}}"#, "none"),
        ("n\ninf", r#"{"schema":{"n":{"type":"number"}}}"#, "none"),
        ("n,m\n,", r#"{"schema":{"n":{"type":"number"}}}"#, "none"),
        ("n,m\n,", r#"{"schema":{"n":{"type":"number","nullable":true}}}"#, r#"[0=>["n"=>none,"m"=>""]]"#),
        ("n\n-", r#"{"schema":{"n":{"type":"number","nullable":["-","?"]}}}"#, r#"[0=>["n"=>none]]"#),
        (
            "b,c\ntrue,false",
            r#"{"schema":{"b":{"type":"boolean"},"c":{"type":"boolean"}}}"#,
            r#"[0=>["b"=>true,"c"=>false]]"#,
        ),
        (
            "b\nyes",
            r#"{"schema":{"b":{"type":"boolean","true":["yes"],"false":["no"]}}}"#,
            r#"[0=>["b"=>true]]"#,
        ),
        ("b\nTRUE", r#"{"schema":{"b":{"type":"boolean"}}}"#, "none"),
        ("s\n1", r#"{"schema":{"s":{"type":"string"},"other":{}}}"#, r#"[0=>["s"=>"1"]]"#),
        ("1,2", r#"{"header":false,"schema":{"1":{"type":"number"}}}"#, r#"[0=>[0=>"1",1=>2]]"#),
    ];
    for (csv, json, expected) in cases {
        assert_eq!(decoded(csv, json), expected, "{csv} {json}");
    }
}

#[test]
fn options_that_make_no_sense_are_errors() {
    for json in [
        r#"{"delimiter":""}"#,
        r#"{"delimiter":"ab"}"#,
        r#"{"delimiter":"\""}"#,
        r#"{"header":1}"#,
        r#"{"schema":1}"#,
        r#"{"schema":{"a":1}}"#,
        r#"{"schema":{"a":{"type":"date"}}}"#,
        r#"{"schema":{"a":{"nullable":"x"}}}"#,
        r#"{"schema":{"a":{"type":"boolean","true":"yes"}}}"#,
    ] {
        assert!(call("csv_decode", ["a\n1".into(), options(json)]).is_err(), "{json}");
    }
}

#[test]
fn fields_are_quoted_when_they_must() {
    assert_eq!(
        text(call("csv_encode", [options(r#"["a","b c","d\"e","f\ng","h,i",1.5,true,""]"#)])),
        "a,\"b c\",\"d\"\"e\",\"f\ng\",\"h,i\",1.5,true,"
    );
    assert_eq!(
        text(call("csv_encode", [options(r#"["a,b","c;d"]"#), options(r#"{"delimiter":";"}"#)])),
        "a,b;\"c;d\""
    );
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(fields in proptest::collection::vec("[a-c\", \r\n;é]{0,6}", 2..6)) {
        let list = Array::from_list(fields.iter().map(|field| Value::from(field.as_str())).collect());
        let line = call("csv_encode", [list.clone().into()]).unwrap();
        let rows = call("csv_decode", [line, options(r#"{"header":false}"#)]).unwrap();
        let row = rows.as_array().and_then(|rows| rows.get_index(0)).unwrap();
        prop_assert_eq!(row.to_text().unwrap(), Value::from(list).to_text().unwrap());
    }

    #[test]
    fn any_bytes_end(data in proptest::collection::vec(any::<u8>(), 0..100)) {
        call("csv_decode", [data.into()]).unwrap();
    }
}
