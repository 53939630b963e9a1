//! The documented modules that are not built in, each with what to do.

/// Written in HSL where it is published: it works when it is installed.
const INSTALL: &str = "it is written in HSL: put it into /opt/halon/plugins/hsl";
const CLIENT: &str = "a native plugin; this version has no client for that service";
const SCANNER: &str = "a native plugin; this version has no client for that scanner";
const CODEC: &str = "a native plugin; this version does not know that format";

/// Names below `extras://`, in their order.
pub(crate) const ABSENT_MODULES: &[(&str, &str)] = &[
    ("avro", CODEC),
    ("cassandra", CLIENT),
    ("cloudmark", SCANNER),
    ("cyren", SCANNER),
    ("dlp", "it asks dlpd, which is not part of this version"),
    ("eleven", SCANNER),
    ("f-secure", SCANNER),
    ("jlog", CODEC),
    ("kaspersky", SCANNER),
    ("language-detection", "a native plugin that is not here"),
    ("msal", INSTALL),
    ("msui-client", INSTALL),
    ("pdf", CODEC),
    ("pgp", CODEC),
    ("pgp-mime", "it needs the module pgp, which is not here"),
    ("policyd", CLIENT),
    ("pubsub", CLIENT),
    ("s-mime", "it needs S/MIME (CMS, PKCS#7), which is not here"),
    ("smime", "it needs S/MIME (CMS, PKCS#7), which is not here"),
    ("telemetry", "a native plugin that is not here"),
    ("vade", SCANNER),
];

/// Why a module is not built in.
pub(crate) fn why_absent(path: &str) -> Option<&'static str> {
    let at = ABSENT_MODULES.binary_search_by_key(&path, |(name, _)| name).ok()?;
    Some(ABSENT_MODULES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_module_is_both_there_and_absent() {
        assert!(ABSENT_MODULES.is_sorted_by_key(|(name, _)| name));
        let library = crate::library();
        for (name, _) in ABSENT_MODULES {
            assert!(library.modules().all(|path| path != format!("extras://{name}")), "{name}");
        }
        assert!(why_absent("cassandra").is_some() && why_absent("rate").is_none());
    }
}
