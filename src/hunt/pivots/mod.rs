//! One file per pivot.
