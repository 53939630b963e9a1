//! SMTP from outside: transcripts, client against server, and the corpora of the fuzz targets.

#[path = "../../fuzz/checks.rs"]
mod checks;
mod server_transcripts;
