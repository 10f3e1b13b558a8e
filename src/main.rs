//! The program: everything it does is in the library's `cli` room.

use std::process::ExitCode;

/// Workers allocate and free side by side all the time; the system's allocator makes them wait.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    audithound::cli::dispatch::main()
}
