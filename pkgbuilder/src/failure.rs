//! Errors by whose fault they are.
//!
//! An [`anyhow::Error`] whose chain holds an [`InputError`] exits with 2 (definition, arguments, verification),
//! one that holds [`Interrupted`] or [`Abandoned`] with 130, every other with 1 (network, disk, permission).

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

/// The same where something was left half-done: what, and what to do.
#[derive(Debug)]
pub struct Abandoned(pub String);

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Abandoned {}

/// An answer that is an exit code, with nothing to be said: that of `diff --exit-code`.
#[derive(Debug)]
pub struct Answer(pub u8);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is {}", self.0)
    }
}

impl std::error::Error for Answer {}

/// Whatever went wrong, where 1 is an answer: then trouble is 2, as with diff(1). It is what was being done.
#[derive(Debug)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
    if let Some(Answer(code)) = error.downcast_ref() {
        return *code;
    }
    let wrong_world = if error.is::<Trouble>() { 2 } else { 1 };
    for cause in error.chain() {
        if cause.is::<Interrupted>() || cause.is::<Abandoned>() {
            return 130;
        }
        if cause.is::<InputError>() {
            return 2;
        }
    }
    wrong_world
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
        let trouble = || Trouble("comparing".to_owned());
        assert_eq!(exit_code(&anyhow::anyhow!("disk full").context(trouble())), 2);
        assert_eq!(exit_code(&anyhow::Error::new(Interrupted).context(trouble())), 130);
        assert_eq!(exit_code(&anyhow::Error::new(Abandoned("half".to_owned()))), 130);
        assert_eq!(exit_code(&anyhow::Error::new(Answer(1))), 1);
    }
}
