//! Errors by whose fault they are.
//!
//! An [`anyhow::Error`] whose chain holds an [`InputError`] exits with 2 (definition, arguments, verification),
//! one that holds [`Interrupted`] with 130, every other with 1 (network, disk, permission).

use std::fmt;

/// The input is wrong: a definition, an argument, or bytes that do not verify.
#[derive(Debug)]
pub struct InputError(pub String);

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputError {}

/// The person pressed Ctrl-C (or sent SIGTERM).
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted: nothing was left half-written, the cache is kept; run the same command to go on")
    }
}

impl std::error::Error for Interrupted {}

/// Leaves with an [`InputError`] made as by `format!`.
#[macro_export]
macro_rules! bail_input {
    ($($argument:tt)*) => {
        return Err(::anyhow::Error::new($crate::failure::InputError(format!($($argument)*))))
    };
}

/// An [`InputError`] made as by `format!`, as an [`anyhow::Error`].
#[macro_export]
macro_rules! input_error {
    ($($argument:tt)*) => {
        ::anyhow::Error::new($crate::failure::InputError(format!($($argument)*)))
    };
}

/// The exit code for an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Interrupted>() {
            return 130;
        }
        if cause.is::<InputError>() {
            return 2;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_innermost_cause_decides() {
        let wrong: anyhow::Result<()> = Err(input_error!("no such component"));
        assert_eq!(exit_code(&wrong.context("reading images/home.jsonnet").unwrap_err()), 2);
        assert_eq!(exit_code(&anyhow::Error::new(Interrupted).context("fetching")), 130);
        assert_eq!(exit_code(&anyhow::anyhow!("disk full")), 1);
    }
}
