//! How punctual the timers of all programs are.

use std::num::NonZeroU64;

use anyhow::{Context, Result};
use computatom_spec::boot;

/// More would be noticed, and nobody means it.
const MOST: u64 = 1_000_000_000;

/// Lets this process, and all that it starts or becomes, sleep so many nanoseconds longer than it asks for (prctl(2),
/// `PR_SET_TIMERSLACK`: sleeps and waits with an end; not timers that have a file descriptor or send a signal).
///
/// Go's runtimes wake several hundred times a second in a node that has nothing to do, and half as often when they may be 1 ms late
/// (docs/benchmarks.md).
///
/// # Errors
/// It is no number of nanoseconds, or more than a second.
pub(super) fn may_be_late(nanoseconds: &str) -> Result<()> {
    // 0 is prctl(2)'s word for the value that there was at first.
    let slack = nanoseconds
        .parse()
        .ok()
        .filter(|slack: &NonZeroU64| slack.get() <= MOST);
    let slack = slack.with_context(|| {
        format!(
            "`{}={nanoseconds}` is no number of nanoseconds from 1 to {MOST}",
            boot::TIMER_SLACK
        )
    })?;
    rustix::thread::set_current_timer_slack(Some(slack)).context("setting the timer slack")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_taken() {
        for word in ["", "0", "-1", "1ms", "1e6", "1000000001", "99999999999999999999"] {
            let error = may_be_late(word).unwrap_err().to_string();
            assert!(error.contains(&format!("computatom.timerslack_ns={word}")), "{error}");
        }
    }

    #[test]
    fn threads_that_are_started_later_have_it_too() {
        let seen = std::thread::spawn(|| {
            may_be_late("1000000").unwrap();
            std::thread::spawn(rustix::thread::current_timer_slack).join().unwrap()
        });
        assert_eq!(seen.join().unwrap().unwrap(), 1_000_000);
    }
}
