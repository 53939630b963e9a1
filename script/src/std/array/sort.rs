//! `array_sort`: a merge sort that waits for the script at each comparison.

use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, NativeFrame, Next, Step};
use crate::value::{Array, Key, Value};

/// Bottom-up merge sort of positions. Runs of `width` in `from` are merged in pairs into `into`.
struct Sort {
    lessthan: Value,
    entries: Vec<(Key, Value)>,
    by_key: bool,
    from: Vec<u32>,
    into: Vec<u32>,
    width: usize,
    /// The next of the left and the right run, in `from`.
    left: usize,
    right: usize,
    /// Where both runs end; the left one ends where the right one began.
    left_end: usize,
    right_end: usize,
}

pub(super) fn start(call: &mut Call<'_>) -> Result<Step, Fault> {
    let by_key = call.options(2)?.boolean("keys", false)?;
    let (lessthan, array) = (call.function(0)?, call.array(1)?);
    let count = array.len();
    if count < 2 {
        return Ok(Step::Return(array.clone().into()));
    }
    let mut sort = Sort {
        lessthan,
        entries: array.iter().collect(),
        by_key,
        from: (0..count as u32).collect(),
        into: Vec::with_capacity(count),
        width: 1,
        left: 0,
        right: 0,
        left_end: 0,
        right_end: 0,
    };
    Ok(sort.advance().first(sort))
}

impl Sort {
    /// Goes on to the next comparison.
    fn advance(&mut self) -> Next {
        loop {
            if self.left < self.left_end && self.right < self.right_end {
                // What is equal stays in order: the right item goes first only if it is less.
                let args = vec![self.operand(self.right), self.operand(self.left)];
                return Next::Call { function: self.lessthan.clone(), args };
            }
            self.into.extend_from_slice(&self.from[self.left..self.left_end]);
            self.into.extend_from_slice(&self.from[self.right..self.right_end]);
            if !self.next_pair() {
                return Next::Return(self.finish().into());
            }
        }
    }

    /// Sets up the next pair of runs; false when everything is one run.
    fn next_pair(&mut self) -> bool {
        let count = self.from.len();
        let mut start = self.right_end;
        if self.into.len() == count {
            std::mem::swap(&mut self.from, &mut self.into);
            self.into.clear();
            self.width *= 2;
            start = 0;
        }
        self.left = start;
        self.left_end = count.min(start + self.width);
        self.right = self.left_end;
        self.right_end = count.min(self.left_end + self.width);
        self.width < count
    }

    fn operand(&self, at: usize) -> Value {
        let (key, value) = &self.entries[self.from[at] as usize];
        if self.by_key { key.clone().into_value() } else { value.clone() }
    }

    fn finish(&mut self) -> Array {
        let order = std::mem::take(&mut self.from);
        order.iter().map(|at| self.entries[*at as usize].clone()).collect()
    }
}

impl NativeFrame for Sort {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        let next = if result.truthy() { &mut self.right } else { &mut self.left };
        self.into.push(self.from[*next]);
        *next += 1;
        Ok(self.advance())
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.lessthan);
        for (key, value) in &self.entries {
            if let Key::Other(key) = key {
                visit(key);
            }
            visit(value);
        }
    }

    fn size_bytes(&self) -> usize {
        size_of::<Sort>() + self.entries.len() * (size_of::<(Key, Value)>() + 8)
    }
}
