//! What is made is written while more of it is made: by a thread of its own, which takes a few pieces at a time.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// Hands pieces to the thread that writes them.
#[derive(Debug)]
pub struct WriteBehind<'scope, P> {
    to_write: Option<SyncSender<P>>,
    written: Receiver<P>,
    thread: Option<ScopedJoinHandle<'scope, io::Result<()>>>,
}

impl<'scope, P: Send + 'scope> WriteBehind<'scope, P> {
    /// Begins; `write` is given pieces in the order of [`WriteBehind::write`], of which `waiting` may wait, and is not
    /// called again once it has failed.
    pub fn new(
        scope: &'scope Scope<'scope, '_>,
        waiting: usize,
        mut write: impl FnMut(&P) -> io::Result<()> + Send + 'scope,
    ) -> Self {
        let (to_write, pieces) = sync_channel(waiting);
        let (done, written) = channel();
        let thread = scope.spawn(move || {
            for piece in pieces {
                write(&piece)?;
                // After the last one nobody waits for it.
                let _ = done.send(piece);
            }
            Ok(())
        });
        Self {
            to_write: Some(to_write),
            written,
            thread: Some(thread),
        }
    }

    /// Hands the next piece over, and waits while too many are on their way.
    ///
    /// # Errors
    ///
    /// Fails if an earlier one could not be written.
    pub fn write(&mut self, piece: P) -> io::Result<()> {
        let sent = self.to_write.as_ref().is_some_and(|pieces| pieces.send(piece).is_ok());
        // The thread ends early by an error only.
        if sent { Ok(()) } else { self.finish() }
    }

    /// A piece that is written: fresh memory takes longer than what is done with it.
    pub fn written(&self) -> Option<P> {
        self.written.try_recv().ok()
    }

    /// Waits until all is written.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        self.to_write = None;
        let Some(thread) = self.thread.take() else {
            return Err(io::Error::other("it failed before"));
        };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn pieces_are_written_in_order_and_come_back() {
        let mut found = Vec::new();
        let mut back = 0;
        thread::scope(|scope| {
            let mut behind = WriteBehind::new(scope, 2, |piece: &u32| {
                found.push(*piece);
                Ok(())
            });
            for piece in 0..100 {
                behind.write(piece).unwrap();
                while behind.written().is_some() {
                    back += 1;
                }
            }
            behind.finish().unwrap();
            while behind.written().is_some() {
                back += 1;
            }
        });
        assert!(found.into_iter().eq(0..100));
        assert_eq!(back, 100);
    }

    #[test]
    fn more_is_made_while_one_is_written() {
        let met = Barrier::new(2);
        thread::scope(|scope| {
            let mut behind = WriteBehind::new(scope, 1, |_: &u8| {
                met.wait();
                Ok(())
            });
            // The first is being written, the second waits: neither holds up who makes them.
            behind.write(1).unwrap();
            behind.write(2).unwrap();
            met.wait();
            met.wait();
            behind.finish().unwrap();
        });
    }

    #[test]
    fn an_error_is_told_once_and_nothing_is_written_after_it() {
        for last in [0, 1, 50] {
            let mut calls = 0;
            thread::scope(|scope| {
                let mut behind = WriteBehind::new(scope, 1, |piece: &u32| {
                    calls += 1;
                    if *piece < last {
                        Ok(())
                    } else {
                        Err(ErrorKind::StorageFull.into())
                    }
                });
                let told = (0..100).find_map(|piece| behind.write(piece).err());
                assert_eq!(told.unwrap().kind(), ErrorKind::StorageFull);
                assert_eq!(behind.write(100).unwrap_err().to_string(), "it failed before");
                assert_eq!(behind.finish().unwrap_err().to_string(), "it failed before");
            });
            assert_eq!(calls, last + 1);
        }
    }

    #[test]
    fn an_error_of_the_last_piece_is_told_at_the_end() {
        thread::scope(|scope| {
            let mut behind = WriteBehind::new(scope, 1, |(): &()| Err(ErrorKind::StorageFull.into()));
            behind.write(()).unwrap();
            assert_eq!(behind.finish().unwrap_err().kind(), ErrorKind::StorageFull);
        });
    }
}
