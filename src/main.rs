//! The thin binary: everything is in the library.

/// Parsers, serialisers and age copy values on the heap. What they free is overwritten.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    hushfs::cli::main()
}
