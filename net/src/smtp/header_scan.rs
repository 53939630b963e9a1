//! Watches the header section of a message go by.

/// Counts Received fields and measures the header section of a message that passes in slices. Costs nothing once
/// the body has begun, and holds no bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderScan {}

impl HeaderScan {
    /// Takes the next slice of the message.
    pub fn feed(&mut self, bytes: &[u8]) {
        todo!()
    }
    /// Received fields so far.
    pub fn received(&self) -> u32 {
        todo!()
    }
    /// Bytes of the header section so far, with the empty line.
    pub fn header_bytes(&self) -> u64 {
        todo!()
    }
}
