//! How much memory a script may still take before somebody counts.

/// What was charged since the last count, and how much may be.
#[derive(Debug)]
pub(super) struct Heap {
    charged: usize,
    allowance: usize,
    limit: usize,
}

impl Heap {
    pub(super) fn new(limit: usize) -> Heap {
        Heap { charged: 0, allowance: limit, limit }
    }

    /// Notes an allocation.
    #[inline]
    pub(super) fn charge(&mut self, bytes: usize) {
        self.charged = self.charged.saturating_add(bytes);
    }

    /// Whether it is time to count.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.charged > self.allowance
    }

    /// What a native may still allocate at once.
    pub(super) fn left(&self) -> usize {
        self.limit
    }

    /// The live bytes have been counted. Returns whether they are within the limit.
    pub(super) fn counted(&mut self, live: usize) -> bool {
        self.charged = 0;
        self.allowance = self.limit.saturating_sub(live).max(self.limit / 8);
        live <= self.limit
    }
}
