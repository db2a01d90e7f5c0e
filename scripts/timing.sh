# How the benchmarks measure and print. Sourced after scripts/tools.sh, not run. Needs `time`, and in $scratch a folder.
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by what sources it

# timed NAME COMMAND...: adds the seconds and the peak memory (KiB; of a shell function nothing) of one run to what is known
# of NAME. What the command says is in $scratch/log.
timed() {
  local name=$1 began=${EPOCHREALTIME/./}
  shift
  if [ "$(type -t "$1")" = function ]; then
    "$@" >"$scratch/log" 2>&1 || die "$* failed: $(tail -n 3 "$scratch/log")"
    awk -v us=$((${EPOCHREALTIME/./} - began)) 'BEGIN { print us / 1000000, 0 }' >>"$scratch/times.$name"
  else
    /usr/bin/time --quiet --append --output "$scratch/times.$name" --format '%e %M' "$@" >"$scratch/log" 2>&1 ||
      die "$* failed: $(tail -n 3 "$scratch/log")"
  fi
}

# median NAME: of its seconds.
median() { sort -n "$scratch/times.$1" | awk '{ t[NR] = $1 } END { printf "%.2f", t[int((NR + 1) / 2)] }'; }

# peak NAME: the largest of its peak memories.
peak() { awk '$2 > m { m = $2 } END { printf "%d MiB", m / 1024 }' "$scratch/times.$1"; }

# machine: what it was measured on.
machine() { printf '%s, %s cores, %s' "$(uname -m)" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"; }

# row CELL...: a row of the table whose columns have the widths $columns, the first one to the left.
row() {
  local width align=-
  for width in "${columns[@]}"; do
    printf "| %${align}${width}s " "${1:-}"
    [ $# -eq 0 ] || shift
    align=
  done
  printf '|\n'
}

# rule: the line below the head of the table.
rule() {
  local width cells=()
  for width in "${columns[@]}"; do cells+=("$(printf -- '-%.0s' $(seq "$width"))"); done
  row "${cells[@]}"
}
