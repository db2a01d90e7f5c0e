//! How punctual the timers of all programs are.

use std::num::NonZeroU64;

use anyhow::{Context, Result};
use computatom_spec::boot;

/// Lets timers of this process, and of all that it starts or becomes, be so many nanoseconds late.
///
/// Go's runtimes wake for a timer several hundred times a second in a node that has nothing to do. A processor does not mind; one
/// that QEMU emulates takes a third of a millisecond each time, and does with half of them when timers may be 1 ms late.
///
/// # Errors
/// It is no number of nanoseconds.
pub(super) fn may_be_late(nanoseconds: &str) -> Result<()> {
    // 0 is prctl(2)'s word for the value that there was at first.
    let slack: NonZeroU64 = nanoseconds
        .parse()
        .with_context(|| format!("`{}={nanoseconds}` is no number of nanoseconds", boot::TIMER_SLACK))?;
    rustix::thread::set_current_timer_slack(Some(slack)).context("setting the timer slack")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_taken() {
        for word in ["", "0", "-1", "1ms", "1e6", "99999999999999999999"] {
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
