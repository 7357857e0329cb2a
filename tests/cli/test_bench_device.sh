#!/bin/bash
# test_bench_device.sh - `bench device` measures what it says it does; how exact this host is, is no test's business
set -uo pipefail
flashcast=$1
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TMPDIR=$dir

complain() {
	echo "$*"
	failed=1
}

# wants 'SQL CONDITION' of the report in j
wants() {
	local got
	got=$(sqlite3 :memory: "with report(j) as (select readfile('$dir/d.json')),
		streams as (select value v from report, json_each(j, '\$.streams')),
		batches as (select value v from report, json_each(j, '\$.batches')) select ($1) from report")
	[ "$got" = 1 ] || complain "bench device --json: not so: $1"
}

# 1 GB/s and 100 k reads/s, and no hiccups: what is intended can be said beforehand.
cat >"$dir/dev.yaml" <<'EOF'
name: test-device
emulated:
  units: 64
  unit_ns: 5us
  unit_bytes_per_s: 1GB/s
  stripe_bytes: 4KiB
  bus_bytes_per_s: 1GB/s
  request_rate_per_s: 100k/s
EOF
"$flashcast" bench device "$dir/dev.yaml" --batches 20 --json >"$dir/d.json" || complain "bench device --json fails"
wants "json_extract(j, '\$.device') = 'test-device' and json_extract(j, '\$.in_flight') = 32"
wants "(select group_concat(json_extract(v, '\$.bytes')) from streams) = '4096,16384,32768,1048576'"
wants "(select count(*) from batches) = 3 * 3 * 2 and (select min(json_extract(v, '\$.batches')) from batches) = 20"
wants "(select group_concat(distinct json_extract(v, '\$.by')) from batches) = 'wait,progress'"
# The controller binds at 4 KiB, the bus above.
wants "(select abs(json_extract(v, '\$.intended_bytes_per_s') / (100e3 * 4096) - 1) from streams limit 1) < 0.02"
wants "(select count(*) from streams where json_extract(v, '\$.bytes') > 4096
	and abs(json_extract(v, '\$.intended_bytes_per_s') / 1e9 - 1) > 0.03) = 0"
wants "(select count(*) from batches where json_extract(v, '\$.intended_ns')
	not between 0.99 * json_extract(v, '\$.reads') * max(1e4, json_extract(v, '\$.bytes'))
	and 1.2e5 + 1.1 * json_extract(v, '\$.reads') * max(1e4, json_extract(v, '\$.bytes'))) = 0"
# Nothing completes before its time.
wants "(select count(*) from streams where json_extract(v, '\$.ratio') not between 0 and 1) = 0"
wants "(select count(*) from batches where json_extract(v, '\$.error_p50_frac') < 0
	or json_extract(v, '\$.error_p99_frac') < json_extract(v, '\$.error_p50_frac')) = 0"
wants "(select count(*) from batches where json_extract(v, '\$.by') = 'progress' and not
	(json_extract(v, '\$.late_p50_ns') >= 0 and json_extract(v, '\$.late_p50_ns') <= json_extract(v, '\$.late_p99_ns')
	and json_extract(v, '\$.late_p99_ns') <= json_extract(v, '\$.late_max_ns'))) = 0"
wants "json_extract(j, '\$.copies') > 0 and json_extract(j, '\$.late_copies') <= json_extract(j, '\$.copies')"
wants "json_type(j, '\$.held') in ('true', 'false')"
[ "$(ls "$dir")" = "$(printf 'd.json\ndev.yaml')" ] || complain "bench device leaves files: $(ls "$dir")"

# refuses STATUS 'PART OF WHAT IT SAYS' ARGUMENTS...
refuses() {
	local status=$1 says=$2 out got
	shift 2
	out=$("$flashcast" bench device "$@" 2>&1)
	got=$?
	[ $got -eq "$status" ] && [[ "$out" == *"$says"* ]] || complain "bench device $*: status $got, said: $out"
}
refuses 2 "too few arguments"
refuses 2 "'throttled-disk' is no emulated device" throttled-disk
refuses 2 "--in-flight: got 5000" "$dir/dev.yaml" --in-flight 5000
refuses 2 "--batches" "$dir/dev.yaml" --batches 3
sed 's/1GB/10TB/' "$dir/dev.yaml" >"$dir/fast.yaml"
refuses 1 "this host is too slow to play the emulated device: got " "$dir/fast.yaml"
exit $failed
