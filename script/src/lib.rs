//! HSL, the script language.
