//! `pkgbuilder burn` as people call it: on files, and as root on loop devices of its own.

#![allow(clippy::unwrap_used, reason = "tests")]

/// Block devices: what the kernel says and does.
mod devices;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "../report/mod.rs"]
mod report;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const MIB: usize = 1 << 20;

/// Bytes that look like nothing.
fn noise(length: usize) -> Vec<u8> {
    let words = (0..u32::try_from(length / 4).unwrap()).map(|word| word.wrapping_mul(2_654_435_761) ^ 0x5bd1_e995);
    words.flat_map(u32::to_le_bytes).collect()
}

fn burn(arguments: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
    command.arg("burn").args(arguments).stdin(Stdio::null());
    command
}

/// Exit code and what was said.
fn run(command: &mut Command) -> (i32, String) {
    judged(&command.output().unwrap())
}

fn judged(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// An image of `length` bytes in a folder, with a partition table as sfdisk makes it.
fn image(folder: &Path, length: usize) -> PathBuf {
    let path = folder.join("x.img");
    fs::write(&path, noise(length)).unwrap();
    let script = format!(
        "printf 'label: dos\\n8192,8192,c\\n16384,,83\\n' | sfdisk -q {}",
        path.display()
    );
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    path
}

#[test]
fn without_a_device_nothing_is_written_and_the_cards_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path(), 16 * MIB);
    let (code, said) = run(&mut burn(&[&path]));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("name one of them") || said.contains("there is no card"),
        "{said}"
    );
    let output = burn(&[&path]).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for drive in listed.as_array().unwrap() {
        assert_eq!(drive["removable"], true, "{drive}");
    }
    assert_eq!(run(&mut burn(&[&folder.path().join("none.img")])).0, 2);
}

#[test]
fn files_are_burned_with_consent_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path(), 16 * MIB);
    let target = folder.path().join("card");
    let (code, said) = run(&mut burn(&[&path, &target]));
    assert!(code == 2 && said.contains("there is no "), "{said}");

    fs::write(&target, vec![9; 20 * MIB]).unwrap();
    let (code, said) = run(&mut burn(&[&path, &target]));
    assert!(code == 2 && said.contains("say --yes"), "{said}");
    assert!(fs::read(&target).unwrap() == vec![9; 20 * MIB]);
    let (code, said) = run(burn(&[&path, &target]).arg("--yes"));
    assert!(code == 0 && said.contains("read back in"), "{said}");
    let burned = fs::read(&target).unwrap();
    assert!(burned[..16 * MIB] == fs::read(&path).unwrap() && burned[16 * MIB..] == vec![9; 4 * MIB]);

    fs::write(&target, [9; 10]).unwrap();
    let (code, said) = run(burn(&[&path, &target]).arg("--yes"));
    assert!(
        code == 2 && said.contains("has 10 bytes") && said.contains("needs 16777216"),
        "{said}"
    );
    fs::write(&target, b"").unwrap();
    let (code, said) = run(&mut burn(&[&path, &target]));
    assert_eq!(code, 0, "{said}");
    assert!(fs::read(&target).unwrap() == fs::read(&path).unwrap());

    let (code, said) = run(burn(&[&path, &target]).args(["--yes", "--keep-data"]));
    assert!(code == 2 && said.contains("which keeping DATA takes"), "{said}");
    assert!(fs::read(&target).unwrap() == fs::read(&path).unwrap());
    for nothing in [Path::new("/dev/null"), folder.path()] {
        let (code, said) = run(burn(&[&path, nothing]).arg("--yes"));
        assert!(
            code == 2 && said.contains("neither a block device nor a file"),
            "{said}"
        );
    }
}

#[test]
fn ctrl_c_leaves_no_table_and_the_next_run_burns_it() {
    const SIZE: usize = 384 * MIB;
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path(), 16 * MIB);
    let first = fs::read(&path).unwrap();
    let source = fs::File::options().write(true).open(&path).unwrap();
    for at in (16 * MIB..SIZE).step_by(16 * MIB) {
        source.write_all_at(&first, at as u64).unwrap();
    }
    let target = folder.path().join("card");
    fs::write(&target, &first).unwrap();
    let card = fs::File::options().read(true).write(true).open(&target).unwrap();
    card.set_len(SIZE as u64).unwrap();
    let mut command = burn(&[&path, &target]);
    let child = command
        .arg("--yes")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let mut byte = [0; 8];
    while byte == [0; 8] {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing was written");
        card.read_exact_at(&mut byte, 20 << 20).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (code, said) = judged(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{said}");
    assert!(
        said.contains("no partition table now, so no board starts from it"),
        "{said}"
    );
    let mut table = [1; 4096];
    card.read_exact_at(&mut table, 0).unwrap();
    assert_eq!(table, [0; 4096]);

    let (code, said) = run(burn(&[&path, &target]).arg("--yes"));
    assert_eq!(code, 0, "{said}");
    assert!(Command::new("cmp").args([&path, &target]).status().unwrap().success());
}
