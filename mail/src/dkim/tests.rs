use super::*;

#[test]
fn algorithms_have_their_names() {
    for algorithm in [Algorithm::RsaSha1, Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
        assert_eq!(Algorithm::from_name(algorithm.name().as_bytes()), Some(algorithm));
    }
    assert_eq!(Algorithm::from_name(b"RSA-SHA256"), None);
}
