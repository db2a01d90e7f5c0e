# shellcheck shell=bash
# agreement DIR REAL: unpacks the tar REAL and another, ours, from standard input below DIR, asks Debian's tools in both,
# changes both with them and asks again. Prints where the answers differ. Runs as root of its own mount and process
# namespace.
set -euo pipefail
cd "$1"
real_tar=$2
# What runs in the background has no standard input.
exec 3<&0
sides=(real ours)

# A user's files here belong to subordinate ids, so nobody outside may remove them.
gone() {
  local side mounted
  for side in "${sides[@]}"; do
    for mounted in "$side"/dev/{null,zero,full,random,urandom,tty} "$side/dev/pts" "$side/proc"; do
      umount --lazy "$mounted" 2>/dev/null || true
    done
    if ! mountpoint --quiet "$side/proc"; then rm -rf --one-file-system "$side"; fi
  done
}
trap gone EXIT

unpack() {
  local side=$1 tar=/dev/fd/3 node
  if [ "$side" = real ]; then tar=$real_tar; fi
  mkdir "$side"
  tar --extract --file "$tar" --directory "$side" --numeric-owner --same-permissions \
    --xattrs --xattrs-include='*' --exclude='./dev/*' --exclude='./var/cache/apt/archives/*.deb'
  mkdir -p "$side"/{dev/pts,proc,tmp}
  mount -t proc proc "$side/proc"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$side/dev/pts"
  for node in null zero full random urandom tty; do
    : > "$side/dev/$node"
    mount --bind "/dev/$node" "$side/dev/$node"
  done
  ln -sfn pts/ptmx "$side/dev/ptmx"
  ln -sfn /proc/self/fd "$side/dev/fd"
  # The network of this machine.
  rm -f "$side/etc/resolv.conf" "$side/etc/hosts"
  cp -L /etc/resolv.conf /etc/hosts "$side/etc/"
  # Nothing is started.
  printf '#!/bin/sh\nexit 101\n' > "$side/usr/sbin/policy-rc.d"
  chmod 755 "$side/usr/sbin/policy-rc.d"
}

# inside SIDE SCRIPT: runs it in the root.
inside() {
  chroot "$1" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root COLUMNS=300 \
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive /bin/sh -euc "$2"
}

# shellcheck disable=SC2016 # expanded in the roots
# What is asked. `dpkg --verify` and `dpkg --audit` find nothing wrong: the first line of each must be followed by the next.
questions='
exec 2>&1
say() { echo "== $*"; "$@"; }
say dpkg --audit
say dpkg --verify
say dpkg --list
say apt list --installed
say apt-mark showauto
say apt-mark showmanual
say apt-get check
say dpkg-divert --list | sort
say dpkg-statoverride --list | sort
say update-alternatives --get-selections
if command -v systemctl >/dev/null; then say systemctl --root=/ list-unit-files --no-pager; fi
if command -v ucfq >/dev/null; then say ucfq --with-colons $(cut -d" " -f3 /var/lib/ucf/hashfile | sort); fi
'

# shellcheck disable=SC2016
# What is done with apt: one more package, which has a user, a unit and a conffile, and then those again whose scripts ask
# the most of what an earlier run of theirs left (ucf's, debconf's, deb-systemd-helper's and dpkg-statoverride's state).
changes='
exec 2>&1
apt-get install -y --no-install-recommends memcached
test "$(getent passwd memcache | cut -d: -f1)" = memcache
test "$(systemctl --root=/ is-enabled memcached)" = enabled
for package in openssh-server ca-certificates chrony; do
  case $(dpkg-query -Wf "\${db:Status-Status}" $package 2>/dev/null) in
    installed) apt-get install -y --no-install-recommends --reinstall $package ;;
  esac
done
dpkg --configure --pending
'

# both WHAT FUNCTION ARGUMENTS...: in both roots at once; says which failed, and the end of what it wrote.
both() {
  local what=$1 side pids=() failed=0
  shift
  for side in "${sides[@]}"; do
    "$1" "$side" "${@:2}" > "$side.said" 2>&1 &
    pids+=($!)
  done
  for side in "${sides[@]}"; do
    if ! wait "${pids[0]}"; then
      printf '%s in the root of %s failed:\n' "$what" "$side"
      tail -n 40 "$side.said"
      failed=1
    fi
    pids=("${pids[@]:1}")
  done
  return "$failed"
}

# compare WHAT: both answered the same, and nothing was found wrong.
compare() {
  local sound=$'== dpkg --audit\n== dpkg --verify\n== dpkg --list'
  diff --unified=0 --label "real: $1" --label "ours: $1" real.said ours.said || return 1
  # The first two questions have no answer where all is well.
  if [ "$(head -n 3 ours.said)" != "$sound" ]; then
    printf 'not sound %s:\n' "$1"
    head -n 20 ours.said
    return 1
  fi
}

both unpacking unpack
# Where packages come from, which our root does not know of itself.
tar --extract --file "$real_tar" --directory ours ./etc/apt/sources.list.d ./etc/apt/apt.conf.d ./var/lib/apt/lists

both asking inside "$questions"
compare "as it is"
both apt-get inside "$changes"
both "asking after apt-get" inside "$questions"
compare "after apt-get install and --reinstall"
