//! SMTP from outside: transcripts, client against server, and the corpora of the fuzz targets.

#[path = "../../fuzz/checks.rs"]
mod checks;
mod client_transcripts;
mod corpus;
mod pair;
mod random;
mod server_transcripts;
mod text;
