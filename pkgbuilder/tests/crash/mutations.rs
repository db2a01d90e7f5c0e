//! What the harness must notice: each time something is done as it must not be, and some cut does not come up.

use computatom_agent::disk::BlockDevice;

use super::card::Event;
use super::{CARD, first_boot, growth, image, updated, used};

fn holds(event: &Event, text: &[u8]) -> bool {
    matches!(event, Event::Write(_, bytes) if bytes.windows(text.len()).any(|window| window == text))
}

#[test]
fn barriers_that_are_left_out() {
    let image = image::raspberrypi(CARD, false);
    let card = image::burned_again(&image, &used(&image));
    let scenario = first_boot("a first boot without barriers", &image, card);
    scenario.would_notice("no barriers", |events| {
        events.retain(|event| !matches!(event, Event::Flush));
        0
    });
}

#[test]
fn a_table_that_names_data_before_its_file_system_is_announced() {
    let image = image::raspberrypi(CARD, false);
    let card = image::burned_again(&image, &used(&image));
    let scenario = first_boot("the link before what it leads to", &image, card);
    scenario.would_notice("the table first", |events| {
        // The writes of the table end where the state is written for the first time after them; the first of all
        // writes empty DATA and announce it.
        let link = events.iter().rposition(|event| is_table(event, image.end)).unwrap();
        let Event::Write(..) = &events[link] else {
            panic!("a table is written")
        };
        let link = events.remove(link);
        events.insert(0, Event::Flush);
        events.insert(0, link);
        events.remove(events.len() - 1);
        0
    });
}

/// A sector with 55 aa at its end, of the table before DATA.
fn is_table(event: &Event, end: u64) -> bool {
    matches!(event, Event::Write(at, bytes) if *at < end && bytes.len() == 512 && bytes.ends_with(&[0x55, 0xaa]))
}

#[test]
fn a_file_system_that_is_called_made_before_it_is() {
    let image = image::raspberrypi(CARD, false);
    let scenario = first_boot("made before it is", &image, image.bytes.clone());
    scenario.would_notice("the state first", |events| {
        let made = events.iter().position(|event| holds(event, b"data=made")).unwrap();
        let begun = events
            .iter()
            .rposition(|event| holds(event, b"data=formatting"))
            .unwrap();
        let state = events.remove(made);
        events.insert(begun + 1, state);
        // The barrier behind it, and some of what mke2fs writes.
        begun + 6
    });
}

#[test]
fn a_backup_of_a_gpt_that_is_written_with_the_primary() {
    let image = image::uefi(CARD, false);
    let scenario = growth("both at once", &image);
    let size = scenario.card.size().unwrap();
    scenario.would_notice("both halves of a GPT at once", |events| {
        // The barriers before the file system's check: all of the table's.
        let last = events
            .iter()
            .rposition(|event| matches!(event, Event::Write(at, _) if *at < 34 * 512 || *at >= size - 34 * 512))
            .unwrap();
        let mut index = 0;
        events.retain(|event| {
            index += 1;
            index > last || !matches!(event, Event::Flush)
        });
        0
    });
}

#[test]
fn a_commit_that_is_not_waited_for() {
    let image = image::raspberrypi(CARD, true);
    let scenario = updated("a commit without a barrier", &image);
    scenario.would_notice("a commit that is not waited for", |events| {
        let commit = events
            .iter()
            .rposition(|event| holds(event, b"boot_partition=3\n[tryboot]"))
            .unwrap();
        // Up to the end: as if nobody ever waited again.
        let mut index = 0;
        events.retain(|event| {
            index += 1;
            index <= commit || !matches!(event, Event::Flush)
        });
        commit
    });
}
