//! Keys that clients of HTTP give in `X-API-Key`.

/// Whether what a client gives is one of the `keys`, in a time that tells nothing of their contents.
pub(crate) fn is_one_of(keys: &[String], given: &[u8]) -> bool {
    keys.iter().fold(false, |found, key| found | is_equal(key.as_bytes(), given))
}

fn is_equal(own: &[u8], given: &[u8]) -> bool {
    own.len() == given.len() && own.iter().zip(given).fold(0, |all, (own, given)| all | (own ^ given)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_key_opens() {
        let keys = ["one".to_owned(), "three".to_owned()];
        for (given, opens) in
            [("one", true), ("three", true), ("on", false), ("onee", false), ("", false), ("One", false)]
        {
            assert_eq!(is_one_of(&keys, given.as_bytes()), opens, "{given}");
        }
        assert!(!is_one_of(&[], b""));
    }
}
