//! Operators.

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `!`, `not`
    Not,
    /// `-`
    Negate,
    /// `+`
    Plus,
    /// `~`
    BitNot,
}

/// Operators with two operands that are always evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `**`
    Power,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `.`
    Concat,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `>>>`
    ShiftRightZero,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `===`
    Identical,
    /// `!==`
    NotIdentical,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
    /// `&`
    BitAnd,
    /// `^`
    BitXor,
    /// `|`
    BitOr,
}

/// Assignment operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignOp {
    /// `=`
    Set,
    /// `??=`
    Coalesce,
    /// `+=`, `-=`, `*=`, `/=`, `%=`, `**=` or `.=`
    Compute(BinaryOp),
}

impl UnaryOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Not => "!",
            Self::Negate => "-",
            Self::Plus => "+",
            Self::BitNot => "~",
        }
    }
}

impl BinaryOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Power => "**",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concat => ".",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::ShiftRightZero => ">>>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Identical => "===",
            Self::NotIdentical => "!==",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
            Self::BitAnd => "&",
            Self::BitXor => "^",
            Self::BitOr => "|",
        }
    }
}

impl AssignOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Set => "=",
            Self::Coalesce => "??=",
            Self::Compute(BinaryOp::Add) => "+=",
            Self::Compute(BinaryOp::Subtract) => "-=",
            Self::Compute(BinaryOp::Multiply) => "*=",
            Self::Compute(BinaryOp::Divide) => "/=",
            Self::Compute(BinaryOp::Modulo) => "%=",
            Self::Compute(BinaryOp::Power) => "**=",
            Self::Compute(_) => ".=",
        }
    }
}
