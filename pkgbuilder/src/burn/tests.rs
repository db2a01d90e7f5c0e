use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::medium::Opened;
use super::super::testing::{Card, MIB, OLD, Sample, burn_to, noise, open, said};

#[test]
fn an_image_in_any_form_comes_to_the_same_card() {
    let sample = Sample::usual();
    let mut whole = sample.content.clone();
    whole.resize(16 * MIB, OLD);
    let mapped = sample.expected(16 * MIB, &Sample::USUAL);
    let forms: [(&str, &dyn Fn() -> PathBuf); 6] = [
        ("raw", &|| sample.raw()),
        ("frames of pieces", &|| sample.framed(4 * MIB)),
        ("frames of another size", &|| sample.framed(300_000)),
        ("a large frame", &|| sample.framed(13 * MIB)),
        ("a stream", &|| sample.streamed()),
        ("xz", &|| sample.xz()),
    ];
    for (form, make) in forms {
        let path = make();
        let _ = std::fs::remove_file(sample.path("x.bmap"));
        let card = Card::used(16 * MIB);
        let burned = burn_to(&path, &card).unwrap();
        assert!(card.content() == whole, "{form}");
        assert_eq!(burned.written, 13 << 20, "{form}");

        sample.map(&Sample::USUAL);
        let card = Card::used(16 * MIB);
        let burned = burn_to(&path, &card).unwrap();
        assert!(card.content() == mapped, "{form}, with a map");
        assert_eq!(burned.written, (3 << 20) + 4 * 4096, "{form}");
    }
}

#[test]
fn the_table_goes_first_and_comes_last() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let card = Card::used(16 * MIB);
    burn_to(&sample.raw(), &card).unwrap();
    let writes = card.writes.into_inner().unwrap();
    assert_eq!(writes.first(), Some(&(0..1 << 20)));
    assert_eq!(writes.last(), Some(&(0..4096)));
    let between = &writes[1..writes.len() - 1];
    assert!(between.iter().all(|range| range.start >= 4096), "{between:?}");
    assert!(between.is_sorted_by_key(|range| range.start), "{between:?}");
}

/// However burning ends, a card is whole or has no table.
fn no_table(card: &Card) -> bool {
    card.content()[..512].iter().all(|byte| *byte == 0)
}

#[test]
fn worn_and_counterfeit_cards_are_found_out_and_do_not_start() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let image = sample.framed(4 * MIB);
    let worn = Card {
        worn_at: Some(9 << 20),
        ..Card::used(16 * MIB)
    };
    let error = said(burn_to(&image, &worn));
    for part in [
        "writing the card",
        "blocks 2304 to 2305",
        "worn",
        "another reader",
        "no partition table",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(no_table(&worn));

    let stuck = Card {
        stuck_at: Some((5 << 20) + 5000),
        ..Card::used(16 * MIB)
    };
    let error = said(burn_to(&image, &stuck));
    assert!(
        error.contains("block 1281 (from byte 5246976) reads back other bytes"),
        "{error}"
    );
    assert!(no_table(&stuck));

    let counterfeit = Card {
        wraps_at: Some(6 << 20),
        ..Card::used(16 * MIB)
    };
    let error = said(burn_to(&image, &counterfeit));
    assert!(error.contains("counterfeit"), "{error}");
    assert!(no_table(&counterfeit));

    let first = Card {
        stuck_at: Some(3),
        ..Card::used(16 * MIB)
    };
    assert!(said(burn_to(&image, &first)).contains("its first block"));
    assert!(first.content()[4..512].iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_run_mends_what_the_first_has_left() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let image = sample.framed(4 * MIB);
    let mut card = Card {
        worn_at: Some(9 << 20),
        ..Card::used(16 * MIB)
    };
    burn_to(&image, &card).unwrap_err();
    card.worn_at = None;
    burn_to(&image, &card).unwrap();
    assert!(card.content() == sample.expected(16 * MIB, &Sample::USUAL));
}

#[test]
fn images_that_are_not_what_they_should_be_are_refused() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let path = sample.framed(4 * MIB);
    sample.sums(&["x.img.zst", "x.bmap"]);
    assert!(open(&path).unwrap().vouched());
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[3 * MIB] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    assert!(said(open(&path)).contains("is not what SHA256SUMS beside it says"));
    std::fs::write(&path, &good[..good.len() - 5]).unwrap();
    assert!(said(open(&path)).contains("is not what SHA256SUMS beside it says"));

    // Without a list: cut off, or of another build than its map.
    std::fs::remove_file(sample.path("SHA256SUMS")).unwrap();
    assert!(said(open(&path)).contains("it ends early"));
    let card = Card::used(16 * MIB);
    let other = zstd::bulk::compress(&sample.content[..4 * MIB], 1).unwrap();
    std::fs::write(&path, [other, noise(0, 0)].concat()).unwrap();
    assert!(said(open(&path)).contains("not of one build"));
    let mut content = sample.content.clone();
    content[5 * MIB] ^= 1;
    let changed = Sample { content, ..sample };
    let path = changed.framed(4 * MIB);
    assert!(said(burn_to(&path, &card)).contains("do not belong together: bytes 4194304 to 7340031"));
    assert!(no_table(&card));

    let text = std::fs::read_to_string(changed.path("x.bmap")).unwrap();
    std::fs::write(changed.path("x.bmap"), text.replace("<ImageSize>", "<Size>")).unwrap();
    assert!(said(open(&path)).contains("cannot be used: it has no ImageSize"));
    std::fs::remove_file(changed.path("x.bmap")).unwrap();
    std::fs::write(&path, b"not compressed").unwrap();
    assert!(said(open(&path)).contains("not compressed as its name says"));
    std::fs::write(changed.path("x.img"), b"").unwrap();
    assert!(said(open(&changed.path("x.img"))).contains("is empty"));
    for nothing in ["nothing.img", "."] {
        let error = open(&changed.path(nothing)).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}

#[test]
fn a_file_takes_the_place_of_a_card() {
    // No multiple of any block.
    let sample = Sample::new(noise(5 * MIB + 513, 4));
    let path = sample.xz();
    let target = sample.path("card");
    std::fs::write(&target, vec![OLD; 6 * MIB]).unwrap();
    let mut medium = Opened::open(&target).unwrap();
    medium.fit(sample.content.len() as u64).unwrap();
    burn_to(&path, &medium).unwrap();
    let card = std::fs::read(&target).unwrap();
    assert!(card[..sample.content.len()] == sample.content);
    assert!(card[sample.content.len()..].iter().all(|byte| *byte == OLD) && card.len() == 6 * MIB);

    std::fs::write(&target, b"").unwrap();
    let mut medium = Opened::open(&target).unwrap();
    medium.fit(sample.content.len() as u64).unwrap();
    burn_to(&path, &medium).unwrap();
    assert!(std::fs::read(&target).unwrap() == sample.content);
    assert!(said(Opened::open(Path::new("/dev/null"))).contains("neither a block device nor a file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_card_is_the_image_wherever_the_map_says(
        stretches in proptest::collection::vec((0_u64..700, 1_u64..700, any::<u32>()), 0..7),
        tail in 0_usize..5000,
        frame in prop_oneof![Just(4 * MIB), Just(1 << 20), 10_000_usize..9_000_000],
        with_map in any::<bool>(),
    ) {
        let (mut content, mut ranges) = (Vec::new(), Vec::new());
        for (gap, blocks, seed) in stretches {
            content.resize(content.len() + usize::try_from(gap * 4096).unwrap(), 0);
            let start = content.len() as u64;
            content.extend(noise(usize::try_from(blocks * 4096).unwrap(), seed));
            ranges.push(start..content.len() as u64);
        }
        content.resize(content.len() + tail + 1, 0);
        let sample = Sample::new(content);
        let card = Card::used(sample.content.len() + 10_000);
        let path = sample.framed(frame);
        let expected = if with_map {
            sample.map(&ranges);
            let mut expected = sample.expected(card.content().len(), &ranges);
            // The first block is written in any case.
            let head = sample.content.len().min(4096);
            expected[..head].copy_from_slice(&sample.content[..head]);
            expected
        } else {
            [sample.content.clone(), vec![OLD; 10_000]].concat()
        };
        burn_to(&path, &card).unwrap();
        prop_assert!(card.content() == expected);
    }
}
