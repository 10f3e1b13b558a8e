//! The one integration binary: whole commands, agreement, accounting, disasters.

mod cli;
