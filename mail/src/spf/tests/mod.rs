mod cases;
mod syntax;

use super::*;
