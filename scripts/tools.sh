# What the scripts need from the machine, and how they get it. Sourced, not run.
# shellcheck shell=bash

# What this machine is, and the cross compiler for the other of the two architectures that everything is built for: for
# the agent and for Nomad.
case $(uname -m) in
  x86_64) foreign_packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross) ;;
  aarch64) foreign_packages=(gcc-x86-64-linux-gnu libc6-dev-amd64-cross) ;;
  *)
    printf 'cannot build on a %s machine: amd64 (x86_64) and arm64 (aarch64) can\n' "$(uname -m)" >&2
    exit 1
    ;;
esac

# Beside it a C compiler for the TLS library and for build scripts.
# shellcheck disable=SC2034 # used by the scripts that source this file
build_packages=(gcc libc6-dev "${foreign_packages[@]}" xz-utils zstd)
# What the 32-bit Arm architectures need beside these: `pkgbuilder packages` for Nomad, scripts/agent-package for the agent.
# shellcheck disable=SC2034
armhf_packages=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross)
# shellcheck disable=SC2034
armel_packages=(gcc-arm-linux-gnueabi libc6-dev-armel-cross)
# Judges of the unit and scenario tests.
# shellcheck disable=SC2034
quick_packages=(
  shellcheck dpkg-dev apt-utils dash busybox-static util-linux bsdextrautils mawk binutils systemd zstd xz-utils
  sqv openssh-client squashfs-tools cryptsetup-bin mtools dosfstools fdisk e2fsprogs cpio kmod bmap-tools jq openssl gpg gpg-agent gpgv
  libglib2.0-bin shared-mime-info mount device-tree-compiler qemu-system-arm qemu-system-x86 ipxe-qemu qemu-utils
  dnsmasq-base
)
# Judges and machines of the others.
# shellcheck disable=SC2034
test_packages=(
  g++ lintian mmdebstrap uidmap locales
  ovmf qemu-efi-aarch64 qemu-user-static iproute2 bind9-dnsutils curl
  python3-venv skopeo umoci vagrant
)
# `vagrant up`.
# shellcheck disable=SC2034
vagrant_packages=(
  vagrant vagrant-libvirt libvirt-daemon libvirt-clients qemu-system-x86 qemu-utils ovmf dnsmasq-base iptables iproute2
  openssh-client bind9-dnsutils curl jq procps util-linux
)
# The program by which a package is known to be there where dpkg does not say; `-` if it has none, no line if it has the
# package's name.
declare -A program_of=(
  [apt-utils]=apt-ftparchive [bind9-dnsutils]=dig [binutils]=objdump [bmap-tools]=bmaptool [bsdextrautils]=hexdump
  [busybox-static]=busybox [dnsmasq-base]=dnsmasq [device-tree-compiler]=dtc [dosfstools]=fsck.vfat [dpkg-dev]=dpkg-buildflags [e2fsprogs]=mke2fs
  [fdisk]=sfdisk [g++]=g++ [gcc-aarch64-linux-gnu]=aarch64-linux-gnu-gcc [gcc-x86-64-linux-gnu]=x86_64-linux-gnu-gcc
  [gcc-arm-linux-gnueabi]=arm-linux-gnueabi-gcc [gcc-arm-linux-gnueabihf]=arm-linux-gnueabihf-gcc [iproute2]=ip [libglib2.0-bin]=glib-compile-schemas
  [shared-mime-info]=update-mime-database
  [ipxe-qemu]=- [ovmf]=- [qemu-efi-aarch64]=- [kmod]=modprobe [libc6-dev]=- [libc6-dev-amd64-cross]=- [libc6-dev-arm64-cross]=-
  [libc6-dev-armel-cross]=- [libc6-dev-armhf-cross]=- [locales]=localedef [mount]=losetup [mtools]=mcopy [python3-venv]=python3 [gpg-agent]=gpg-agent [qemu-system-arm]=qemu-system-aarch64
  [qemu-system-x86]=qemu-system-x86_64 [qemu-user-static]=qemu-aarch64-static [qemu-utils]=qemu-img
  [cryptsetup-bin]=veritysetup [squashfs-tools]=unsquashfs [systemd]=systemctl [uidmap]=newuidmap [util-linux]=unshare [xz-utils]=xz
  [vagrant-libvirt]=- [libvirt-daemon]=libvirtd [libvirt-clients]=virsh [openssh-client]=ssh [procps]=pgrep
)
# shellcheck disable=SC2034
agent_targets=(aarch64-unknown-linux-gnu aarch64-unknown-linux-musl x86_64-unknown-linux-gnu x86_64-unknown-linux-musl)
# shellcheck disable=SC2034
cargo_deb_version=3.8.0
# shellcheck disable=SC2034
cargo_deny_version=0.20.2
# Judges our recipes. 2.46 and newer need modules (for Windows packages) that not every module proxy has.
# shellcheck disable=SC2034
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm nfpm_version=v2.45.2

tools=${XDG_CACHE_HOME:-$HOME/.cache}/computatom/tools
export PATH=$tools/bin:$PATH
case $(uname -m) in
  x86_64) export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc ;;
  aarch64) export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc ;;
esac
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
export CARGO_TARGET_ARM_UNKNOWN_LINUX_GNUEABI_LINKER=arm-linux-gnueabi-gcc
# The static programs are pure Rust: Rust's own linker needs no C library of the target.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

# Cargo and the tests say little to a person and everything to a log.
# shellcheck disable=SC2034
quiet=(--quiet)
[ -z "${CI:-}" ] || quiet=()

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# at_work: waits until no other script changes out/ of this checkout; the next ones that this one starts need not.
at_work() {
  [ -z "${COMPUTATOM_AT_WORK:-}" ] || return 0
  mkdir -p out
  exec 9>out/.build.lock
  if ! flock --nonblock 9; then
    say "another script is at work in out/ of this checkout; waiting for it"
    flock 9
  fi
  export COMPUTATOM_AT_WORK=1
}

# need_apt PACKAGE...: installs what is missing, or says the command that would.
need_apt() {
  local package program missing=()
  if ! command -v dpkg-query >/dev/null; then
    for package in "$@"; do
      program=${program_of[$package]:-$package}
      [ "$program" = - ] || command -v "$program" >/dev/null || missing+=("$program (Debian's package $package)")
    done
    [ ${#missing[@]} -eq 0 ] && return
    die "missing programs; this is not a Debian machine, so install them by hand and run this again:
$(printf '  %s\n' "${missing[@]}")"
  fi
  for package in "$@"; do
    [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    die "missing packages; install them and run this again:
  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  apt-get -qq update || die "apt cannot update its lists: is the network there? Nothing was built"
  # Another apt may be at work.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt cannot install ${missing[*]}: see what it says above"
}

# at_least WANTED FOUND: compares versions.
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

need_toolchains() {
  local rust=1.95 go=1.24 found
  command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs ($rust or newer) and run this again"
  found=$(rustc --version | cut -d' ' -f2)
  at_least "$rust" "$found" || die "Rust is $found, and must be $rust or newer: \`rustup update stable\`, then run this again"
  command -v go >/dev/null || die "Go is missing: install it from https://go.dev/dl ($go or newer) and run this again"
  found=$(go env GOVERSION | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)
  at_least "$go" "$found" || die "Go is $found, and must be $go or newer: install it from https://go.dev/dl and run this again"
}

# need_targets TRIPLE...: Rust's standard library for each.
need_targets() {
  local target missing=() library
  library=$(rustc --print sysroot)/lib/rustlib
  for target in "$@"; do
    [ -d "$library/$target/lib" ] || missing+=("$target")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v rustup >/dev/null || die "Rust has no standard library for ${missing[*]}: use a rustup toolchain, or your distribution's packages for them"
  rustup --quiet target add "${missing[@]}" ||
    die "rustup cannot bring Rust's standard library for ${missing[*]}: is the network there? It is needed once"
}

# has_target TRIPLE: whether Rust's standard library for it is here, or rustup brought it just now. Not every server of
# Rust's has those of rare targets.
has_target() {
  local library
  library=$(rustc --print sysroot)/lib/rustlib/$1/lib
  [ -d "$library" ] || rustup --quiet target add "$1" 2>/dev/null || return 1
  [ -d "$library" ]
}

# need_rust_source: the standard library's source, for targets that it has to be built for.
need_rust_source() {
  [ -f "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ] && return
  command -v rustup >/dev/null || die "Rust's source is missing: use a rustup toolchain, or your distribution's package of it"
  rustup --quiet component add rust-src || die "rustup cannot bring Rust's source: is the network there? It is needed once"
}

# need_cargo_tool NAME VERSION: built once into the cache.
need_cargo_tool() {
  [ -x "$tools/bin/$1" ] && [ "$("$tools/bin/$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)" = "$2" ] && return
  say "building $1 $2 (once)"
  cargo install "${quiet[@]}" --locked --root "$tools" --version "$2" "$1" ||
    die "cannot build $1 $2: see what cargo says above; the network is needed once"
}

# need_go_tool PACKAGE VERSION: built once into the cache.
need_go_tool() {
  local name=${1##*/}
  [ -x "$tools/bin/$name" ] && go version -m "$tools/bin/$name" | grep -qF "	$2	" && return
  say "building $name $2 (once)"
  GOBIN=$tools/bin go install "$1@$2"
}

# need_python_tools NAME REQUIREMENTS: $python_tools has the programs of these requirements, installed once into the cache.
need_python_tools() {
  local sum
  sum=$(sha256sum "$2" | cut -c 1-12)
  python_tools=$tools/$1-$sum
  [ ! -f "$python_tools/complete" ] || return 0
  say "installing $1 (once)"
  rm -rf "$python_tools"
  python3 -m venv "$python_tools" || die "python3 cannot make an environment of its own: is its module venv there?"
  "$python_tools/bin/pip" --quiet --disable-pip-version-check install --requirement "$2" ||
    die "pip cannot install $1: see what it says above; the network is needed once"
  touch "$python_tools/complete"
}

# The crate liblzma-sys compiles xz without what its configure finds out about a machine: it then compares matches byte by
# byte, and on x86 takes CRCs by tables. What configure.ac and tuklib_integer.m4 of xz define, for the machines that
# pkgbuilder is compiled for.
case $(uname -m) in
  x86_64) liblzma_defines=(-DTUKLIB_FAST_UNALIGNED_ACCESS=1 -DHAVE_IMMINTRIN_H=1 -DHAVE_USABLE_CLMUL=1) ;;
  aarch64) liblzma_defines=(-DTUKLIB_FAST_UNALIGNED_ACCESS=1) ;;
  *) liblzma_defines=() ;;
esac

# Release binaries must not tell where they were made: the checkout, Cargo's crates and Rust's own sources get the same
# names everywhere, in Rust (panic messages) and in C (__FILE__).
anonymous_paths() {
  local sysroot source flags=() cflags=()
  cargo fetch --quiet --locked || die "cargo cannot fetch the crates of Cargo.lock: is the network there? It is needed once"
  sysroot=$(rustc --print sysroot)
  # Only a toolchain with the component rust-src knows another name for Rust's sources than /rustc/COMMIT.
  source=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
  flags+=("--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rustc/$source")
  for source in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=("--remap-path-prefix=$source=/crates")
    cflags+=("-ffile-prefix-map=$source=/crates")
  done
  flags+=("--remap-path-prefix=$PWD=/computatom")
  cflags+=("-ffile-prefix-map=$PWD=/computatom")
  cflags+=("${liblzma_defines[@]}")
  # Separated as Cargo wants it, because paths may have spaces.
  CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
  export CARGO_ENCODED_RUSTFLAGS
  # Build scripts (the crate cc) split these at spaces, unless they are told that a shell's quotes count.
  export CC_SHELL_ESCAPED_FLAGS=1
  CFLAGS=$(printf '%q ' "${cflags[@]}")
  export CFLAGS
}
