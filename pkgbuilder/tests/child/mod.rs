//! A program that runs beside a test, and ends with it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

/// It is ended when this is dropped, so that nothing outlives a test that has failed.
#[derive(Debug)]
pub(crate) struct Guarded(Option<Child>);

impl Guarded {
    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(|child| Self(Some(child)))
    }

    /// Waits for its end, and for all that it says.
    pub(crate) fn wait_with_output(mut self) -> io::Result<Output> {
        self.0.take().expect("it was not waited for before").wait_with_output()
    }

    /// The same, if it ends by itself within `limit`.
    pub(crate) fn ends_within(mut self, limit: Duration) -> io::Result<Option<Output>> {
        let began = Instant::now();
        while self.try_wait()?.is_none() {
            if began.elapsed() > limit {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.wait_with_output().map(Some)
    }
}

impl Deref for Guarded {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("it is there until it is waited for")
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is there until it is waited for")
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
