# agreement DIR REAL OURS: unpacks the tars REAL and OURS below DIR, asks Debian's tools in both, changes both with them
# and asks again. Prints where the answers differ. Runs as root of its own mount and process namespace.
set -euo pipefail
cd "$1"
real_tar=$2 ours_tar=$3
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
  local side=$1 tar=$2 node
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
say dpkg-divert --list
say dpkg-statoverride --list
say update-alternatives --get-selections
if command -v systemctl >/dev/null; then say systemctl --root=/ list-unit-files --no-pager; fi
if command -v ucfq >/dev/null; then say ucfq --with-colons $(cut -d" " -f3 /var/lib/ucf/hashfile); fi
'

# What is done with apt. memcached has a user, a unit and a conffile.
changes='
exec 2>&1
apt-get install -y --no-install-recommends memcached
getent passwd memcache | cut -d: -f1,5-
test "$(systemctl --root=/ is-enabled memcached)" = enabled
for package in openssh-server ca-certificates udev chrony dbus; do
  case $(dpkg-query -Wf "\${db:Status-Status}" $package 2>/dev/null) in
    installed) apt-get install -y --no-install-recommends --reinstall $package ;;
  esac
done
dpkg --configure --pending
'

# compare WHAT: the answers of both sides; real and ours are the same but for nothing.
compare() {
  if ! diff --unified=0 --label "real: $1" --label "ours: $1" real.answers ours.answers; then return 1; fi
  # The first questions have no answer where all is well.
  if ! diff --unified=0 --label "sound: $1" --label "ours: $1" <(printf '== dpkg --audit\n== dpkg --verify\n== dpkg --list\n') \
    <(head -n 3 ours.answers); then return 1; fi
}

unpack real "$real_tar"
unpack ours "$ours_tar"
# Where packages come from, which our root does not know of itself.
tar --extract --file "$real_tar" --directory ours ./etc/apt/sources.list.d ./etc/apt/apt.conf.d ./var/lib/apt/lists

for side in "${sides[@]}"; do
  inside "$side" "$questions" > "$side.answers" || { echo "asked in $side:"; tail -n 5 "$side.answers"; exit 1; }
done
compare "as it is"
for side in "${sides[@]}"; do
  inside "$side" "$changes" > "$side.changes" || { echo "apt-get in $side:"; tail -n 40 "$side.changes"; exit 1; }
  inside "$side" "$questions" > "$side.answers" || { echo "asked in $side after apt-get:"; tail -n 5 "$side.answers"; exit 1; }
done
compare "after apt-get install and --reinstall"
