//! What the board's light says when no screen is there.
//!
//! The light is whatever the kernel calls the activity light of the board; a board without one only has its console.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Where the kernel keeps lights (`Documentation/leds/leds-class.rst`).
const LEDS: &str = "/sys/class/leds";
/// The activity light by its names: the vendor's kernel, Debian's on a Pi, other boards.
const NAMES: [&str; 4] = ["ACT", "led0", "ACT LED", "green:activity"];
/// One flash, and the dark after it.
const FLASH: Duration = Duration::from_millis(200);
/// The dark between two groups of flashes.
const PAUSE: Duration = Duration::from_millis(1600);

/// The reasons a person may have to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Even, fast blinking while everything runs: nothing that is stored now outlives this boot.
    WithoutData,
    /// Groups of two flashes, the board stands still: DATA is there and cannot be used.
    DataUnusable,
    /// Groups of three flashes, the board stands still: no slot verifies.
    NoSlot,
    /// Groups of four flashes, the board stands still: another reason, which the console says.
    Stopped,
}

impl Pattern {
    /// Flashes in a group; `None` where the kernel blinks evenly.
    pub fn flashes(self) -> Option<u32> {
        match self {
            Self::WithoutData => None,
            Self::DataUnusable => Some(2),
            Self::NoSlot => Some(3),
            Self::Stopped => Some(4),
        }
    }
}

/// Lets the kernel blink; what needs us to blink is done by [`flash_for`].
pub fn show(pattern: Pattern) {
    if pattern.flashes().is_none() {
        blink_evenly(Path::new(LEDS));
    }
}

fn blink_evenly(leds: &Path) {
    for light in lights(leds) {
        // Where the trigger is a module that is not loaded, this fails, and there is only the console.
        if fs::write(light.join("trigger"), "timer").is_ok() {
            for edge in ["delay_on", "delay_off"] {
                let _ = fs::write(light.join(edge), "100");
            }
        }
    }
}

/// Shows a pattern for that long, and returns then.
pub fn flash_for(pattern: Pattern, time: Duration) {
    let lights = lights(Path::new(LEDS));
    for light in &lights {
        let _ = fs::write(light.join("trigger"), "none");
    }
    flash(pattern, time, |on| set(&lights, on), std::thread::sleep);
}

/// The same, with what sets the lights and what waits given.
fn flash(pattern: Pattern, time: Duration, mut set: impl FnMut(bool), mut wait: impl FnMut(Duration)) {
    let group = pattern.flashes().unwrap_or(1);
    let once = FLASH * 2 * group + PAUSE;
    let mut left = time;
    while left >= once {
        for _ in 0..group {
            set(true);
            wait(FLASH);
            set(false);
            wait(FLASH);
        }
        wait(PAUSE);
        left -= once;
    }
    wait(left);
}

fn set(lights: &[std::path::PathBuf], on: bool) {
    for light in lights {
        let _ = fs::write(light.join("brightness"), if on { "255" } else { "0" });
    }
}

fn lights(leds: &Path) -> Vec<std::path::PathBuf> {
    let paths = NAMES.iter().map(|name| leds.join(name));
    paths.filter(|path| path.join("brightness").exists()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_kernel_is_told_to_blink_the_activity_light_and_no_other() {
        let leds = tempfile::tempdir().unwrap();
        for name in ["ACT", "mmc0::"] {
            fs::create_dir(leds.path().join(name)).unwrap();
            fs::write(leds.path().join(name).join("brightness"), "0").unwrap();
        }
        blink_evenly(leds.path());
        let read = |path: &str| fs::read_to_string(leds.path().join(path)).ok();
        assert_eq!(read("ACT/trigger").unwrap(), "timer");
        assert_eq!(read("ACT/delay_on"), read("ACT/delay_off"));
        assert_eq!(read("mmc0::/trigger"), None);
    }

    /// What a person sees of a pattern in that time: how often it flashed before each dark that ends a group, and how long
    /// all of it took.
    fn seen(pattern: Pattern, time: Duration) -> (Vec<u32>, Duration) {
        let (lit, dark) = (Cell::new(0), Cell::new(true));
        let (mut groups, mut passed) = (Vec::new(), Duration::ZERO);
        flash(
            pattern,
            time,
            |on| {
                dark.set(!on);
                lit.set(lit.get() + u32::from(on));
            },
            |pause| {
                passed += pause;
                if pause == PAUSE {
                    assert!(dark.get(), "the light is on between two groups");
                    groups.push(lit.take());
                }
            },
        );
        (groups, passed)
    }

    #[test]
    fn a_board_that_stands_still_flashes_in_groups_for_as_long_as_it_is_told() {
        for (pattern, count, groups) in [
            (Pattern::DataUnusable, 2, 4),
            (Pattern::NoSlot, 3, 3),
            (Pattern::Stopped, 4, 3),
        ] {
            let time = Duration::from_secs(11);
            assert_eq!(seen(pattern, time), (vec![count; groups], time), "{pattern:?}");
            // Not even one group: dark, and for that long.
            let time = Duration::from_secs(1);
            assert_eq!(seen(pattern, time), (Vec::new(), time), "{pattern:?}");
        }
    }

    #[test]
    fn a_light_is_on_and_off() {
        let leds = tempfile::tempdir().unwrap();
        fs::create_dir(leds.path().join("led0")).unwrap();
        fs::write(leds.path().join("led0/brightness"), "0").unwrap();
        let lights = lights(leds.path());
        for (on, brightness) in [(true, "255"), (false, "0")] {
            set(&lights, on);
            assert_eq!(fs::read_to_string(lights[0].join("brightness")).unwrap(), brightness);
        }
    }

    #[test]
    fn patterns_are_told_apart_by_counting() {
        let counts: Vec<_> = [
            Pattern::WithoutData,
            Pattern::DataUnusable,
            Pattern::NoSlot,
            Pattern::Stopped,
        ]
        .map(Pattern::flashes)
        .into();
        let mut different = counts.clone();
        different.dedup();
        assert_eq!(counts, different);
    }
}
