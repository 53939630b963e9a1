//! PEM (RFC 7468), read leniently: any line length, text between the blocks, headers of old OpenSSL.

use data_encoding::BASE64;

use super::KeyError;
use crate::limits::{MAX_KEY_BYTES, MAX_PEM_BLOCKS};

/// One block of a PEM text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemBlock<'a> {
    /// What stands after `BEGIN `, such as `CERTIFICATE`.
    pub label: &'a str,
    /// The decoded content.
    pub der: Vec<u8>,
    /// Whether the block's header lines say that the content is encrypted.
    pub encrypted: bool,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// The blocks of `text` in order, at most [`MAX_PEM_BLOCKS`]; text around them is ignored, a block that does not
/// end or does not decode is an error.
pub fn pem_blocks(text: &[u8]) -> Result<Vec<PemBlock<'_>>, KeyError> {
    let mut blocks = Vec::new();
    let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, BEGIN) else { continue };
        if blocks.len() == MAX_PEM_BLOCKS {
            return Err(KeyError::TooLarge);
        }
        blocks.push(block(label, &mut lines)?);
    }
    Ok(blocks)
}

fn block<'a>(
    label_text: &'a str,
    lines: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<PemBlock<'a>, KeyError> {
    let mut base64 = Vec::new();
    let mut encrypted = false;
    for line in lines {
        if let Some(end) = label(line, END) {
            if end != label_text {
                return Err(KeyError::Malformed);
            }
            let der = BASE64.decode(&base64).map_err(|_| KeyError::Malformed)?;
            return Ok(PemBlock { label: label_text, der, encrypted });
        }
        if line.contains(&b':') {
            encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
            continue;
        }
        base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }
    Err(KeyError::Malformed)
}

fn label<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(prefix)?.strip_suffix(DASHES)?;
    std::str::from_utf8(label).ok()
}

/// The first block that is a private key.
pub(super) fn private_key_block(text: &[u8]) -> Result<PemBlock<'_>, KeyError> {
    if text.len() > MAX_KEY_BYTES * 2 {
        return Err(KeyError::TooLarge);
    }
    let block = pem_blocks(text)?
        .into_iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or(KeyError::NoPem)?;
    if block.encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
        return Err(KeyError::Encrypted);
    }
    Ok(block)
}
