//! Standard input: a configuration, a script, or one after the other.

use std::io::{self, Read};

use crate::limits::MAX_INPUT_BYTES;

/// End of transmission: ends the configuration where a script follows.
const EOT: u8 = 0x04;

/// A stream that is read in two parts.
#[derive(Debug)]
pub struct Input<R> {
    stream: R,
    /// What was read past the configuration.
    ahead: Vec<u8>,
}

impl<R: Read> Input<R> {
    /// Nothing is read yet.
    pub fn new(stream: R) -> Input<R> {
        Input { stream, ahead: Vec::new() }
    }

    /// Up to EOT, which is dropped, or to the end. Does not wait for what follows EOT.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub fn configuration(&mut self) -> io::Result<Vec<u8>> {
        let mut text = std::mem::take(&mut self.ahead);
        let mut searched = 0;
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(at) = text[searched..].iter().position(|byte| *byte == EOT) {
                self.ahead = text.split_off(searched + at + 1);
                text.pop();
                return Ok(text);
            }
            searched = text.len();
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(text),
                Ok(length) => text.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            bounded(&text)?;
        }
    }

    /// All that is left.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub fn rest(mut self) -> io::Result<Vec<u8>> {
        let mut text = self.ahead;
        self.stream.by_ref().take(MAX_INPUT_BYTES as u64 + 1).read_to_end(&mut text)?;
        bounded(&text)?;
        Ok(text)
    }
}

fn bounded(text: &[u8]) -> io::Result<()> {
    if text.len() > MAX_INPUT_BYTES {
        return Err(io::Error::other(format!("is longer than {MAX_INPUT_BYTES} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one by one, and fails the test when it is read past them.
    struct Pieces(Vec<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "read further than needed");
            let piece = self.0.remove(0);
            out[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_script_follows_the_configuration_after_eot() {
        let mut input = Input::new(Pieces(vec![b"version", b": x\n\x04echo 1", b";", b""]));
        assert_eq!(input.configuration().unwrap(), b"version: x\n");
        assert_eq!(input.rest().unwrap(), b"echo 1;");
    }

    #[test]
    fn what_follows_eot_is_not_waited_for() {
        let mut input = Input::new(Pieces(vec![b"a\x04"]));
        assert_eq!(input.configuration().unwrap(), b"a");
    }

    #[test]
    fn without_eot_all_is_configuration() {
        let mut input = Input::new(Pieces(vec![b"a", b"b", b"", b""]));
        assert_eq!(input.configuration().unwrap(), b"ab");
        assert_eq!(input.rest().unwrap(), b"");
    }
}
