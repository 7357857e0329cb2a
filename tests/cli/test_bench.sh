#!/bin/bash
# test_bench.sh - `bench kernels` measures what it says it does; how fast is no test's business
set -uo pipefail
flashcast=$1
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

complain() {
	echo "$*"
	failed=1
}

# wants 'SQL CONDITION' of the report in j
wants() {
	local got
	got=$(sqlite3 :memory: "with report(j) as (select readfile('$dir/b.json')), lines as
		(select value v from report, json_each(j, '\$.lines')) select ($1) from report")
	[ "$got" = 1 ] || complain "bench kernels --json: not so: $1"
}

# A tiny layer: the buffer is large all the same.
small=(bench kernels --threads 2 --pairs 5 --d-model 64 --d-ffn 256)
"$flashcast" "${small[@]}" --json >"$dir/b.json" || complain "bench kernels --json fails"
wants "json_extract(j, '\$.threads') = 2 and json_extract(j, '\$.pairs') = 5"
wants "json_extract(j, '\$.buffer_bytes') >= 4 * json_extract(j, '\$.last_cache_bytes')"
wants "json_extract(j, '\$.last_cache_bytes') > 0"
wants "(select count(*) from lines) = 3 * 7"
wants "(select group_concat(distinct json_extract(v, '\$.weights')) from lines) = 'f32,f16,bf16'"
wants "(select group_concat(distinct json_extract(v, '\$.kernel')) from lines) = 'gemv,ffn'"
# Each line's rows weigh what their type does, once for a product, twice for an FFN.
wants "(select count(*) from lines where json_extract(v, '\$.bytes') <> json_extract(v, '\$.rows') * 64
	* iif(json_extract(v, '\$.weights') = 'f32', 4, 2) * iif(json_extract(v, '\$.kernel') = 'ffn', 2, 1)) = 0"
wants "(select count(*) from lines where not (json_extract(v, '\$.ratio_low') > 0
	and json_extract(v, '\$.ratio_low') <= json_extract(v, '\$.ratio')
	and json_extract(v, '\$.ratio') <= json_extract(v, '\$.ratio_high')
	and json_extract(v, '\$.kernel_bytes_per_s') > 0 and json_extract(v, '\$.read_bytes_per_s') > 0)) = 0"

"$flashcast" "${small[@]}" --kernels portable >"$dir/b.txt" || complain "bench kernels --kernels portable fails"
grep -q '^kernels portable, 2 threads, rows of 64, layers of 256 rows; ' "$dir/b.txt" ||
	complain "bench kernels: says not what it measures"
[ "$(grep -cE '^(gemv|ffn ) +(f32|f16|bf16) +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+  [0-9.]+ to [0-9.]+$' "$dir/b.txt")" = 21 ] ||
	complain "bench kernels: not 21 lines: $(cat "$dir/b.txt")"

# refuses 'PART OF WHAT IT SAYS' ARGUMENTS...
refuses() {
	local says=$1 out got
	shift
	out=$("$flashcast" bench kernels "$@" 2>&1)
	got=$?
	[ $got -eq 2 ] && [[ "$out" == *"$says"* ]] || complain "bench kernels $*: status $got, said: $out"
}
refuses "--kernels: got 'sse9', this machine has " --kernels sse9
refuses "--pairs: got 5000" --pairs 5000
refuses "--threads" --threads 0
refuses "--d-model" --d-model 63
exit $failed
