//! Numbered storage that grows a chunk at a time, so that a large table never pauses to copy itself.

/// No entry.
pub const NIL: u32 = u32::MAX;

/// Bytes allocated at once: a size that allocators have no larger block for.
const CHUNK_BYTES: usize = 128 << 10;

/// Values under small numbers; numbers of removed values are used again.
#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Vec<Cell<T>>>,
    free: u32,
    len: usize,
}

#[derive(Debug)]
enum Cell<T> {
    Vacant(u32),
    Taken(T),
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab::new()
    }
}

impl<T> Slab<T> {
    /// Values in a chunk.
    const CHUNK: usize =
        if size_of::<Cell<T>>() < CHUNK_BYTES { CHUNK_BYTES / size_of::<Cell<T>>() } else { 1 };

    /// An empty one.
    pub fn new() -> Self {
        Slab { chunks: Vec::new(), free: NIL, len: 0 }
    }

    /// Values present.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One above the highest number ever given out.
    pub fn end(&self) -> u32 {
        match self.chunks.last() {
            Some(last) => ((self.chunks.len() - 1) * Self::CHUNK + last.len()) as u32,
            None => 0,
        }
    }

    /// Keeps a value; gives its number.
    ///
    /// # Panics
    /// With 4 billion values.
    pub fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free != NIL {
            let id = self.free;
            let cell = self.cell_mut(id).expect("the free list names cells that exist");
            let Cell::Vacant(next) = std::mem::replace(cell, Cell::Taken(value)) else {
                unreachable!("the free list names vacant cells");
            };
            self.free = next;
            return id;
        }
        let id = self.end();
        assert!(id < NIL, "a slab numbers its values with 32 bits");
        if self.chunks.last().is_none_or(|chunk| chunk.len() == Self::CHUNK) {
            self.chunks.push(Vec::with_capacity(Self::CHUNK));
        }
        self.chunks.last_mut().expect("a chunk was pushed").push(Cell::Taken(value));
        id
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: u32) -> Option<T> {
        let free = self.free;
        let cell = self.cell_mut(id)?;
        if matches!(cell, Cell::Vacant(_)) {
            return None;
        }
        let Cell::Taken(value) = std::mem::replace(cell, Cell::Vacant(free)) else { unreachable!() };
        self.free = id;
        self.len -= 1;
        Some(value)
    }

    /// Drops a chunk of values, as if there were no slab any more: numbers mean nothing afterwards. False: none is left.
    pub fn drop_some(&mut self) -> bool {
        self.free = NIL;
        self.chunks.pop().is_some()
    }

    /// The value of a number.
    pub fn get(&self, id: u32) -> Option<&T> {
        match self.chunks.get(id as usize / Self::CHUNK)?.get(id as usize % Self::CHUNK)? {
            Cell::Taken(value) => Some(value),
            Cell::Vacant(_) => None,
        }
    }

    /// The value of a number, to be changed.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        match self.cell_mut(id)? {
            Cell::Taken(value) => Some(value),
            Cell::Vacant(_) => None,
        }
    }

    fn cell_mut(&mut self, id: u32) -> Option<&mut Cell<T>> {
        self.chunks.get_mut(id as usize / Self::CHUNK)?.get_mut(id as usize % Self::CHUNK)
    }
}

/// For numbers the caller knows to be present.
impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, id: u32) -> &T {
        self.get(id).expect("the number names a present value")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id).expect("the number names a present value")
    }
}
