#!/bin/bash
# test_bench_io.sh - `bench io` against a fio of our own, which counts the reads of the logs that it is given
set -uo pipefail
flashcast=$1
failed=0
dir=$(mktemp -d "$PWD/bench-io-XXXXXX") # beside the build: /tmp may have no direct I/O
trap 'rm -rf "$dir"' EXIT

complain() {
	echo "$*"
	failed=1
}

file_bytes=$((4 << 20))
head -c $file_bytes /dev/urandom >"$dir/file"
cat >"$dir/fio" <<'FIO'
#!/bin/bash
[ "$1" = --version ] && { echo fio-0.0; exit; }
echo "$PWD $*" >>"$(dirname "$0")/calls"
job=${*: -1}
count=$(sed -n 's/^read_iolog=//p' "$job" | xargs cat | grep -c ' read ')
size=$(sed -n 's/^bs=//p' "$job")
echo "a warning before it"
echo "{\"jobs\": [{\"read\": {\"total_ios\": $count, \"io_bytes\": $((count * size)), \"runtime\": 100}}]}"
FIO
chmod +x "$dir/fio"
bench=(bench io --file "$dir/file" -s 16KiB -s 36KiB -n 3 -r 3 --time 1ms)
"$flashcast" "${bench[@]}" --fio "$dir/fio" -o "$dir/out" --json >"$dir/b.json" 2>"$dir/err"
if grep -q 'no direct I/O' "$dir/err"; then
	echo "skipped: $(cat "$dir/err")"
	exit 77
fi
[ -s "$dir/err" ] && complain "bench io: $(cat "$dir/err")"
cmp -s "$dir/b.json" "$dir/out/io.json" || complain "io.json is not what --json printed"
query() {
	sqlite3 :memory: "with report(j) as (select readfile('$dir/b.json')) select $1 from report"
}
engines=$(query "json_array_length(j, '\$.engines')")
[ "$(query "json_array_length(j, '\$.cells') = 2 * $engines and json_extract(j, '\$.fio') = 'fio-0.0'
	and json_extract(j, '\$.rounds') = 3 and json_extract(j, '\$.better') in ('pread', 'io_uring')")" = 1 ] ||
	complain "not so: $(cat "$dir/b.json")"
# What the fio of our own claims is 10 reads a second for each read of its logs; the ratio follows.
wrong=$(sqlite3 :memory: "with report(j) as (select readfile('$dir/b.json')),
	cells(c) as (select value from report, json_each(j, '\$.cells'))
	select count(*) from cells where json_extract(c, '\$.in_flight') <> 3
	or json_extract(c, '\$.fio_bytes_per_s.median') <> json_extract(c, '\$.reads') * json_extract(c, '\$.read_bytes') * 10
	or json_extract(c, '\$.reads') % 3 <> 0 or json_extract(c, '\$.visits') not between 1 and 3
	or not json_extract(c, '\$.ratio.low') <= json_extract(c, '\$.ratio.median')
	or not json_extract(c, '\$.ratio.median') <= json_extract(c, '\$.ratio.high')")
[ "$wrong" = 0 ] || complain "$wrong cells are wrong: $(cat "$dir/b.json")"

# The jobs: threads with a log each for pread, one deep queue for io_uring; all in the folder, by its link.
[ "$(readlink -f "$dir/out/data")" = "$(readlink -f "$dir/file")" ] || complain "data is no link to the file"
grep -q "^$dir/out .*pread-16KiB-3.fio$" "$dir/calls" || complain "fio was called: $(cat "$dir/calls")"
job=$dir/out/pread-36KiB-3.fio
for line in direct=1 thread ioengine=psync bs=36864 group_reporting read_iolog=pread-36KiB-3.2.log; do
	grep -qx "$line" "$job" || complain "no '$line' in $(cat "$job")"
done
[ "$(grep -c '^\[reads' "$job")" = 3 ] || complain "not 3 threads in $(cat "$job")"
if [ "$engines" = 2 ]; then
	job=$dir/out/io_uring-16KiB-3.fio
	grep -qx ioengine=io_uring "$job" && grep -qx iodepth=3 "$job" || complain "the job: $(cat "$job")"
	[ "$(grep -c '^\[reads' "$job")" = 1 ] || complain "not one thread in $(cat "$job")"
fi
awk -v file="$file_bytes" '
	FNR == 1 && $0 != "fio version 2 iolog" { print FILENAME ": " $0 }
	$2 == "read" && ($3 % 4096 || $3 + $4 > file || $1 != "data") { print FILENAME ": " $0 }' \
	"$dir"/out/*.log >"$dir/bad"
[ -s "$dir/bad" ] && complain "offsets that no log should have: $(head -3 "$dir/bad")"

# What goes wrong is told.
fails() { # what it says, options...
	local says=$1
	shift
	"$flashcast" "${bench[@]}" "$@" >"$dir/out.txt" 2>&1 && complain "$* does not fail"
	grep -qF -- "$says" "$dir/out.txt" || complain "$*: said $(cat "$dir/out.txt"), wanted $says"
}
fails 'apt-get install fio' --fio no-such-fio
fails 'one of --dir MODEL and --file FILE is wanted' --fio "$dir/fio" --dir "$dir"
fails '--size: got 5000, expected a multiple of 4KiB' --fio "$dir/fio" -s 5000
fails '--in-flight: got 0, expected 1 to 1024' --fio "$dir/fio" -n 0
fails 'expected two reads of 4194304' --fio "$dir/fio" -s 4MiB
sed -i 's/"total_ios\\": \$count/"total_ios\\": 1/' "$dir/fio"
fails 'made 1 reads, expected the log' --fio "$dir/fio"
printf '#!/bin/bash\n[ "$1" = --version ] || echo nothing\n' >"$dir/fio"
fails 'expected JSON' --fio "$dir/fio"
printf '#!/bin/bash\n[ "$1" = --version ] && exit\necho "it burns" >&2\nexit 3\n' >"$dir/fio"
fails 'ended with status 3, expected 0: it burns' --fio "$dir/fio"
[ "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'flashcast-io-*' -newer "$dir/file" | wc -l)" -eq 0 ] || complain "folders are left behind"
[ $failed -eq 0 ] && echo "bench io does what it says"
exit $failed
