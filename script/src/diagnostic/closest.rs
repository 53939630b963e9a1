//! What a misspelt word was probably meant to be.

/// The candidate that a few typing errors turn into `word`, if there is one.
pub fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    let scored = candidates.map(|candidate| (distance(word, candidate), candidate));
    scored
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, best)| best)
}

/// How many characters have to be inserted, deleted, replaced or swapped with their neighbour; upper and lower case are
/// the same.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| -> Vec<char> { text.chars().take(64).flat_map(char::to_lowercase).collect() };
    let (a, b) = (letters(a), letters(b));
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_typing_error_is_recognised() {
        let words = ["timeout", "servers", "type", "extended_result"];
        let find = |word| closest(word, words.iter().copied());
        assert_eq!(find("timeotu"), Some("timeout"));
        assert_eq!(find("Server"), Some("servers"));
        assert_eq!(find("extended_results"), Some("extended_result"));
        assert_eq!(find("tpye"), Some("type"));
        assert_eq!(find("x"), None);
        assert_eq!(find("something"), None);
    }
}
