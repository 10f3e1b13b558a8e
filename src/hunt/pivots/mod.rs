//! One file per pivot.

pub mod credential;
pub mod exec;
pub mod ip;
pub mod pod;
pub mod secrets;
pub mod user;
