//! What a session has to say, until the driver sends it.

use bytes::Bytes;

/// A queue of bytes that allocates nothing while it holds a single constant, which is what an exchange without
/// pipelining needs most of the time.
#[derive(Debug, Default)]
pub(crate) enum Output {
    #[default]
    Empty,
    Constant(&'static [u8]),
    Buffer(Vec<u8>),
}

/// Room for the replies to one pipelined envelope, so that the buffer seldom grows.
const BUFFER_BYTES: usize = 256;

impl Output {
    /// Appends a constant.
    pub(crate) fn push_constant(&mut self, bytes: &'static [u8]) {
        match self {
            Output::Empty => *self = Output::Constant(bytes),
            _ => self.buffer().extend_from_slice(bytes),
        }
    }

    /// Appends a reply line that carries an enhanced code, leaving the code out unless `with_enhanced`.
    pub(crate) fn push_line(&mut self, line: &'static str, with_enhanced: bool) {
        let line = line.as_bytes();
        if with_enhanced {
            return self.push_constant(line);
        }
        let text = line[4..].iter().position(|&byte| byte == b' ').map_or(4, |blank| 4 + blank + 1);
        let buffer = self.buffer();
        buffer.extend_from_slice(&line[..4]);
        buffer.extend_from_slice(&line[text..]);
    }

    /// The buffer, to append to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if !matches!(self, Output::Buffer(_)) {
            let mut buffer = Vec::with_capacity(BUFFER_BYTES);
            if let Output::Constant(bytes) = self {
                buffer.extend_from_slice(bytes);
            }
            *self = Output::Buffer(buffer);
        }
        match self {
            Output::Buffer(buffer) => buffer,
            _ => unreachable!("made a buffer above"),
        }
    }

    /// Everything so far; leaves the queue empty and without heap.
    pub(crate) fn take(&mut self) -> Bytes {
        match std::mem::take(self) {
            Output::Empty => Bytes::new(),
            Output::Constant(bytes) => Bytes::from_static(bytes),
            Output::Buffer(buffer) => Bytes::from(buffer),
        }
    }

    /// Drops everything so far.
    pub(crate) fn clear(&mut self) {
        *self = Output::Empty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_what_was_pushed_in_order() {
        let mut output = Output::default();
        output.push_line("250 2.1.0 Ok\r\n", true);
        assert!(matches!(output, Output::Constant(_)), "one constant needs no buffer");
        output.push_line("250 2.1.5 Ok\r\n", false);
        output.buffer().extend_from_slice(b"x");
        output.push_constant(b"y");
        assert_eq!(&output.take()[..], b"250 2.1.0 Ok\r\n250 Ok\r\nxy");
        assert!(output.take().is_empty());
    }
}
