//! SMTP from outside: transcripts, client against server, and the corpora of the fuzz targets.

#[path = "../../fuzz/body_checks.rs"]
mod body_checks;
#[path = "../../fuzz/checks.rs"]
mod checks;
mod client_transcripts;
mod corpus;
mod pair;
#[path = "../../fuzz/peer_checks.rs"]
mod peer_checks;
mod random;
mod server_transcripts;
mod text;
