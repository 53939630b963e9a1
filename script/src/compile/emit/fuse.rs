//! Instructions that do the work of two.
//!
//! The second one stays where it is: jumps may lead to it, and the fused one leaves what is not common to it.

use crate::compile::op::{Num, Op, Reg};

/// Fuses each instruction with the one that follows, where there is a form for both. Registers from `locals` are temporaries.
pub(super) fn fuse(ops: &mut [Op], locals: usize) {
    for at in 1..ops.len() {
        let fused = both(ops[at - 1], ops[at], at as u32, locals);
        if let Some(fused) = fused {
            ops[at - 1] = fused;
        }
    }
}

/// The form for both; `at` is where the second one stands.
fn both(first: Op, second: Op, at: u32, locals: usize) -> Option<Op> {
    arithmetic(first, second).or_else(|| jump(first, second, at)).or_else(|| item(first, second, locals))
}

fn arithmetic(first: Op, second: Op) -> Option<Op> {
    Some(match (first, second) {
        (Op::NumAdd { to, a, b }, Op::NumAdd { to: to2, a: a2, b: b2 }) => {
            Op::NumAddAdd { to, a, b, to2, a2, b2 }
        }
        (Op::NumAdd { to, a, b }, Op::NumSubtract { to: to2, a: a2, b: b2 }) => {
            Op::NumAddSubtract { to, a, b, to2, a2, b2 }
        }
        (Op::NumAdd { to, a, b }, Op::NumMultiply { to: to2, a: a2, b: b2 }) => {
            Op::NumAddMultiply { to, a, b, to2, a2, b2 }
        }
        (Op::NumAdd { to, a, b }, Op::NumMove { to: to2, from }) => Op::NumAddMove { to, a, b, to2, from },
        (Op::NumSubtract { to, a, b }, Op::NumAdd { to: to2, a: a2, b: b2 }) => {
            Op::NumSubtractAdd { to, a, b, to2, a2, b2 }
        }
        (Op::NumSubtract { to, a, b }, Op::NumSubtract { to: to2, a: a2, b: b2 }) => {
            Op::NumSubtractSubtract { to, a, b, to2, a2, b2 }
        }
        (Op::NumSubtract { to, a, b }, Op::NumMultiply { to: to2, a: a2, b: b2 }) => {
            Op::NumSubtractMultiply { to, a, b, to2, a2, b2 }
        }
        (Op::NumSubtract { to, a, b }, Op::NumMove { to: to2, from }) => {
            Op::NumSubtractMove { to, a, b, to2, from }
        }
        (Op::NumMultiply { to, a, b }, Op::NumAdd { to: to2, a: a2, b: b2 }) => {
            Op::NumMultiplyAdd { to, a, b, to2, a2, b2 }
        }
        (Op::NumMultiply { to, a, b }, Op::NumSubtract { to: to2, a: a2, b: b2 }) => {
            Op::NumMultiplySubtract { to, a, b, to2, a2, b2 }
        }
        (Op::NumMultiply { to, a, b }, Op::NumMultiply { to: to2, a: a2, b: b2 }) => {
            Op::NumMultiplyMultiply { to, a, b, to2, a2, b2 }
        }
        (Op::NumMultiply { to, a, b }, Op::NumMove { to: to2, from }) => {
            Op::NumMultiplyMove { to, a, b, to2, from }
        }
        _ => return None,
    })
}

fn jump(first: Op, second: Op, at: u32) -> Option<Op> {
    let by = |to: u32| i16::try_from(i64::from(to) - i64::from(at)).ok();
    Some(match (first, second) {
        (Op::NumModulo { to, a, b }, Op::NumJumpEqual { a: left, b: right, to: target }) => {
            Op::NumModuloJumpEqual { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumModulo { to, a, b }, Op::NumJumpNotEqual { a: left, b: right, to: target }) => {
            Op::NumModuloJumpNotEqual { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumAdd { to, a, b }, Op::NumJumpNotLess { a: left, b: right, to: target }) => {
            Op::NumAddJumpNotLess { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumAdd { to, a, b }, Op::NumJumpNotLessEqual { a: left, b: right, to: target }) => {
            Op::NumAddJumpNotLessEqual { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumAdd { to, a, b }, Op::NumLoopLess { a: left, b: right, to: target }) => {
            Op::NumAddLoopLess { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumAdd { to, a, b }, Op::NumLoopLessEqual { a: left, b: right, to: target }) => {
            Op::NumAddLoopLessEqual { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumSubtract { to, a, b }, Op::NumLoopLess { a: left, b: right, to: target }) => {
            Op::NumSubtractLoopLess { to, a, b, left, right, by: by(target)? }
        }
        (Op::NumSubtract { to, a, b }, Op::NumLoopLessEqual { a: left, b: right, to: target }) => {
            Op::NumSubtractLoopLessEqual { to, a, b, left, right, by: by(target)? }
        }
        (Op::Unbox { to, operator, from, left: false }, Op::NumJumpNotLess { a, b, to: target })
            if a == to && b != to =>
        {
            Op::UnboxJumpNotLess { number: to, other: b, operator, from, by: by(target)? }
        }
        (Op::Unbox { to, operator, from, left: true }, Op::NumJumpNotLess { a, b, to: target })
            if b == to && a != to =>
        {
            Op::UnboxJumpNotLessRight { number: to, other: a, operator, from, by: by(target)? }
        }
        (Op::Unbox { to, operator, from, left: false }, Op::NumJumpNotLessEqual { a, b, to: target })
            if a == to && b != to =>
        {
            Op::UnboxJumpNotLessEqual { number: to, other: b, operator, from, by: by(target)? }
        }
        (Op::Unbox { to, operator, from, left: true }, Op::NumJumpNotLessEqual { a, b, to: target })
            if b == to && a != to =>
        {
            Op::UnboxJumpNotLessEqualRight { number: to, other: a, operator, from, by: by(target)? }
        }
        _ => return None,
    })
}

/// A temporary between both is not written, since nobody else reads it.
fn item(first: Op, second: Op, locals: usize) -> Option<Op> {
    let (Op::Index { to, .. } | Op::IndexNum { to, .. } | Op::IndexConst { to, .. } | Op::Box { to, .. }) =
        first
    else {
        return None;
    };
    if usize::from(to) < locals {
        return None;
    }
    match (first, second) {
        (Op::Index { to, base, key }, Op::Unbox { to: number, from, .. }) if from == to => {
            Some(Op::NumIndex { number, to, base, key })
        }
        (Op::IndexNum { to, base, key }, Op::Unbox { to: number, from, .. }) if from == to => {
            Some(Op::NumIndexNum { number, key, to, base })
        }
        (Op::IndexConst { to, base, key }, Op::Unbox { to: number, from, .. }) if from == to => {
            Some(Op::NumIndexConst { number, to, base, key })
        }
        (Op::Box { to, from }, next) => store(from, to, next),
        _ => None,
    }
}

/// `next` stores the temporary that `from` was put into.
fn store(from: Num, to: Reg, next: Op) -> Option<Op> {
    match next {
        Op::IndexSetNum { key, base, from: stored } if stored == to => {
            Some(Op::BoxIndexSetNum { from, key, to, base })
        }
        Op::IndexSetConst { base, key, from: stored } if stored == to => {
            Some(Op::BoxIndexSetConst { from, to, base, key })
        }
        Op::Append { base, from: stored } if stored == to => Some(Op::BoxAppend { from, to, base }),
        _ => None,
    }
}
