//! The `sipsilo` command.

/// Many small buffers live and die on several threads; mimalloc gives the memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sipsilo::cli::main()
}
