//! `RUSTC_BOOTSTRAP=1 cargo fuzz run detect_format`: see `tests/it/fuzz_targets.rs` for what must hold.

#![no_main]

#[path = "../../tests/it/fuzz_targets.rs"]
#[allow(dead_code, reason = "each target calls one of them")]
mod fuzz_targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::detect_format(data));
