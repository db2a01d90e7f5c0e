#!/bin/sh
# Makes `before/` and `expected` with the real adduser and shadow tools: what each line of `calls` changes in the
# account files. Ids of system accounts are masked (ours come from a table), as is today.
# usage: golden.gen.sh CHROOT  (a Debian trixie root with adduser and passwd; needs root and unshare)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2016 # expanded by the inner shell
unshare -m sh -eu -c '
    here=$1 work=$(mktemp -d) files="passwd group shadow gshadow subuid subgid"
    mount -t tmpfs none "$work"
    mkdir "$work/upper" "$work/work" "$work/root" "$work/before"
    mount -t overlay -o "lowerdir=$2,upperdir=$work/upper,workdir=$work/work" none "$work/root"
    root=$work/root
    mkdir -p "$here/before"
    for file in $files; do cp --no-preserve=mode "$root/etc/$file" "$here/before/$file"; cp "$root/etc/$file" "$work/before"; done
    while read -r call; do
        status=0
        eval "chroot $root $call" </dev/null >/dev/null 2>&1 || status=$?
        echo "\$ $call"
        echo "= $status"
        for file in $files; do
            diff "$work/before/$file" "$root/etc/$file" | grep "^[<>]" | LC_ALL=C sort | sed "s/^/$file/" || true
            cp "$root/etc/$file" "$work/before"
        done
    done <"$here/calls" |
        sed -E "s/:[1-9][0-9]{2}:/:#:/g; s/:[1-9][0-9]{2}:/:#:/g; s/:$(($(date +%s) / 86400)):/:TODAY:/" >"$here/expected"
' sh "$here" "$1"
