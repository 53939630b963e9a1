//! What is called: function values, methods, constructors, closures.

use std::cell::RefCell;
use std::rc::Rc;

use crate::compile::op::Reg;
use crate::fault::Fault;
use crate::host::Host;
use crate::value::{CellRef, Function, FunctionBuf, Instance, Object, ScriptFunction, Str, Value};

use super::context::{Context, Outcome};
use super::frame::{Entry, Mode};
use super::generator;
use super::loaded::Loaded;
use super::object::private;

impl Context {
    /// Calls a function value. Register `base` is free, the arguments come after it.
    pub(super) fn invoke(
        &mut self,
        loaded: &Rc<Loaded>,
        function: &Value,
        base: usize,
        count: usize,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        let Value::Function(function) = function else {
            return Err(Fault::error(format!("{} is not a function", article(function.type_name()))));
        };
        match function.kind() {
            FunctionBuf::Native(native) => self.checked_native(native, None, base + 1, count, host),
            FunctionBuf::BoundNative(native, this) => {
                if generator::is_next(native) {
                    return self.generator_next(this, count);
                }
                self.checked_native(native, Some(this), base + 1, count, host)
            }
            FunctionBuf::NativeClass(class) => match &class.constructor {
                Some(native) => self.checked_native(native, None, base + 1, count, host),
                None => Err(Fault::error(format!("class {} cannot be constructed by scripts", class.name))),
            },
            FunctionBuf::Script(script) => self.invoke_script(loaded, script, base, count),
        }
    }

    fn invoke_script(
        &mut self,
        loaded: &Rc<Loaded>,
        script: &ScriptFunction,
        base: usize,
        count: usize,
    ) -> Result<Outcome, Fault> {
        if !Rc::ptr_eq(&script.home, &loaded.home) {
            return Err(Fault::error("a function of another script cannot be called"));
        }
        if script.is_class {
            return self.construct(loaded, script.index, base, count);
        }
        let proto = &loaded.protos[script.index as usize].proto;
        let start = if proto.has_this {
            let Some(this) = &script.this else { return Err(Fault::error("a method needs an object")) };
            self.stacks.values[base] = Value::Object(this.clone());
            base
        } else {
            base + 1
        };
        self.enter(loaded, script.index, start, count, Mode::Plain)?;
        let captured =
            start + usize::from(proto.has_this) + usize::from(proto.params) + usize::from(proto.variadic);
        for (at, cell) in script.captures.iter().enumerate() {
            self.stacks.values[captured + at] = Value::Cell(cell.clone());
        }
        Ok(self.entered(loaded, script.index))
    }

    /// What a call that has entered a function came to: that of a generator has its value at once.
    pub(super) fn entered(&mut self, loaded: &Loaded, id: u32) -> Outcome {
        if !loaded.protos[id as usize].proto.generator {
            return Outcome::Entered;
        }
        match self.make_generator(loaded) {
            Some(value) => Outcome::Value(value),
            None => Outcome::Entered,
        }
    }

    /// `object->name(arguments)` with the object at `base`.
    pub(super) fn call_method(
        &mut self,
        loaded: &Rc<Loaded>,
        name: &Str,
        base: usize,
        count: usize,
        host: &mut dyn Host,
    ) -> Result<Outcome, Fault> {
        let Value::Object(object) = &self.stacks.values[base] else {
            let what = self.stacks.values[base].type_name();
            let name = name.to_string_lossy();
            return Err(Fault::error(format!("{} has no method {name}", article(what))));
        };
        let object = object.clone();
        let Some(instance) = object.as_instance() else {
            self.stacks.values[base] = Value::Undefined;
            let class = object.native_class();
            return match class.and_then(|class| class.method(name)) {
                Some(native) if generator::is_next(native) => self.generator_next(&object, count),
                Some(native) => self.checked_native(native, Some(&object), base + 1, count, host),
                None => Err(no_method(&object, name)),
            };
        };
        let class = &loaded.classes[instance.class as usize];
        let own = self.running_class(loaded) == Some(instance.class);
        if let Some(method) = class.methods.get(name) {
            if method.private && !own {
                return Err(private(&class.name, name));
            }
            self.enter(loaded, method.proto, base, count, Mode::Plain)?;
            return Ok(self.entered(loaded, method.proto));
        }
        if !own && class.restricted.get(name) == Some(&crate::compile::program::Restriction::Private) {
            return Err(private(&class.name, name));
        }
        let property = instance.fields.borrow().get(name).cloned();
        match property {
            Some(function @ Value::Function(_)) => {
                self.stacks.values[base] = Value::Undefined;
                self.invoke(loaded, &function, base, count, host)
            }
            _ => Err(no_method(&object, name)),
        }
    }

    fn running_class(&self, loaded: &Loaded) -> Option<u32> {
        match self.entries.last() {
            Some(Entry::Script(frame)) => loaded.protos[frame.proto as usize].proto.class,
            _ => None,
        }
    }

    /// Makes an instance. Register `base` is free, the arguments of the constructor come after it.
    pub(super) fn construct(
        &mut self,
        loaded: &Rc<Loaded>,
        id: u32,
        base: usize,
        count: usize,
    ) -> Result<Outcome, Fault> {
        let class = &loaded.classes[id as usize];
        let object = Object::instance(Instance {
            class_name: class.name.clone(),
            home: loaded.home.clone(),
            class: id,
            fields: RefCell::new(class.template.clone()),
        });
        self.note_object(&object);
        self.heap.charge(160 + class.template.len() * 64);
        let value = Value::Object(object);
        match (class.constructor, class.initializer) {
            (None, _) if count > 0 => Err(Fault::error(crate::compile::arity_message(
                &class.name.to_string_lossy(),
                0,
                Some(0),
                count,
            ))),
            (None, None) => Ok(Outcome::Value(value)),
            (None, Some(initializer)) => {
                self.stacks.values[base] = value;
                self.enter(loaded, initializer, base, 0, Mode::Construct)?;
                Ok(Outcome::Entered)
            }
            (Some(constructor), initializer) => {
                self.stacks.values[base] = value.clone();
                self.enter(loaded, constructor, base, count, Mode::Construct)?;
                if let Some(initializer) = initializer {
                    let top = self.top().0;
                    self.reserve(top + 1);
                    self.stacks.values[top] = value;
                    self.enter(loaded, initializer, top, 0, Mode::Discard)?;
                }
                Ok(Outcome::Entered)
            }
        }
    }

    pub(super) fn closure(
        &mut self,
        loaded: &Rc<Loaded>,
        base: usize,
        (to, proto, captures): (Reg, u16, u16),
    ) -> Result<(), Fault> {
        let Some(Entry::Script(frame)) = self.entries.last() else { return Ok(()) };
        let creator = &loaded.protos[frame.proto as usize].proto;
        let list = &creator.capture_lists[usize::from(captures)];
        let mut cells: Vec<CellRef> = Vec::with_capacity(list.len());
        for reg in list {
            let slot = &mut self.stacks.values[base + usize::from(*reg)];
            let cell = match slot {
                Value::Cell(cell) => cell.clone(),
                _ => {
                    let cell = CellRef::new(std::mem::replace(slot, Value::Undefined));
                    *slot = Value::Cell(cell.clone());
                    self.note_cell(&cell);
                    cell
                }
            };
            cells.push(cell);
        }
        let this = match &self.stacks.values[base] {
            Value::Object(object) if loaded.protos[usize::from(proto)].proto.has_this => Some(object.clone()),
            _ => None,
        };
        self.heap.charge(96 + cells.len() * 48);
        let function = ScriptFunction {
            home: loaded.home.clone(),
            index: u32::from(proto),
            is_class: false,
            captures: cells.into(),
            this,
        };
        self.stacks.values[base + usize::from(to)] =
            Value::Function(Function::new(FunctionBuf::Script(function)));
        Ok(())
    }
}

fn no_method(object: &Object, name: &Str) -> Fault {
    Fault::error(format!("class {} has no method {}", object.class_name(), name.to_string_lossy()))
}

fn article(what: &str) -> String {
    match what {
        "none" => "none".to_owned(),
        "array" | "object" => format!("an {what}"),
        _ => format!("a {what}"),
    }
}
