//! Any text as stanzas, and any value as relations and as a version.
#![no_main]

use computatom_compose::deb::relation::Relations;
use computatom_compose::deb::stanza::Stanza;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Stanza::parse(text);
    for stanza in Stanza::parse_all(text).unwrap_or_default() {
        for (_, value) in stanza.iter() {
            if let Ok(relations) = Relations::parse(value) {
                for relation in relations.flat() {
                    if let Some((_, version)) = &relation.version {
                        assert_eq!(version.cmp(version), std::cmp::Ordering::Equal);
                        let _ = relation.accepts(version);
                    }
                }
            }
        }
    }
});
