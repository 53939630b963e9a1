//! How numbers are matched.

/// How a number is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Above the value.
    Above,
    /// The value, or above.
    AtLeast,
    /// Below the value.
    Below,
    /// The value, or below.
    AtMost,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberMatch {
    /// Compares with a value.
    To(Compare, f64),
    /// Within two bounds, both included; an absent one does not bound.
    Within(Option<f64>, Option<f64>),
}

impl NumberMatch {
    /// Whether the number is that.
    pub fn matches(self, number: f64) -> bool {
        match self {
            NumberMatch::To(compare, value) => match compare {
                Compare::Equal => number == value,
                Compare::NotEqual => number != value,
                Compare::Above => number > value,
                Compare::AtLeast => number >= value,
                Compare::Below => number < value,
                Compare::AtMost => number <= value,
            },
            NumberMatch::Within(low, high) => {
                low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high)
            }
        }
    }
}
