//! Byte strings with copy on write.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::hash::hash_bytes;
use super::ordered_map::MapKey;

/// A byte string. Copies share the bytes; appending to one that nobody shares works in place.
#[derive(Clone)]
pub struct Str(Rc<StrBuf>);

#[derive(Clone)]
struct StrBuf {
    data: Data,
    /// The hash of the bytes, 0 until somebody asks.
    hash: Cell<u64>,
}

#[derive(Clone)]
enum Data {
    Local(SmallVec<[u8; 24]>),
    Frozen(Arc<[u8]>),
}

impl Str {
    /// A string with a copy of the bytes.
    #[inline]
    pub fn new(bytes: &[u8]) -> Str {
        Str::from_data(Data::Local(SmallVec::from_slice(bytes)))
    }

    /// A string that takes over the bytes.
    pub fn from_vec(bytes: Vec<u8>) -> Str {
        Str::from_data(Data::Local(SmallVec::from_vec(bytes)))
    }

    /// A string around bytes that other threads may hold, without copying them.
    pub fn from_frozen(bytes: Arc<[u8]>) -> Str {
        Str::from_data(Data::Frozen(bytes))
    }

    pub(crate) fn from_frozen_hashed(bytes: Arc<[u8]>, hash: u64) -> Str {
        Str(Rc::new(StrBuf { data: Data::Frozen(bytes), hash: Cell::new(hash) }))
    }

    #[inline]
    fn from_data(data: Data) -> Str {
        Str(Rc::new(StrBuf { data, hash: Cell::new(0) }))
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0.data {
            Data::Local(bytes) => bytes,
            Data::Frozen(bytes) => bytes,
        }
    }

    /// The number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends, in place if nobody shares the string.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        match Rc::get_mut(&mut self.0) {
            Some(StrBuf { data: Data::Local(data), hash }) => {
                hash.set(0);
                data.extend_from_slice(bytes);
            }
            _ => {
                let mut data = SmallVec::with_capacity(self.len() + bytes.len());
                data.extend_from_slice(self.as_bytes());
                data.extend_from_slice(bytes);
                *self = Str::from_data(Data::Local(data));
            }
        }
    }

    /// Whether a change copies the bytes first.
    #[inline]
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1 || matches!(self.0.data, Data::Frozen(_))
    }

    /// The bytes with everything that is not UTF-8 replaced.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// The hash of the bytes, computed once.
    #[inline]
    pub fn hash_value(&self) -> u64 {
        let hash = self.0.hash.get();
        if hash != 0 {
            return hash;
        }
        let hash = hash_bytes(self.as_bytes());
        self.0.hash.set(hash);
        hash
    }

    /// The bytes in a form that other threads may hold.
    pub fn freeze(&self) -> Arc<[u8]> {
        match &self.0.data {
            Data::Local(bytes) => Arc::from(&bytes[..]),
            Data::Frozen(bytes) => bytes.clone(),
        }
    }

    /// Whether both share their bytes, which is quick to know and implies equality.
    #[inline]
    pub fn same(&self, other: &Str) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Bytes of memory that the string holds alone; what is frozen belongs to others.
    pub fn size_bytes(&self) -> usize {
        let heap = match &self.0.data {
            Data::Local(bytes) if bytes.spilled() => bytes.capacity(),
            _ => 0,
        };
        size_of::<StrBuf>() + 16 + heap
    }

    /// An address that identifies the bytes while they live.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }
}

impl Default for Str {
    fn default() -> Self {
        Str::new(b"")
    }
}

impl Deref for Str {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Str {
    #[inline]
    fn eq(&self, other: &Str) -> bool {
        if self.same(other) {
            return true;
        }
        let (a, b) = (self.as_bytes(), other.as_bytes());
        // Constants of a program share their bytes.
        a.len() == b.len() && (std::ptr::eq(a, b) || a == b)
    }
}

impl Eq for Str {}

impl MapKey for Str {
    #[inline]
    fn hash(&self) -> u64 {
        self.hash_value()
    }
    #[inline]
    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str::new(text.as_bytes())
    }
}
