# What the scripts need from the machine, and how they get it. Sourced, not run.
# shellcheck shell=bash

# A cross compiler for the agent and for Nomad, a C compiler for the TLS library, Go for what is built from modules.
# shellcheck disable=SC2034 # used by the scripts that source this file
build_packages=(gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross xz-utils zstd)
# What the 32-bit Arm architectures need beside these: `pkgbuilder packages` for Nomad, scripts/agent-package for the agent.
# shellcheck disable=SC2034
armhf_packages=(gcc-arm-linux-gnueabihf libc6-dev-armhf-cross)
# shellcheck disable=SC2034
armel_packages=(gcc-arm-linux-gnueabi libc6-dev-armel-cross)
# Judges and machines of the tests.
# shellcheck disable=SC2034
test_packages=(
  shellcheck g++ lintian dpkg-dev apt-utils mmdebstrap dash busybox-static util-linux
  bsdextrautils mawk binutils systemd zstd xz-utils
  faketime sqv
  squashfs-tools mtools dosfstools fdisk e2fsprogs cpio kmod bmap-tools jq openssl gpg gpg-agent gpgv
  qemu-system-arm qemu-system-x86 qemu-user-static qemu-utils ipxe-qemu iproute2 dnsmasq-base bind9-dnsutils curl
)
# shellcheck disable=SC2034
agent_targets=(aarch64-unknown-linux-gnu aarch64-unknown-linux-musl x86_64-unknown-linux-gnu x86_64-unknown-linux-musl)
# shellcheck disable=SC2034
cargo_deb_version=3.8.0
# shellcheck disable=SC2034
cargo_deny_version=0.20.2

tools=${XDG_CACHE_HOME:-$HOME/.cache}/computatom/tools
export PATH=$tools/bin:$PATH
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
export CARGO_TARGET_ARM_UNKNOWN_LINUX_GNUEABI_LINKER=arm-linux-gnueabi-gcc
# The static programs are pure Rust: Rust's own linker needs no C library of the target.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# need_apt PACKAGE...: installs what is missing, or says the command that would.
need_apt() {
  local package missing=()
  command -v dpkg-query >/dev/null || die "this is not a Debian machine; install by hand what these packages hold: $*"
  for package in "$@"; do
    [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    die "missing packages; install them and run this again:
  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
}

need_toolchains() {
  command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs (1.95 or newer) and run this again"
  command -v go >/dev/null || die "Go is missing: install it from https://go.dev/dl (1.24 or newer) and run this again"
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
  rustup --quiet target add "${missing[@]}"
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
  rustup --quiet component add rust-src
}

# need_cargo_tool NAME VERSION: built once into the cache.
need_cargo_tool() {
  [ -x "$tools/bin/$1" ] && [ "$("$tools/bin/$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)" = "$2" ] && return
  say "building $1 $2 (once)"
  cargo install --quiet --locked --root "$tools" --version "$2" "$1"
}

# Release binaries must not tell where they were made: the checkout, Cargo's crates and Rust's own sources get the same
# names everywhere, in Rust (panic messages) and in C (__FILE__).
anonymous_paths() {
  local sysroot source flags=() cflags=()
  cargo fetch --quiet --locked
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
  # Separated as Cargo wants it, because paths may have spaces.
  CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
  export CARGO_ENCODED_RUSTFLAGS
  # The C compiler's wrapper splits at spaces; a path with some stays as it is there.
  export CFLAGS="${cflags[*]}"
}
