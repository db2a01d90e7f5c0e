//! Any bytes as a package: container, compression, control archive, payload, and the tree made of it.
#![no_main]

use bytes::Bytes;
use computatom_compose::deb::Deb;
use computatom_compose::{Options, compose};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(deb) = Deb::open(&Bytes::copy_from_slice(data)) else {
        return;
    };
    let _ = (
        deb.control().conffiles(),
        deb.control().triggers(),
        deb.control().file_stem(),
    );
    let Ok(mut package) = deb.unpack() else { return };
    for entry in &package.entries {
        assert!(entry.path.starts_with('/') && !entry.path.split('/').any(|name| name == ".."));
    }
    // Scripts have a target of their own, and more steps here than one input may take.
    for script in ["config", "preinst", "postinst", "prerm", "postrm"] {
        package.control.members.remove(script);
    }
    let options = Options {
        arch: package.control.architecture.clone(),
        epoch: 1_700_000_000,
        path_rules: Vec::new(),
        auto_installed: Vec::new(),
        keep_going: true,
    };
    let _ = compose(&[package], &options, &mut |_| Ok(()));
});
