//! The program as it is run for one fetch: what it answers is a secret, and what it complains about is not repeated.

use std::io::{self, Write as _};
use std::process::ExitStatus;

use zeroize::Zeroizing;

use super::super::store::Wiping;
use super::ProviderError;
use crate::program::{self, Stop};

/// A program and the longest output in bytes.
pub(super) struct Program {
    pub(super) program: program::Program,
    pub(super) output_max: usize,
}

/// What came of running it.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) output: Zeroizing<Vec<u8>>,
    /// Bytes of standard error.
    pub(super) complained: u64,
}

impl Program {
    /// Runs it with this input. `path` is the secret asked for, for messages.
    pub(super) async fn run(&self, input: &[u8], path: &str) -> Result<Ended, ProviderError> {
        let (mut all, mut complained) = (Wiping::default(), 0_u64);
        let said = |bytes: &[u8], len| {
            if len > self.output_max {
                return Err(Stop::TooLong);
            }
            all.write_all(bytes).map_err(Stop::Io)
        };
        // Nothing is kept of it but its length.
        let complaint = |_: &[u8], len| {
            complained = u64::try_from(len).unwrap_or(u64::MAX);
            Ok(())
        };
        let status = match self.program.run(input, said, complaint).await {
            Ok(status) => status,
            Err(Stop::Start(error)) => return Err(self.cannot_start(&error)),
            Err(Stop::TooLong) => {
                return Err(ProviderError::Malformed(format!(
                    "`{path}`: the program's answer is longer than {} bytes (`output_max`)",
                    self.output_max
                )));
            }
            Err(Stop::Io(error)) => {
                return Err(ProviderError::unavailable(format!(
                    "`{path}`: the program cannot be heard: {error}"
                )));
            }
            Err(Stop::Late) => {
                return Err(ProviderError::unavailable(format!(
                    "the program did not answer for `{path}` within {:?} (`timeout`), and was killed",
                    self.program.timeout
                )));
            }
        };
        if !status.success() || complained > 0 {
            let program = self.program.path.display();
            tracing::warn!(%program, %status, stderr_bytes = complained, "a program complained");
        }
        Ok(Ended { status, output: all.into_inner(), complained })
    }

    /// Why it could not be started.
    pub(super) fn cannot_start(&self, error: &io::Error) -> ProviderError {
        let program = self.program.path.display();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
                ProviderError::unavailable(format!("the program {program} cannot be started now: {error}"))
            }
            _ => ProviderError::Misconfigured(format!(
                "the program {program} cannot be started: {error}; hint: its user must be able to execute it, and to enter `directory`"
            )),
        }
    }
}
