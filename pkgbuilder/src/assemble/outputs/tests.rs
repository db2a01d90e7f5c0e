use std::fs::File;
use std::path::Path;
use std::process::Command;

use computatom_compose::tree::Tree;
use computatom_spec::arch::Arch;
use serde_json::Value;

use super::super::testing::{build_image, efi_program, image, oracle, with_kernel};
use super::*;

/// A root with what a machine with UEFI is started by.
fn tree() -> Tree {
    let mut tree = with_kernel();
    tree.mkdir_all("/usr/lib/systemd/boot/efi", 0o755).unwrap();
    tree.write("/boot/vmlinuz-6.12.10+deb13-arm64", efi_program(70_000), 0o644)
        .unwrap();
    for (name, size) in [("systemd-bootx64.efi", 3000), ("linuxx64.efi.stub", 5000)] {
        tree.write(&format!("/usr/lib/systemd/boot/efi/{name}"), efi_program(size), 0o644)
            .unwrap();
    }
    tree
}

/// The tree as an image of `target`, in these formats.
fn made(folder: &Path, target: &str, formats: &[Format], disk_gib: u64) -> Result<DiskImage> {
    let mut image = image();
    target.clone_into(&mut image.targets[0].name);
    image.targets[0].arch = Arch::Amd64;
    image.disk_gib = disk_gib;
    build_image(&image, &tree(), folder, formats)
}

const ALL_OF_A_DISK: [Format; 7] = [
    Format::Img,
    Format::Zst,
    Format::Xz,
    Format::Qcow2,
    Format::Vmdk,
    Format::BoxLibvirt,
    Format::BoxVirtualbox,
];

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_format_holds_the_same_disk() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(folder.path(), "uefi-amd64", &ALL_OF_A_DISK, 3).unwrap();
    let file = |format| made.file(format).unwrap();
    oracle(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(folder.path().join("out")),
    );
    let sums = std::fs::read_to_string(&made.sums).unwrap();
    assert_eq!(sums.lines().count(), 7 + 3, "and bmap, manifest, SBOM: {sums}");

    let raw = file(Format::Img);
    let compare = |path: &Path| {
        let said = oracle(
            Command::new("qemu-img")
                .args(["compare", "-f", "raw"])
                .arg(raw)
                .arg(path),
        );
        assert!(said.contains("Images are identical"), "{said}");
        let about = oracle(Command::new("qemu-img").args(["info", "--output=json"]).arg(path));
        let about: Value = serde_json::from_str(&about).unwrap();
        about["virtual-size"].as_u64().unwrap()
    };
    for (format, program) in [(Format::Zst, "zstd"), (Format::Xz, "xz")] {
        let unpacked = folder.path().join("unpacked");
        let out = File::create(&unpacked).unwrap();
        let status = Command::new(program)
            .args(["-d", "-c"])
            .arg(file(format))
            .stdout(out)
            .status();
        assert!(status.unwrap().success());
        oracle(Command::new("cmp").arg(raw).arg(&unpacked));
    }
    for format in [Format::Qcow2, Format::Vmdk] {
        assert_eq!(compare(file(format)), 3 << 30);
    }
    for (format, disk, files) in [
        (Format::BoxLibvirt, "box.img", "metadata.json\nVagrantfile\nbox.img\n"),
        (
            Format::BoxVirtualbox,
            "box.vmdk",
            "metadata.json\nVagrantfile\nbox.ovf\nbox.vmdk\n",
        ),
    ] {
        let inside = folder.path().join(format.name());
        std::fs::create_dir(&inside).unwrap();
        let listed = oracle(Command::new("tar").arg("tf").arg(file(format)));
        assert_eq!(listed, files);
        oracle(Command::new("tar").arg("xf").arg(file(format)).arg("-C").arg(&inside));
        assert_eq!(compare(&inside.join(disk)), 3 << 30);
    }
    let metadata = json_of(&folder.path().join("box-libvirt/metadata.json"));
    assert_eq!(metadata["virtual_size"], 3);
    let machine = std::fs::read_to_string(folder.path().join("box-libvirt/Vagrantfile")).unwrap();
    assert!(
        !machine.contains('@') && machine.contains("\"/usr/share/ovmf/OVMF.fd\""),
        "{machine}"
    );
    let length = std::fs::metadata(folder.path().join("box-virtualbox/box.vmdk"))
        .unwrap()
        .len();
    let machine = std::fs::read_to_string(folder.path().join("box-virtualbox/box.ovf")).unwrap();
    assert!(machine.contains(&format!("ovf:size=\"{length}\"")), "{machine}");

    let catalogue = json_of(made.catalogue.as_ref().unwrap());
    assert_eq!(catalogue["name"], "computatom/test");
    for (provider, format) in [(0, Format::BoxLibvirt), (1, Format::BoxVirtualbox)] {
        let provider = &catalogue["versions"][0]["providers"][provider];
        assert_eq!(provider["checksum"], Sha256::of_file(file(format)).unwrap().hex());
        assert_eq!(provider["url"], format!("file://{}", file(format).display()));
    }
}

#[test]
fn a_container_is_one_layer_of_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(folder.path(), "oci-amd64", &[Format::Oci], 16).unwrap();
    let inside = folder.path().join("layout");
    std::fs::create_dir(&inside).unwrap();
    oracle(
        Command::new("tar")
            .arg("xf")
            .arg(made.file(Format::Oci).unwrap())
            .arg("-C")
            .arg(&inside),
    );
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let path = inside.join("blobs").join(digest.replace(':', "/"));
        let content = std::fs::read(&path).unwrap();
        assert_eq!(format!("sha256:{}", Sha256::of(&content)), digest);
        assert_eq!(descriptor["size"], content.len());
        path
    };
    assert_eq!(json_of(&inside.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let index = json_of(&inside.join("index.json"));
    let manifest = json_of(&blob(&index["manifests"][0]));
    let config = json_of(&blob(&manifest["config"]));
    let layer = blob(&manifest["layers"][0]);
    assert_eq!(
        json_of(&inside.join("manifest.json"))[0]["Layers"][0],
        layer.strip_prefix(&inside).unwrap().to_str().unwrap()
    );

    let plain = folder.path().join("layer.tar");
    let unpacked = Command::new("gzip")
        .args(["-d", "-c"])
        .arg(&layer)
        .stdout(File::create(&plain).unwrap())
        .status();
    assert!(unpacked.unwrap().success());
    let diff_id = Sha256::of_file(&plain).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{diff_id}"));
    assert_eq!(made.size, plain.metadata().unwrap().len());

    let mut list = Command::new("tar");
    list.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-tvvf"]);
    let listed = oracle(list.arg(&plain));
    for expected in [
        "usr/bin/ping4 link to usr/bin/ping",
        " 1000/70000 ",
        "etc/systemd/system/systemd-networkd.service -> /dev/null",
        "x: 20 security.capability",
    ] {
        assert!(listed.contains(expected), "{expected}: {listed}");
    }
    for boot in ["boot/vmlinuz", "initrd"] {
        assert!(!listed.contains(boot), "{listed}");
    }
    let written: Manifest = serde_json::from_slice(&std::fs::read(&made.manifest).unwrap()).unwrap();
    assert_eq!(written.target, "oci-amd64");
    assert!(written.files.contains_key("/usr/bin/ping") && written.volumes.is_empty());
}

#[test]
fn what_is_made_has_the_same_bytes_on_any_number_of_cores() {
    let folder = tempfile::tempdir().unwrap();
    let sums = |name: &str, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let folder = folder.path().join(name);
        let disk = pool
            .install(|| made(&folder, "uefi-amd64", &ALL_OF_A_DISK, 16))
            .unwrap();
        let _ = pool.install(|| made(&folder, "oci-amd64", &[Format::Oci], 16)).unwrap();
        let sums = std::fs::read_to_string(disk.sums).unwrap();
        sums.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = sums("a", 2);
    assert_eq!(first.len(), 7 + 3 + 3);
    assert_eq!(first, sums("b", 1));
}

#[test]
fn a_disk_without_room_for_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), "uefi-amd64", &[Format::Zst], 0).unwrap();
    let error = made(folder.path(), "uefi-amd64", &[Format::Qcow2], 0).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    assert!(error.to_string().contains("raise it to at least 2"), "{error:#}");
}

#[test]
fn what_an_earlier_build_has_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), "uefi-amd64", &[Format::Qcow2], 16).unwrap();
    let made = made(folder.path(), "uefi-amd64", &[Format::Zst], 16).unwrap();
    let sums = std::fs::read_to_string(made.sums).unwrap();
    assert!(!sums.contains("qcow2"), "{sums}");
    assert!(folder.path().join("out/test-uefi-amd64.qcow2").exists());
}
