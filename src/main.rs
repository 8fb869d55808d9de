//! The thin binary: everything is in the library.

fn main() -> std::process::ExitCode {
    hushfs::cli::main()
}
