//! Opaque handles of the host.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// A handle that scripts can only pass on: a private key, a certificate, a file.
#[derive(Clone)]
pub struct Resource(Rc<ResourceBuf>);

struct ResourceBuf {
    kind: &'static str,
    data: Arc<dyn Any + Send + Sync>,
}

impl Resource {
    /// A handle. `kind` is the name in messages, such as `X509Resource`.
    pub fn new(kind: &'static str, data: Arc<dyn Any + Send + Sync>) -> Resource {
        Resource(Rc::new(ResourceBuf { kind, data }))
    }

    /// The kind, for messages.
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// What is behind the handle.
    pub fn data(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.0.data
    }

    /// What is behind the handle, if it has this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.data.downcast_ref()
    }

    /// Whether both are the same handle.
    pub fn same(&self, other: &Resource) -> bool {
        Arc::ptr_eq(&self.0.data, &other.0.data)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({})", self.0.kind)
    }
}
