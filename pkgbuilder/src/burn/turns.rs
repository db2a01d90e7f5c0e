//! Threads that prepare side by side, and act one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::{Result, anyhow};

/// Of so many cores at most are pieces prepared: more only take memory.
const MOST_WORKERS: usize = 6;
/// Runs `work` on some threads until all are done; the first error counts.
pub(super) fn on_all_cores(work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    // One more than there are cores: while one waits for the card, the others prepare.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = (cores + 1).min(MOST_WORKERS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(&work)).collect();
        let done: Vec<Result<()>> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread failed"))))
            .collect();
        done.into_iter().collect()
    })
}

/// One after the other, by number.
#[derive(Debug, Default)]
pub(super) struct Turn {
    whose: Mutex<usize>,
    changed: Condvar,
}

impl Turn {
    /// Waits for the turn of `index`; false if somebody has failed meanwhile.
    pub(super) fn wait(&self, index: usize, failed: &AtomicBool) -> bool {
        let mut whose = self.whose.lock().unwrap_or_else(PoisonError::into_inner);
        while *whose != index && !failed.load(Ordering::SeqCst) {
            whose = self.changed.wait(whose).unwrap_or_else(PoisonError::into_inner);
        }
        !failed.load(Ordering::SeqCst)
    }

    pub(super) fn next(&self) {
        *self.whose.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    pub(super) fn wake(&self) {
        let _whose = self.whose.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
    }
}
