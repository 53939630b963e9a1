//! The instruction set.
//!
//! A function has a window of registers for values and one of up to 256 for numbers. Registers from `locals` upwards are
//! temporaries: what reads a temporary may take its value. Numbers live in registers of their own where the compiler can prove
//! that a variable is nothing else, so that arithmetic on them has no types to look at and nothing to free.

/// A register for any value.
pub(crate) type Reg = u16;
/// A register for a number.
pub(crate) type Num = u8;

/// Stands for "no register".
pub(crate) const NO_REG: Reg = Reg::MAX;

/// Where an instruction takes a value to store, registers from here are constants instead.
pub(crate) const CONSTANT: Reg = 0x8000;

/// Operators on two values, for the instructions that carry one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Concat,
    ShiftLeft,
    ShiftRight,
    ShiftRightZero,
    BitAnd,
    BitOr,
    BitXor,
    Less,
    LessEqual,
    Equal,
    Identical,
    /// `++` and `--`: the right operand is 1 or -1, the left one has to be a number.
    Step,
}

/// How two numbers are compared. Negated forms exist because `!(a < b)` is not `a >= b` for NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Relation {
    Less,
    LessEqual,
    Equal,
    NotLess,
    NotLessEqual,
    NotEqual,
}

/// An instruction of 8 bytes. `to` is where a result goes or, as `u32`, the index of the instruction to go on with; `by` is a
/// distance from the following instruction.
#[rustfmt::skip] // a table: an instruction in a line
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(crate) enum Op {
    // --- values
    /// A constant.
    Const { to: Reg, constant: u16 },
    /// A variable or temporary; an undefined variable is an error.
    Move { to: Reg, from: Reg },
    /// The same, and a temporary keeps its value.
    Copy { to: Reg, from: Reg },
    /// The same, and none for an undefined variable.
    MoveQuiet { to: Reg, from: Reg },
    /// Makes a variable or a temporary undefined.
    Clear { reg: Reg },
    /// A variable that may be shared.
    CellGet { to: Reg, cell: Reg },
    /// The same, and none when it is undefined.
    CellQuiet { to: Reg, cell: Reg },
    /// The same, and undefined when it is undefined.
    CellRaw { to: Reg, cell: Reg },
    /// Assigns to a variable that may be shared.
    CellSet { cell: Reg, from: Reg },
    /// Makes a variable that may be shared undefined; says whether it was defined.
    CellUnset { to: Reg, cell: Reg },
    /// Whether a variable that may be shared is defined.
    CellIsset { to: Reg, cell: Reg },
    /// A debugger may want to look: constants with the names of the stage and of the breakpoint.
    BreakPoint { stage: u16, id: u16 },
    /// Binds a variable of the script or of a class to a register.
    BindGlobal { reg: Reg, index: u32 },
    /// The value of a number register.
    Box { to: Reg, from: Num },
    /// The number in a value; for everything else the error (or the 1 or 0 of a boolean) of `operator` with a number at the
    /// other side, which is the left one if `left`.
    Unbox { to: Num, operator: Operator, from: Reg, left: bool },

    // --- numbers only
    NumMove { to: Num, from: Num },
    NumConst { to: Num, constant: u16 },
    NumAdd { to: Num, a: Num, b: Num },
    NumSubtract { to: Num, a: Num, b: Num },
    NumMultiply { to: Num, a: Num, b: Num },
    NumDivide { to: Num, a: Num, b: Num },
    NumModulo { to: Num, a: Num, b: Num },
    NumPower { to: Num, a: Num, b: Num },
    NumNegate { to: Num, from: Num },
    /// `operator` is one of the bitwise ones.
    NumBits { to: Num, a: Num, b: Num, operator: Operator },
    NumBitNot { to: Num, from: Num },
    // Go to `to` if the relation holds.
    NumJumpLess { a: Num, b: Num, to: u32 },
    NumJumpLessEqual { a: Num, b: Num, to: u32 },
    NumJumpEqual { a: Num, b: Num, to: u32 },
    NumJumpNotLess { a: Num, b: Num, to: u32 },
    NumJumpNotLessEqual { a: Num, b: Num, to: u32 },
    NumJumpNotEqual { a: Num, b: Num, to: u32 },
    // The same backwards, which costs budget.
    NumLoopLess { a: Num, b: Num, to: u32 },
    NumLoopLessEqual { a: Num, b: Num, to: u32 },
    NumLoopEqual { a: Num, b: Num, to: u32 },
    NumLoopNotLess { a: Num, b: Num, to: u32 },
    NumLoopNotLessEqual { a: Num, b: Num, to: u32 },
    NumLoopNotEqual { a: Num, b: Num, to: u32 },
    /// `a += step; if a < limit go to`, backwards.
    NumForLess { a: Num, step: Num, limit: Num, to: u32 },
    /// The same with `<=`.
    NumForLessEqual { a: Num, step: Num, limit: Num, to: u32 },
    /// The same with a value as limit, and `<` or `<=`.
    NumForReg { a: Num, step: Num, or_equal: bool, limit: Reg, by: i16 },
    // Two operations, one after the other.
    NumAddAdd { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumAddSubtract { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumAddMultiply { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumAddMove { to: Num, a: Num, b: Num, to2: Num, from: Num },
    NumSubtractAdd { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumSubtractSubtract { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumSubtractMultiply { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumSubtractMove { to: Num, a: Num, b: Num, to2: Num, from: Num },
    NumMultiplyAdd { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumMultiplySubtract { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumMultiplyMultiply { to: Num, a: Num, b: Num, to2: Num, a2: Num, b2: Num },
    NumMultiplyMove { to: Num, a: Num, b: Num, to2: Num, from: Num },
    // An operation, and a jump if a relation holds for the numbers after it.
    NumModuloJumpEqual { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumModuloJumpNotEqual { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumAddJumpNotLess { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumAddJumpNotLessEqual { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumAddLoopLess { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumAddLoopLessEqual { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumSubtractLoopLess { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    NumSubtractLoopLessEqual { to: Num, a: Num, b: Num, left: Num, right: Num, by: i16 },
    // `Unbox`, and a jump if a relation holds between the number and another, which is the left one if `Right`.
    UnboxJumpNotLess { number: Num, other: Num, operator: Operator, from: Reg, by: i16 },
    UnboxJumpNotLessRight { number: Num, other: Num, operator: Operator, from: Reg, by: i16 },
    UnboxJumpNotLessEqual { number: Num, other: Num, operator: Operator, from: Reg, by: i16 },
    UnboxJumpNotLessEqualRight { number: Num, other: Num, operator: Operator, from: Reg, by: i16 },
    /// The relation as a boolean.
    NumCompare { to: Reg, a: Num, b: Num, relation: Relation },

    // --- operators
    Add { to: Reg, a: Reg, b: Reg },
    Subtract { to: Reg, a: Reg, b: Reg },
    Multiply { to: Reg, a: Reg, b: Reg },
    Divide { to: Reg, a: Reg, b: Reg },
    /// With a constant number at the right.
    AddConst { to: Reg, a: Reg, constant: u16 },
    SubtractConst { to: Reg, a: Reg, constant: u16 },
    /// Any other operator that yields a value.
    Binary { operator: Operator, to: Reg, a: Reg, b: Reg },
    Concat { to: Reg, a: Reg, b: Reg },
    /// Joins `count` values.
    ConcatMany { count: u8, to: Reg, start: Reg },
    Negate { to: Reg, from: Reg },
    /// `+x`: checks that it is a number.
    Plus { to: Reg, from: Reg },
    BitNot { to: Reg, from: Reg },
    Not { to: Reg, from: Reg },
    Less { to: Reg, a: Reg, b: Reg },
    LessEqual { to: Reg, a: Reg, b: Reg },
    Equal { negate: bool, to: Reg, a: Reg, b: Reg },
    Identical { negate: bool, to: Reg, a: Reg, b: Reg },
    Matches { negate: bool, to: Reg, a: Reg, b: Reg },
    /// `length(x)` where the name is not overridden.
    Length { to: Reg, from: Reg },

    // --- control
    Jump { to: u32 },
    /// A jump backwards, which costs budget.
    Loop { to: u32 },
    /// Jumps if truthiness is `when`.
    JumpIf { when: bool, from: Reg, to: u32 },
    /// Jumps if the value is neither none nor undefined.
    JumpSet { from: Reg, to: u32 },
    /// Jumps unless the temporary is undefined.
    JumpDefined { from: Reg, to: u32 },
    LessJump { when: bool, a: Reg, b: Reg, by: i16 },
    LessEqualJump { when: bool, a: Reg, b: Reg, by: i16 },
    EqualJump { when: bool, a: Reg, b: Reg, by: i16 },
    IdenticalJump { when: bool, a: Reg, b: Reg, by: i16 },
    EqualConstJump { when: bool, a: Reg, constant: u16, by: i16 },
    IdenticalConstJump { when: bool, a: Reg, constant: u16, by: i16 },
    /// Ends the function.
    Return { from: Reg },
    ReturnNone,
    Throw { from: Reg },
    /// Throws what a clean-up handler has caught, unchanged.
    Rethrow { from: Reg },
    Echo { from: Reg },
    /// A generator hands out a value and waits.
    Yield { from: Reg },
    /// No arm of a `match` applied.
    NoMatch { subject: Reg },

    // --- arrays, strings, objects
    Index { to: Reg, base: Reg, key: Reg },
    IndexNum { to: Reg, base: Reg, key: Num },
    IndexConst { to: Reg, base: Reg, key: u16 },
    // Each with the `Unbox` that follows.
    NumIndex { number: Num, to: Reg, base: Reg, key: Reg },
    NumIndexNum { number: Num, key: Num, to: Reg, base: Reg },
    NumIndexConst { number: Num, to: Reg, base: Reg, key: u16 },
    /// Of a variable.
    IndexSet { base: Reg, key: Reg, from: Reg },
    IndexSetNum { key: Num, base: Reg, from: Reg },
    IndexSetConst { base: Reg, key: u16, from: Reg },
    Append { base: Reg, from: Reg },
    // `Box` with the store of the temporary that follows.
    BoxIndexSetNum { from: Num, key: Num, to: Reg, base: Reg },
    BoxIndexSetConst { from: Num, to: Reg, base: Reg, key: u16 },
    BoxAppend { from: Num, to: Reg, base: Reg },
    /// `$variable .= value`
    ConcatTo { place: Reg, from: Reg },
    /// `++$variable` or `--$variable`
    Increment { place: Reg, by: i16 },
    /// `$variable op= value`
    Update { operator: Operator, place: Reg, from: Reg },
    Property { to: Reg, base: Reg, name: u16 },
    PropertySet { base: Reg, name: u16, from: Reg },
    /// `path` is an index into the paths of the function.
    PathGet { to: Reg, root: Reg, path: u16 },
    PathSet { root: Reg, path: u16, from: Reg },
    /// `path op= value`
    PathUpdate { operator: Operator, root: Reg, path: u16, from: Reg },
    /// The same for a path of one step from a variable.
    PropertyUpdate { operator: Operator, base: Reg, name: u16, from: Reg },
    IndexUpdate { operator: Operator, base: Reg, key: Reg, from: Reg },
    IndexUpdateConst { operator: Operator, base: Reg, key: u16, from: Reg },
    PathIsset { to: Reg, root: Reg, path: u16 },
    PathUnset { to: Reg, root: Reg, path: u16 },
    /// `bounds` is the first of three registers: first, last and step, each undefined where left out.
    Slice { to: Reg, base: Reg, bounds: Reg },
    NewArray { count: u8, to: Reg, start: Reg },
    /// An array to fill.
    ArrayBegin { to: Reg, capacity: u16 },
    ArrayPush { array: Reg, from: Reg },
    ArrayPut { array: Reg, key: Reg, from: Reg },
    /// `...x` in a literal.
    ArraySpread { array: Reg, from: Reg },
    /// `...x` among arguments.
    ArgumentSpread { array: Reg, from: Reg },
    /// Destructuring: the value, or undefined when there is none. Of a list by position.
    ItemAt { to: Reg, from: Reg, position: u16 },
    /// The same by key.
    ItemOf { to: Reg, from: Reg, key: Reg },
    /// The items from a position on.
    ItemsFrom { to: Reg, from: Reg, position: u16 },
    /// Puts the iterator of a value into `iterator`, `iterator + 1` and `iterator + 2`.
    ForeachBegin { iterator: Reg, from: Reg },
    /// If there is an item, stores it and its key and goes to the following instruction, else skips that.
    ForeachNext { iterator: Reg, value: Reg, key: Reg },

    // --- functions; `start` is the first of the registers of a call
    /// Arguments from `start`.
    CallProto { count: u8, to: Reg, start: Reg, proto: u16 },
    CallNative { count: u8, to: Reg, start: Reg, native: u16 },
    /// Constructs; arguments from `start + 1`.
    CallClass { count: u8, to: Reg, start: Reg, class: u16 },
    /// The function in `start`, arguments after it.
    CallValue { count: u8, to: Reg, start: Reg },
    /// The object in `start`, arguments after it.
    CallMethod { count: u8, to: Reg, start: Reg, name: u16 },
    /// The function in `start`, an array of arguments after it.
    CallSpread { to: Reg, start: Reg },
    /// The object in `start`, an array of arguments after it.
    CallMethodSpread { to: Reg, start: Reg, name: u16 },
    /// A function that captures variables.
    Closure { to: Reg, proto: u16, captures: u16 },
    /// Runs the code of a module unless it has been run.
    RunModule { module: u16 },
}

const _: () = assert!(size_of::<Op>() == 8, "an instruction is 8 bytes");
