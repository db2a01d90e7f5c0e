//! Any bytes as a certificate, in PEM and, in a frame of ours, in DER.
#![no_main]

use computatom_compose_fuzz::{generate, machine, put};
use libfuzzer_sys::fuzz_target;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fuzz_target!(|data: &[u8]| {
    let mut system = machine();
    put(&mut system, "/etc/ca-certificates.conf", b"x.crt\n");
    put(&mut system, "/usr/share/ca-certificates/x.crt", data);
    put(
        &mut system,
        "/usr/local/share/ca-certificates/y.crt",
        framed(data).as_bytes(),
    );
    generate(&mut system, "ca-certificates");
});

fn framed(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for three in der.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            text.push(if at <= three.len() {
                char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text + "\n-----END CERTIFICATE-----\n"
}
