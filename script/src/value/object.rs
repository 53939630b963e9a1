//! Objects: instances of script classes and of the host's classes.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};

use super::{Frozen, OrderedMap, Str, Value};
use crate::native::{HostObject, NativeClass};

/// An object; copies are the same object.
#[derive(Clone)]
pub struct Object(Rc<ObjectBuf>);

/// An object that is not kept alive.
#[derive(Clone, Debug)]
pub struct WeakObject(Weak<ObjectBuf>);

/// The kinds of objects.
pub enum ObjectBuf {
    /// An instance of a script's class.
    Instance(Instance),
    /// An object of the standard library or of the embedder.
    Host(Box<dyn HostObject>),
}

/// An instance of a script's class: the machine knows what the class number means.
pub struct Instance {
    /// The name of the class, for messages.
    pub class_name: Str,
    /// The loaded program that the class belongs to.
    pub home: Rc<dyn Any>,
    /// The number of the class in the program.
    pub class: u32,
    /// The properties.
    pub fields: RefCell<OrderedMap<Str, Value>>,
}

impl Object {
    /// An instance of a script's class.
    pub fn instance(instance: Instance) -> Object {
        Object(Rc::new(ObjectBuf::Instance(instance)))
    }

    /// An object of the host.
    pub fn host(object: impl HostObject) -> Object {
        Object(Rc::new(ObjectBuf::Host(Box::new(object))))
    }

    /// What kind it is.
    #[inline]
    pub fn kind(&self) -> &ObjectBuf {
        &self.0
    }

    /// The instance, if a script's class made it.
    #[inline]
    pub fn as_instance(&self) -> Option<&Instance> {
        match &*self.0 {
            ObjectBuf::Instance(instance) => Some(instance),
            ObjectBuf::Host(_) => None,
        }
    }

    /// The host's object.
    #[inline]
    pub fn as_host(&self) -> Option<&dyn HostObject> {
        match &*self.0 {
            ObjectBuf::Host(object) => Some(&**object),
            ObjectBuf::Instance(_) => None,
        }
    }

    /// The host's object if it has this type.
    pub fn downcast<T: HostObject>(&self) -> Option<&T> {
        self.as_host().and_then(|object| (object as &dyn Any).downcast_ref())
    }

    /// The class of a host's object.
    pub fn native_class(&self) -> Option<&'static NativeClass> {
        self.as_host().map(HostObject::class)
    }

    /// The name of the class, for messages.
    pub fn class_name(&self) -> String {
        match &*self.0 {
            ObjectBuf::Instance(instance) => instance.class_name.to_string_lossy().into_owned(),
            ObjectBuf::Host(object) => object.class().name.to_owned(),
        }
    }

    /// Whether both are the same object.
    pub fn same(&self, other: &Object) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// An address that identifies the object while it lives.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).cast::<()>().addr()
    }

    /// For the list of what may be part of a cycle.
    pub fn downgrade(&self) -> WeakObject {
        WeakObject(Rc::downgrade(&self.0))
    }

    /// Calls `visit` with each value that the object keeps alive.
    pub fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        match &*self.0 {
            ObjectBuf::Instance(instance) => {
                instance.fields.borrow().iter().for_each(|(_, value)| visit(value))
            }
            ObjectBuf::Host(object) => object.for_each_value(visit),
        }
    }

    /// A form that other threads may hold, where the class has one.
    pub fn freeze(&self) -> Option<Frozen> {
        Value::Object(self.clone()).freeze().ok()
    }

    /// Moves what only this object holds into `out`.
    pub(super) fn take_values(&mut self, out: &mut Vec<Value>) {
        // `get_mut` would refuse because of the weak ones, which instances have.
        if let (ObjectBuf::Instance(instance), 1) = (&*self.0, Rc::strong_count(&self.0)) {
            out.extend(instance.fields.take().into_values());
        } else if let Some(ObjectBuf::Host(object)) = Rc::get_mut(&mut self.0) {
            object.take_values(out);
        }
    }
}

impl WeakObject {
    /// The object if it still lives.
    pub fn upgrade(&self) -> Option<Object> {
        self.0.upgrade().map(Object)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let fields = std::mem::take(self.fields.get_mut());
        super::drop::nested(fields, |fields, pending| pending.extend(fields.into_values()));
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.class_name())
    }
}
