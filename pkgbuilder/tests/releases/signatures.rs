//! Whose detached signatures count, and what gpgv says of the same ones.

use pkgbuilder::verify::openpgp::Keyring;

use crate::server::gpg::Gpg;

const DATA: &[u8] = b"what was signed\n";
/// Between the making of keys and today.
const AT: &str = "20240601";

/// Who signed, or the reason why it does not count.
fn verify(gpg: &Gpg, key: &str, data: &[u8], signature: &[u8]) -> Result<String, String> {
    let keyring = Keyring::read(&gpg.public(key)).unwrap();
    keyring
        .verify_detached("the signature", data, signature)
        .map(|signer| {
            assert_eq!(signer.key, key);
            signer.component
        })
        .map_err(|error| {
            assert_eq!(pkgbuilder::failure::exit_code(&error), 2);
            error.to_string()
        })
}

#[track_caller]
fn refused(gpg: &Gpg, key: &str, signature: &[u8], why: &str) {
    let error = verify(gpg, key, DATA, signature).unwrap_err();
    assert!(error.contains(why), "{error}");
}

fn judged(gpg: &Gpg, key: &str, signature: &[u8]) -> Option<String> {
    gpg.judge(key, DATA, signature)
}

#[test]
fn a_primary_key_and_a_subkey_sign() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let subkey = gpg.subkey(&key, "20200101", "0");
    for signer in [&key, &subkey] {
        let signature = gpg.sign(signer, AT, DATA);
        assert_eq!(verify(&gpg, &key, DATA, &signature).as_ref(), Ok(signer));
        assert_eq!(judged(&gpg, &key, &signature).as_deref(), Some("GOODSIG"));
        let armored = gpg.sign_with(signer, AT, DATA, &["--armor"]);
        assert_eq!(verify(&gpg, &key, DATA, &armored).as_ref(), Ok(signer));
    }
}

#[test]
fn changed_data_and_strangers_do_not_count() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let stranger = gpg.key("stranger", "20200101");
    let signature = gpg.sign(&key, AT, DATA);
    let error = verify(&gpg, &key, b"what was not signed\n", &signature).unwrap_err();
    assert!(error.contains("what it signs was changed"), "{error}");
    assert_eq!(gpg.judge(&key, b"what was not signed\n", &signature), None);

    let foreign = gpg.sign(&stranger, AT, DATA);
    refused(
        &gpg,
        &key,
        &foreign,
        &format!("is by {stranger}, not by the trusted key {key}"),
    );
    assert_eq!(judged(&gpg, &key, &foreign), None);

    // Several signatures in one file: one good one is enough, wherever it stands.
    let both = [foreign, signature].concat();
    assert_eq!(verify(&gpg, &key, DATA, &both), Ok(key.clone()));
    assert_eq!(judged(&gpg, &key, &both), None);
}

#[test]
fn what_is_no_signature() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    for bytes in [
        &b""[..],
        b"hello\n",
        b"\x00\x01\x02",
        b"-----BEGIN PGP SIGNATURE-----\n\n=aaaa\n",
    ] {
        assert!(verify(&gpg, &key, DATA, bytes).is_err(), "{bytes:?}");
        assert_eq!(judged(&gpg, &key, bytes), None);
    }
}

#[test]
fn a_key_that_expired_later_could_sign() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let subkey = gpg.subkey(&key, "20240101", "1y");
    let signature = gpg.sign(&subkey, AT, DATA);
    assert_eq!(verify(&gpg, &key, DATA, &signature), Ok(subkey));
    assert_eq!(judged(&gpg, &key, &signature).as_deref(), Some("EXPKEYSIG"));
}

#[test]
fn a_key_that_had_expired_could_not() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let signature = gpg.sign(&key, AT, DATA);
    gpg.expire(&key, "20200102", "2021-01-01");
    refused(&gpg, &key, &signature, "the key had expired or was revoked");
    // gpgv leaves it to its caller to look for this word; we do not accept it.
    assert_eq!(judged(&gpg, &key, &signature).as_deref(), Some("EXPKEYSIG"));

    let key = gpg.key("other", "20200101");
    let subkey = gpg.subkey(&key, "20200101", "0");
    let signature = gpg.sign(&subkey, AT, DATA);
    gpg.expire_subkey(&key, &subkey, "20200102", "2021-01-01");
    refused(&gpg, &key, &signature, "the key had expired or was revoked");
}

#[test]
fn a_revoked_key_counts_no_more() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let signature = gpg.sign(&key, AT, DATA);
    gpg.revoke(&key, "20250101", 0);
    refused(&gpg, &key, &signature, "the key had expired or was revoked");
    assert_eq!(judged(&gpg, &key, &signature).as_deref(), Some("REVKEYSIG"));
}

#[test]
fn a_key_that_was_superseded_had_signed() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let before = gpg.sign(&key, AT, DATA);
    let after = gpg.sign(&key, "20250601", DATA);
    gpg.revoke(&key, "20250101", 2);
    assert_eq!(verify(&gpg, &key, DATA, &before), Ok(key.clone()));
    refused(&gpg, &key, &after, "the key had expired or was revoked");
    for signature in [before, after] {
        assert_eq!(judged(&gpg, &key, &signature).as_deref(), Some("REVKEYSIG"));
    }
}

#[test]
fn a_signature_from_the_future_does_not_count() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let signature = gpg.sign(&key, "20900101", DATA);
    refused(&gpg, &key, &signature, "is not good");
    assert_eq!(judged(&gpg, &key, &signature).as_deref(), Some("GOODSIG"));
}

#[test]
fn a_digest_that_can_be_forged_does_not_count() {
    let gpg = Gpg::new();
    let key = gpg.key("publisher", "20200101");
    let weak = gpg.sign_with(&key, AT, DATA, &["--digest-algo", "SHA1"]);
    refused(&gpg, &key, &weak, "is not good");
    assert_eq!(judged(&gpg, &key, &weak).as_deref(), Some("GOODSIG"));
}

#[test]
fn the_key_of_hashicorp_is_the_one_that_is_named() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let fingerprint = "C874011F0AB405110D02105534365D9472D7468F";
    let path = root.join(format!("jsonnet/keys/{fingerprint}.asc"));
    Keyring::publisher(&path, fingerprint).unwrap();
    let other = "374EC75B485913604A831CC7C820C6D5CD27AB87";
    assert!(Keyring::publisher(&path, other).is_err(), "a subkey is not the key");
}
