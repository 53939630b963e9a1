//! Every native that calls back, with a function that waits and exhausts the budget: within a function, a generator and a
//! constructor, it comes to the same as where nothing interrupts it.

use script::native::{Native, NativeRun};

use crate::on_engine::{on_a_shard, result};
use crate::{Settings, library};

/// Waits for the host, and works for more than the first slice.
const WAIT: &str = r#"
    function wait($value) {
        sleep(0.0005);
        for ($i = 0; $i < 1500; $i += 1) ;
        return $value;
    }
"#;

/// Natives, and an expression that has each call back. KEY is another name each time.
const CASES: &[(&str, &str, &str)] = &[
    ("array_every", "array_every(function ($v) { return wait($v) > 0; }, [1, 2])", "true"),
    ("array_filter", "array_filter(function ($v) { return wait($v) > 0; }, [1, 0, 2])", "[0=>1,2=>2]"),
    ("array_find", "array_find(function ($v) { return wait($v) == 2; }, [1, 2, 3])", "2"),
    ("array_includes", "array_includes(function ($v) { return wait($v) == 3; }, [1, 2])", "false"),
    ("array_map", "array_map(function ($v) { return wait($v * 2); }, [1, 2])", "[0=>2,1=>4]"),
    ("array_reduce", "array_reduce(function ($a, $v) { return wait($a + $v); }, [1, 2, 3])", "6"),
    (
        "array_sort",
        "array_sort(function ($a, $b) { return wait($a) < wait($b); }, [3, 1, 2])",
        "[1=>1,2=>2,0=>3]",
    ),
    (
        "pcre_replace",
        r#"pcre_replace("/b/", function ($m) { return wait("<" . $m[0] . ">"); }, "abcb")"#,
        "a<b>c<b>",
    ),
    (
        "pcre_replace",
        r#"md5(pcre_replace("/(a+)+b/", function ($m) { return $m[1] == "aa" ? wait("<>") : "<>"; }, str_repeat("ab.", 2500) . "aab." . str_repeat("ab.", 2500)))"#,
        "791c1e088fc5689449597ec3e1d0d0c9",
    ),
    (
        "yaml_decode",
        r#"yaml_decode("- !T x\n- y", ["tags" => ["!T" => function ($v) { return wait($v . "!"); }]])"#,
        r#"[0=>"x!",1=>"y"]"#,
    ),
    ("memory_fetch", r#"memory_fetch("KEY", function ($key) { return wait("made"); })"#, "made"),
    (
        "memory_store",
        r#"[memory_store("KEY", 1), memory_store("KEY", 2, function ($key, $old) { wait($old); }), memory_fetch("KEY")]"#,
        "[0=>false,1=>true,2=>2]",
    ),
    (
        "memory_update",
        r#"[memory_update("KEY", 5, function ($key, $old, $new) { return wait($old + $new); }, 1), memory_fetch("KEY")]"#,
        "[0=>false,1=>6]",
    ),
    (
        "memory_exists",
        r#"[memory_store("KEY", 1), memory_exists("KEY", function ($key, $value) { wait($value); })]"#,
        "[0=>false,1=>true]",
    ),
    (
        "memory_delete",
        r#"[memory_store("KEY", 1), memory_delete("KEY", function ($key, $value) { wait($value); }), memory_exists("KEY")]"#,
        "[0=>false,1=>true,2=>false]",
    ),
    (
        "__cache",
        r#"[cache ["namespace" => "KEY"] wait("a"), cache ["namespace" => "KEY", "force" => true,
            "ttl_function" => function ($result) { return wait(60); },
            "update_function" => function ($old, $new) { return wait($old . $new); }] wait("a")]"#,
        r#"[0=>"a",1=>"aa"]"#,
    ),
    (
        "verifyDKIM",
        r#"MailMessage::String("From: a@x.example\r\n\r\nx\r\n")->verifyDKIM("DKIM-Signature: v=1; a=rsa-sha256; d=x.example; "
            . "s=s; h=from; bh=" . base64_encode(sha2("x\r\n", 256, ["binary" => true])) . "; b=AAAA",
            ["dns_function" => function ($name) { return ["error" => wait("temperror")]; }])["result"]"#,
        "temperror",
    ),
];

/// Those that take functions and are interrupted elsewhere: the bodies of `http` in the tests of `http`.
const ELSEWHERE: &[&str] = &["http"];

#[test]
fn what_calls_back_may_be_interrupted_anywhere() {
    let places = [
        "return EXPRESSION;",
        "function run() { return EXPRESSION; } return run();",
        "function each() { yield EXPRESSION; } foreach (each() as $value) return $value;",
        "class Made { $value = none; constructor() { $this->value = EXPRESSION; } } $made = Made(); return $made->value;",
    ];
    on_a_shard(Settings::default(), move |environment| async move {
        for (name, expression, expected) in CASES {
            for (number, place) in places.iter().enumerate() {
                let key = format!("{name}-{number}");
                let source = [WAIT, place].concat().replace("EXPRESSION", expression).replace("KEY", &key);
                assert_eq!(result(&environment, &source).await, *expected, "{name}: {place}");
            }
        }
    });
}

#[test]
fn whatever_takes_a_function_is_among_them() {
    let library = library();
    let classes = library.classes();
    let members = classes.iter().flat_map(|class| class.methods.iter().chain(class.statics));
    let calls_back = |native: &&Native| {
        let frame = matches!(native.run, NativeRun::Frame(_) | NativeRun::Offloading { .. });
        frame && (native.params.contains("function") || native.doc.contains("function("))
    };
    let named = |name: &str| CASES.iter().any(|(known, ..)| *known == name) || ELSEWHERE.contains(&name);
    for native in library.functions().into_iter().chain(members).filter(calls_back) {
        assert!(named(native.name), "{} calls back, and nothing interrupts it", native.name);
    }
}
