#!/bin/bash
# test_usage.sh - wrong usage ends with status 2 and a sentence that helps; help ends with 0
set -uo pipefail
flashcast=$1
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# expect STATUS 'PART OF WHAT IT SAYS' ARGUMENTS...
expect() {
	local status=$1 says=$2 out got
	shift 2
	out=$("$flashcast" "$@" 2>&1)
	got=$?
	if [ "$got" -ne "$status" ] || [[ "$out" != *"$says"* ]]; then
		printf 'flashcast %s\n  status %d, expected %d\n  said: %s\n  expected in it: %s\n' \
			"$*" "$got" "$status" "$out" "$says"
		failed=1
	fi
}

expect 0 "exit status" --help
expect 0 "flashcast 0." --version
expect 0 "# Configuration" --help-config
for verb in run validate compare plot calibrate bench model trace merge; do
	expect 0 "usage: flashcast $verb" "$verb" --help
done
for verb in "model import" "model synth" "model inspect" "trace synth" "trace stats" "bench sim"; do
	# shellcheck disable=SC2086
	expect 0 "usage: flashcast $verb" $verb --help
done

expect 2 "no verb given"
expect 2 "unknown verb 'rnu' (did you mean run?)" rnu
expect 2 "unknown verb 'model sinth' (did you mean synth?)" model sinth
expect 2 "model: wants a verb of its own" model
expect 2 "too few arguments" run
expect 2 "-o DIR is missing" run paper/table2
expect 2 "unknown option --wrold (did you mean --world?)" run paper/table2 -o "$dir/x" --wrold sim
expect 2 "--world: got 'moon', expected sim, real or both" run paper/table2 -o "$dir/x" --world moon
expect 2 "--shard: got '3/2'" run paper/table2 -o "$dir/x" --shard 3/2
expect 2 "--shard: got '99999999999/99999999999'" run paper/table2 -o "$dir/x" --shard 99999999999/99999999999
expect 2 "--shard: got '1/2x'" run paper/table2 -o "$dir/x" --shard 1/2x
expect 2 "--shard: got '/2'" run paper/table2 -o "$dir/x" --shard /2
expect 2 "--jobs" run paper/table2 -o "$dir/x" --jobs many
expect 2 "--out needs a value" run paper/table2 -o
expect 2 "--resume takes no value" run paper/table2 -o "$dir/x" --resume=yes
expect 2 "no-such-experiment" run no-such-experiment -o "$dir/x"
expect 2 "--set:1:15: unknown key windwo (did you mean window?)" run paper/table2 -o "$dir/x" --set policy.windwo=3
expect 2 "device: an emulated device predicts nothing: name it with target:" run paper/table2 -o "$dir/x" --set device=emulated-m1-max
expect 2 "unexpected argument 'b'" run a b -o "$dir/x"
expect 2 "no-such-model" model synth no-such-model -o "$dir/m"
expect 2 "--weights: got 'f8'" model synth demo-opt -o "$dir/m" --weights f8
expect 2 "--layout: got 'bundel', expected a layout (did you mean bundle?)" model synth demo-opt -o "$dir/m" --layout bundel
expect 1 "$dir/none" model inspect "$dir/none"
expect 1 "$dir/none" trace stats "$dir/none"
expect 2 "--dir MODEL is missing" calibrate -o "$dir/d.yaml"
expect 2 "--time: " calibrate --dir "$dir" -o "$dir/d.yaml" --time 20MB
expect 1 "/proc/nowhere: cannot make the folder" calibrate --dir "$dir" -o /proc/nowhere/d.yaml
expect 2 "unknown option --calibrate" run paper/table2 -o "$dir/x" --calibrate quick
expect 2 "--calibrate: got 'fast', expected quick or full" validate validation-opt -o "$dir/x" --calibrate fast
expect 2 "--calibrate makes the profile that --set device=m1-max names" validate validation-opt -o "$dir/x" \
	--calibrate quick --set device=m1-max
expect 2 "--calibrate: trials compute with 1 and 2 threads" validate validation-opt -o "$dir/x" --calibrate quick \
	--set model_files="$dir" --set 'sweep={product: {policy: [bundle], threads: [1, 2]}}'
expect 2 "model_files is empty" validate validation-opt -o "$dir/x" --calibrate quick
expect 1 "(make one: flashcast model synth check-opt" validate validation-opt -o "$dir/x" --calibrate quick \
	--set model_files="$dir/none"
expect 2 "--json and --markdown: one of them" validate validation-opt -o "$dir/x" --json --markdown
expect 1 "$dir/empty/results.sqlite: cannot open" compare "$dir/empty"
expect 2 "figure 'latencies'" plot "$dir/empty" latencies
# One world's rows as JSON: an array that a parser takes, and nothing else on standard output.
if ! "$flashcast" run paper/table2 -o "$dir/json" --world sim --json --no-figures --set tokens=4 --set warmup=1 2>/dev/null >"$dir/rows.json" ||
	[ "$(sqlite3 :memory: "select json_array_length(readfile('$dir/rows.json'))")" != 5 ]; then
	echo "run --json: no array of 5 rows"
	failed=1
fi
# Names may hold what JSON does not.
if ! "$flashcast" run paper/table2 -o "$dir/odd" --world sim --json --no-figures --set tokens=4 --set warmup=1 \
	--set 'experiment="a\"b\\c"' 2>/dev/null >"$dir/odd.json" ||
	[ "$(sqlite3 :memory: "select json_extract(readfile('$dir/odd.json'), '\$[0].experiment')")" != 'a"b\c' ]; then
	echo 'run --json: experiment is not a"b\c'
	failed=1
fi
if ! "$flashcast" bench sim --json --runs 1 --set tokens=4 --set warmup=1 --set 'sweep={product: {policy: [naive], about: ["a\"b", c]}}' --sweep 8 --jobs 2 >"$dir/bench.jsonl" ||
	! sed -n '3{p;q}' "$dir/bench.jsonl" >"$dir/bench.json" ||
	[ "$(sqlite3 :memory: "select json_extract(readfile('$dir/bench.json'), '\$.trial')")" != 'about=a"b' ]; then
	echo 'bench sim --json: trial is not about=a"b'
	failed=1
fi
# Two levels of flash, a trial, a sweep: a line of JSON each, with what each is about.
for line in 1:level:recursion 2:level:events 4:trials:8; do
	IFS=: read -r number key value <<<"$line"
	sed -n "$number{p;q}" "$dir/bench.jsonl" >"$dir/bench.json"
	if [ "$(sqlite3 :memory: "select json_extract(readfile('$dir/bench.json'), '\$.$key')")" != "$value" ]; then
		echo "bench sim --json: line $number has not $key $value"
		failed=1
	fi
done
exit $failed
