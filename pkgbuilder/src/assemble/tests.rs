use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use super::testing::{image, lock, oracle, packages, rootfs, with_kernel};
use super::*;
use crate::fetch::summed::Summed;

fn build(out: &Path, cache: &Path, change: impl FnOnce(&mut Image)) -> Result<DiskImage> {
    build_of(rootfs(&with_kernel()), out, cache, change)
}

fn build_of(rootfs: Rootfs, out: &Path, cache: &Path, change: impl FnOnce(&mut Image)) -> Result<DiskImage> {
    let mut image = image();
    change(&mut image);
    let job = Job {
        image: &image,
        target: &image.targets[0],
        lock: &lock(),
        packages: &packages(),
        out,
        cache: &Cache::at(cache)?,
        level: 3,
        formats: &[Format::Img, Format::Zst],
    };
    assemble(rootfs, &job, &Reporter::new(true))
}

/// Everything in a folder but the lock.
fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

#[test]
fn an_image_and_its_companions() {
    let folder = tempfile::tempdir().unwrap();
    let (out, cache) = (folder.path().join("out"), folder.path().join("cache"));
    let made = build(&out, &cache, |_| {}).unwrap();
    let expected = ["SHA256SUMS", "bmap", "img", "img.zst", "manifest.json", "spdx.json"].map(|suffix| {
        if suffix == "SHA256SUMS" {
            suffix.to_owned()
        } else {
            format!("test-raspberrypi-arm64.{suffix}")
        }
    });
    assert_eq!(listing(&out), expected);
    oracle(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&out));

    let raw = made.file(Format::Img).unwrap();
    let unpacked = folder.path().join("unpacked.img");
    oracle(
        Command::new("zstd")
            .args(["-q", "-d"])
            .arg(made.file(Format::Zst).unwrap())
            .arg("-o")
            .arg(&unpacked),
    );
    oracle(Command::new("cmp").arg(raw).arg(&unpacked));
    let verified = oracle(Command::new("sfdisk").arg("--verify").arg(raw));
    assert!(verified.contains("No errors detected"), "{verified}");

    let table = Table::read(&File::open(raw).unwrap()).unwrap();
    let root = table.get(computatom_spec::boot::mbr::ROOT_A).unwrap();
    let about = oracle(
        Command::new("unsquashfs")
            .args(["-s", "-o", &root.start.to_string()])
            .arg(raw),
    );
    assert!(about.contains("Compression zstd"), "{about}");
    let autoboot = oracle(
        Command::new("mtype")
            .arg("-i")
            .arg(format!("{}@@4M", raw.display()))
            .arg("::autoboot.txt"),
    );
    assert!(
        autoboot.starts_with("[all]\ntryboot_a_b=1\nboot_partition=2\n"),
        "{autoboot}"
    );

    let manifest: Manifest = serde_json::from_slice(&std::fs::read(&made.manifest).unwrap()).unwrap();
    let mut expected = packages();
    for package in &mut expected {
        "no copyright file in the image".clone_into(&mut package.license_from);
    }
    assert_eq!(manifest.packages, expected);
    assert!(manifest.files.contains_key("/usr/bin/ping"));
    let labels: Vec<&str> = manifest.volumes.keys().map(String::as_str).collect();
    assert_eq!(labels, ["BOOTSEL", "BOOT_A", "BOOT_B"]);
    assert!(manifest.volumes["BOOT_A"].contains_key("cmdline.txt"));
}

#[test]
fn what_is_read_out_of_an_image_is_what_was_written_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = build(&folder.path().join("out"), &folder.path().join("cache"), |_| {}).unwrap();
    let written: Manifest = serde_json::from_slice(&std::fs::read(&made.manifest).unwrap()).unwrap();
    let sbom: serde_json::Value = serde_json::from_slice(&std::fs::read(&made.sbom).unwrap()).unwrap();
    for path in [made.file(Format::Zst).unwrap(), made.file(Format::Img).unwrap()] {
        // Whatever lies beside it, and whatever it is called.
        let elsewhere = folder.path().join("elsewhere");
        std::fs::copy(path, &elsewhere).unwrap();
        let image = crate::inspect::image::Opened::open(&elsewhere, &Reporter::new(true)).unwrap();
        assert_eq!(image.whole_manifest().unwrap(), written);
        assert_eq!(crate::inspect::package::of_image(&image).unwrap(), sbom);
    }
}

#[test]
fn images_that_are_none_or_are_cut_off_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let made = build(&folder.path().join("out"), &folder.path().join("cache"), |_| {}).unwrap();
    let path = folder.path().join("x.img.zst");
    let said = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = crate::inspect::image::Opened::open(&path, &Reporter::new(true)).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        format!("{error:#}")
    };
    let bytes = std::fs::read(made.file(Format::Zst).unwrap()).unwrap();
    let cut = said(&bytes[..bytes.len() / 2]);
    assert!(cut.contains("ends early") || cut.contains("is not an image"), "{cut}");
    assert!(said(&bytes[..bytes.len() - 7]).contains("ends early"));
    assert!(said(b"").contains("is not an image"));
    assert!(said(&vec![0; 1 << 20]).contains("is not an image"));
    let mut empty = vec![0; 1 << 20];
    empty[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert!(said(&empty).contains("no partition of it holds a squashfs"));
    let raw = std::fs::read(made.file(Format::Img).unwrap()).unwrap();
    assert!(said(&raw[..raw.len() / 3]).contains("is not an image"));
}

#[test]
fn bmaptool_burns_over_a_used_card() {
    let folder = tempfile::tempdir().unwrap();
    let made = build(&folder.path().join("out"), &folder.path().join("cache"), |_| {}).unwrap();
    let card = folder.path().join("card");
    std::fs::write(&card, vec![0xff; usize::try_from(made.size).unwrap()]).unwrap();
    oracle(
        Command::new("bmaptool")
            .arg("copy")
            .arg("--bmap")
            .arg(made.bmap.as_ref().unwrap())
            .arg(made.file(Format::Zst).unwrap())
            .arg(&card),
    );
    firmware::check(
        &File::open(&card).unwrap(),
        &[firmware::Board::Pi3, firmware::Board::Pi4],
    )
    .unwrap();
    let table = Table::read(&File::open(&card).unwrap()).unwrap();
    for number in 1..=3 {
        let partition = table.get(number).unwrap();
        let volume = folder.path().join("volume");
        oracle(
            Command::new("dd")
                .args(["bs=4M", "status=none"])
                .arg(format!("if={}", card.display()))
                .arg(format!("of={}", volume.display()))
                .arg(format!("skip={}", partition.start >> 22))
                .arg(format!("count={}", partition.size >> 22)),
        );
        oracle(Command::new("fsck.vfat").arg("-n").arg(&volume));
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let sums = |out: &str, cache: &str, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let made = pool.install(|| build(&folder.path().join(out), &folder.path().join(cache), |_| {}));
        std::fs::read_to_string(made.unwrap().sums).unwrap()
    };
    let first = sums("a", "cache", 2);
    assert_eq!(first, sums("b", "cache", 1));
    assert_eq!(first, sums("c", "another", 1));
}

#[test]
fn a_root_that_does_not_fit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let build = |noise: u32| {
        let mut tree = with_kernel();
        let noise: Vec<u8> = (0..noise << 18)
            .flat_map(|word| word.wrapping_mul(2_654_435_761).rotate_left(word % 31).to_le_bytes())
            .collect();
        tree.write("/noise", noise, 0o644).unwrap();
        let four = |image: &mut Image| image.partitions.root_mib = 4;
        let error = build_of(rootfs(&tree), &out, &folder.path().join("cache"), four).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        assert_eq!(listing(&out), Vec::<String>::new());
        error.to_string()
    };
    let says = |has: u64, biggest: &str| {
        format!(
            "the root file system has {has} MiB with its hash tree and its partition 4 MiB, which is {} too few: raise \
             `partitions.root_mib` to at least {has}, or leave packages out; the biggest, before compression: {biggest}",
            has - 4
        )
    };
    // It ends in slot B's partition, or behind the whole image.
    let biggest = "/zeros 5.0 MiB, /copy 3.8 MiB, /holes 3.8 MiB, /large 3.8 MiB";
    assert_eq!(build(0), says(7, &format!("{biggest}, /usr/bin/ping 2.9 KiB")));
    assert_eq!(build(12), says(19, &format!("/noise 12.0 MiB, {biggest}")));
}

#[test]
fn nothing_that_is_made_of_rotten_packages_has_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (out, payload) = (folder.path().join("out"), folder.path().join("payload"));
    let build = |broken: bool, kept: &[u8], target: &str| {
        let mut rootfs = rootfs(&with_kernel());
        if broken {
            let module = "/usr/lib/modules/6.12.10+deb13-arm64/kernel/drivers/md/dm-verity.ko.xz";
            rootfs.tree.write(module, "no xz", 0o644).unwrap();
        }
        std::fs::write(&payload, kept).unwrap();
        rootfs.reading = Reading::of(&payload);
        let error = build_of(rootfs, &out, &folder.path().join("cache"), |image| {
            target.clone_into(&mut image.targets[0].name);
        });
        (format!("{:#}", error.unwrap_err()), payload.exists())
    };
    let (rotten, sound) = (b"rotten".as_slice(), Summed::new(Vec::new()).finish().unwrap());
    let (disk, container) = ("raspberrypi-arm64", container::NAME_ARM64);
    for (broken, kept, target) in [
        (false, rotten, disk),
        (false, rotten, container),
        // Something fails before all was read, and would be told in its place.
        (true, rotten, disk),
        (true, sound.as_slice(), disk),
    ] {
        let (error, left) = build(broken, kept, target);
        let is_sound = kept == sound;
        assert_eq!(error.contains("was removed"), !is_sound, "{error}");
        assert_eq!(error.contains("dm-verity.ko.xz"), is_sound, "{error}");
        assert_eq!(left, is_sound);
        assert_eq!(listing(&out), Vec::<String>::new());
    }
}

#[test]
fn an_output_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = build(&file.join("out"), &folder.path().join("cache"), |_| {}).unwrap_err();
    assert!(format!("{error:#}").contains("output folder"), "{error:#}");
}

#[test]
fn two_builds_at_once_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::thread::scope(|scope| {
        let builds: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| build(&out, &folder.path().join("cache"), |_| {}).unwrap()))
            .collect();
        for build in builds {
            build.join().unwrap();
        }
    });
    oracle(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&out));
    assert_eq!(listing(&out).len(), 6);
}

/// Runs itself on a file system of 4 MiB, in a mount namespace of its own (needs root, or unprivileged user namespaces).
#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    const INSIDE: &str = "COMPUTATOM_TEST_SMALL_DISK";
    if let Some(disk) = std::env::var_os(INSIDE).map(PathBuf::from) {
        let cache = tempfile::tempdir().unwrap();
        let error = build(&disk.join("out"), cache.path(), |_| {}).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 1);
        assert!(
            format!("{error:#}").contains("no space left for the image"),
            "{error:#}"
        );
        assert_eq!(listing(&disk.join("out")), Vec::<String>::new());
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m tmpfs \"$1\" && shift && exec \"$@\"";
    oracle(
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(disk.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "assemble::tests::a_full_disk_is_said_and_leaves_nothing"])
            .env(INSIDE, disk.path()),
    );
}

/// `COMPUTATOM_TREE=root.tar COMPUTATOM_OUT=folder cargo test --release -p pkgbuilder whole_image -- --ignored --nocapture`:
/// time and size of an image of a real arm64 root with kernel and firmware in it.
#[test]
#[ignore = "needs a tar archive of a root file system"]
fn measure_a_whole_image() {
    let path = |name: &str| PathBuf::from(std::env::var_os(name).unwrap());
    let mut image = image();
    image.partitions = crate::definition::image::Partitions {
        bootsel_mib: 16,
        boot_mib: 256,
        root_mib: 1024,
    };
    let mut tree = super::testing::from_tar(&path("COMPUTATOM_TREE"));
    tree.mkdir_all("/usr/lib/computatom", 0o755).unwrap();
    tree.write(computatom_spec::paths::INIT, "#!/bin/sh\n", 0o755).unwrap();
    let out = path("COMPUTATOM_OUT");
    for run in ["first", "second"] {
        let job = Job {
            image: &image,
            target: &image.targets[0],
            lock: &lock(),
            packages: &packages(),
            out: &out.join(run),
            cache: &Cache::at(&out.join("cache")).unwrap(),
            level: squashfs::LEVEL,
            formats: &[Format::Img, Format::Zst],
        };
        let start = std::time::Instant::now();
        let made = assemble(rootfs(&tree), &job, &Reporter::new(false)).unwrap();
        println!(
            "{run}: {:?}, {} MiB",
            start.elapsed(),
            made.file(Format::Zst).unwrap().metadata().unwrap().len() >> 20
        );
    }
}
