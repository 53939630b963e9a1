//! A list of buffers as the kernel wants it.

use crate::limits;
use crate::op::SendList;

/// Where a list send stands, and the gather list that the kernel reads.
#[derive(Default)]
pub(crate) struct Gather {
    /// The first buffer that was not sent to its end, and how much of it was.
    index: usize,
    offset: usize,
    vectors: Vec<libc::iovec>,
    header: Option<libc::msghdr>,
}

impl SendList {
    /// The message for what is left of the list; none when nothing is. It points into the list and must not outlive
    /// or move from it: both lie in the operation's box.
    pub(crate) fn next_message(&mut self) -> Option<&mut libc::msghdr> {
        let gather = &mut self.gather;
        gather.vectors.clear();
        let mut skip = gather.offset;
        for data in self.list[gather.index..].iter() {
            if gather.vectors.len() == limits::GATHER_BUFFERS {
                break;
            }
            if data.len() > skip {
                let rest = &data[skip..];
                let base = rest.as_ptr().cast_mut().cast();
                gather.vectors.push(libc::iovec { iov_base: base, iov_len: rest.len() });
            }
            skip = 0;
        }
        if gather.vectors.is_empty() {
            return None;
        }
        // SAFETY: all zeros is a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = gather.vectors.as_mut_ptr();
        header.msg_iovlen = gather.vectors.len() as _;
        Some(gather.header.insert(header))
    }

    /// `sent` bytes have gone. True when nothing is left.
    pub(crate) fn advance(&mut self, mut sent: usize) -> bool {
        let gather = &mut self.gather;
        while let Some(data) = self.list.get(gather.index) {
            let left = data.len() - gather.offset;
            if sent < left {
                gather.offset += sent;
                return false;
            }
            sent -= left;
            gather.index += 1;
            gather.offset = 0;
        }
        true
    }
}
