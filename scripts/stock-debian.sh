# A stock Debian of the same release as our image, to measure against: mmdebstrap's, with the same packages of Debian, the same
# .debs of Consul and Nomad, the same kernel package, initramfs-tools' initramfs and an ext4 root. Sourced after scripts/tools.sh,
# not run. Needs root, $scratch (a folder), $manifest (that of our image), $arch, $kernel (its flavour) and `settings FOLDER`, which
# puts the machine's settings into that root. It takes a while to make: STOCK=FOLDER keeps it there without settings, and
# takes it from there.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # read and set by what sources it

stock_packages=(mmdebstrap arch-test systemd qemu-user-static e2fsprogs jq)

# of_source FILTER: names of the image's packages whose source is such.
of_source() { jq -r ".packages[] | select(.source $1) | .name" "$manifest"; }

# Where ours came from: the mirror that this machine's apt uses, unless another is named.
mirror() {
  if [ -n "${COMPUTATOM_MIRROR:-}" ]; then
    printf '%s\n' "$COMPUTATOM_MIRROR"
  else
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -n 1
  fi
}

# foreign COMMAND...: runs it where programs of the other architecture run, too: here, if this machine knows how, else in a
# user name space with such a handler of its own (Linux 6.7), all of whose numbers are those outside.
foreign() {
  local qemu=/usr/lib/binfmt.d/qemu-aarch64.conf handlers=/proc/sys/fs/binfmt_misc child map
  if [ "$arch" = "$(dpkg --print-architecture)" ] || [ -e "$handlers/qemu-aarch64" ]; then
    "$@"
    return
  fi
  mkfifo "$scratch/go"
  # shellcheck disable=SC2016 # the inner shell's own
  unshare --user --mount sh -c 'read -r _ <"$1" && mount -t binfmt_misc handlers "$2" && cat "$3" >"$2/register" && shift 3 && exec "$@"' \
    sh "$scratch/go" "$handlers" "$qemu" "$@" &
  child=$!
  until [ "$(readlink "/proc/$child/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.1; done
  for map in uid_map gid_map; do echo '0 0 4294967295' >"/proc/$child/$map"; done
  echo >"$scratch/go"
  wait "$child"
}

# A stock Debian in $scratch/stock.img, with these settings; its kernel and initramfs beside it.
stock_debian() {
  local packages kernels=("$kernel") flavour deb debs=() tree=$scratch/tree made=${STOCK:-$scratch/made}/$arch
  if [ -d "$made" ]; then
    take "$made"
    return
  fi
  # One that is kept serves the other machine, too.
  [ -z "${STOCK:-}" ] || [ "$arch" = amd64 ] || kernels=(cloud-arm64 arm64)
  packages=$(of_source '== "debian"' | grep -vE '^(linux-image|raspi-firmware)' | paste -sd,)
  for deb in $(of_source '!= "debian"' | grep -v '^computatom'); do
    while IFS= read -r file; do debs+=("$file"); done < <(find out/packages -maxdepth 1 -name "${deb}_*_$arch.deb")
  done
  say "making a Debian for $arch with $(tr , '\n' <<<"$packages" | wc -l) packages"
  # Its initramfs is compressed at the least level: only emulation feels the difference, while this is made.
  # shellcheck disable=SC2016 # mmdebstrap's own variable
  foreign mmdebstrap --quiet --architectures="$arch" --variant=essential --format=directory \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" && echo COMPRESSLEVEL=1 >"$1/etc/initramfs-tools/conf.d/bench"' \
    --include="$packages,$(printf 'linux-image-%s,' "${kernels[@]}")initramfs-tools,zstd" \
    --customize-hook='mkdir -p "$1/debs"' ${debs[@]+--customize-hook="copy-in ${debs[*]} /debs"} \
    --customize-hook='chroot "$1" sh -c "dpkg -i /debs/*.deb && rm -r /debs"' \
    trixie "$tree" "$(mirror)" >"$scratch/log" 2>&1 || die "mmdebstrap failed: $(tail -n 5 "$scratch/log")"
  systemctl --root="$tree" --quiet enable consul nomad systemd-networkd systemd-resolved
  mkdir -p "$made.new"
  for flavour in "${kernels[@]}"; do
    cp "$tree"/boot/vmlinuz-*[0-9]"-$flavour" "$made.new/vmlinuz-$flavour"
    cp "$tree"/boot/initrd.img-*[0-9]"-$flavour" "$made.new/initrd-$flavour"
    [ "$flavour" != arm64 ] || cp "$tree"/usr/lib/linux-image-*[0-9]-arm64/broadcom/bcm2837-rpi-3-b.dtb "$made.new/board.dtb"
  done
  truncate -s 8G "$made.new/stock.img"
  mke2fs -q -F -t ext4 -L stock -d "$tree" "$made.new/stock.img"
  rm -rf "$tree"
  mv "$made.new" "$made"
  take "$made"
}

# take FOLDER: the stock Debian that lies there; its disk is written to. Settings are not kept there: they change with ours.
take() {
  cp --sparse=always "$1"/* "$scratch"
  mkdir "$scratch/mounted"
  mount -o loop "$scratch/stock.img" "$scratch/mounted"
  settings "$scratch/mounted"
  umount "$scratch/mounted"
  mv "$scratch/vmlinuz-$kernel" "$scratch/vmlinuz"
  mv "$scratch/initrd-$kernel" "$scratch/initrd"
}
