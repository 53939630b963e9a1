//! `array_sort`: a merge sort that waits for the script at each comparison.

use super::many::Cursor;
use crate::fault::Fault;
use crate::host::Host;
use crate::limits::SLICE_ITEMS;
use crate::native::{Call, NativeFrame, Next, Step};
use crate::value::{Array, Key, Value};

/// What is being done.
enum Stage {
    /// The items are read.
    Read(Cursor),
    /// A comparison is awaited.
    Compare,
    /// The result is made.
    Write { done: usize, array: Array },
}

/// Bottom-up merge sort of positions. Runs of `width` in `from` are merged in pairs into `into`.
struct Sort {
    lessthan: Value,
    stage: Stage,
    array: Array,
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
        stage: Stage::Read(Cursor::new(array)),
        array: array.clone(),
        entries: Vec::with_capacity(count),
        by_key,
        from: (0..count as u32).collect(),
        into: Vec::with_capacity(count),
        width: 1,
        left: 0,
        right: 0,
        left_end: 0,
        right_end: 0,
    };
    Ok(sort.go_on().first(sort))
}

impl Sort {
    /// Works for a slice, or up to the next comparison.
    fn go_on(&mut self) -> Next {
        match &mut self.stage {
            Stage::Read(items) => {
                self.entries.extend(items.by_ref().take(SLICE_ITEMS));
                if self.entries.len() < self.array.len() {
                    return Next::Pause;
                }
                self.stage = Stage::Compare;
                self.advance()
            }
            Stage::Compare => self.advance(),
            Stage::Write { .. } => self.write(),
        }
    }

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
                return self.finish();
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

    fn finish(&mut self) -> Next {
        if self.from.iter().enumerate().all(|(position, at)| position == *at as usize) {
            return Next::Return(self.array.clone().into());
        }
        self.stage = Stage::Write { done: 0, array: Array::with_room(self.from.len()) };
        self.write()
    }

    /// Moves the items to where they go.
    fn write(&mut self) -> Next {
        let Stage::Write { done, array } = &mut self.stage else { unreachable!("everything is sorted") };
        let end = self.from.len().min(*done + SLICE_ITEMS);
        for at in &self.from[*done..end] {
            let (key, value) = std::mem::replace(&mut self.entries[*at as usize], (Key::Int(0), Value::None));
            array.set(key, value);
        }
        *done = end;
        if end < self.from.len() { Next::Pause } else { Next::Return(std::mem::take(array).into()) }
    }
}

impl NativeFrame for Sort {
    fn resume(&mut self, result: Value, _host: &mut dyn Host) -> Result<Next, Fault> {
        if let Stage::Compare = self.stage {
            let next = if result.truthy() { &mut self.right } else { &mut self.left };
            self.into.push(self.from[*next]);
            *next += 1;
        }
        Ok(self.go_on())
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&self.lessthan);
        visit(&Value::Array(self.array.clone()));
        if let Stage::Write { array, .. } = &self.stage {
            visit(&Value::Array(array.clone()));
        }
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
