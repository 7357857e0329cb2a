#!/bin/bash
# test_whole_job.sh - the main job on a tiny model: synth, inspect, calibrate, validate, resume, shards, merge, plot
#
# Checks that each step works and hands on what the next needs, and that both worlds take the same
# decisions; no time is judged.
set -euo pipefail
flashcast=$1
dir=$(mktemp -d "${FLASHCAST_TEST_DIR:-$PWD}/whole-job-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

column() { # column NAME WORLD: its values in results.csv of out/
	sqlite3 out/results.sqlite "select $1 from results where world = '$2' order by trial_hash"
}

said() { # said FILE PATH: a value of a JSON file
	sqlite3 :memory: "select json_extract(readfile('$1'), '$2')"
}

cat >tiny.yaml <<'END'
name: tiny
family: opt
layer_count: 2
d_model: 256
d_ffn: 1024
head_count: 4
kv_head_count: 4
vocab_count: 512
position_count: 64
activity: {active_frac: 3.3%, active_first_frac: 1.6%, active_last_frac: 5.4%, window_tokens: 5, resident_frac: 24%, new_frac: 2.4%, overlap_frac: 53%, hot_frac: 28%}
END
"$flashcast" model synth ./tiny.yaml -o model
"$flashcast" model inspect model | grep -q bundle

if ! "$flashcast" calibrate --dir model --mode quick --time 3s --threads 1 --name disk -o disk.yaml 2>err.txt; then
	grep -q "direct I/O" err.txt && { echo "no direct I/O here"; exit 77; }
	cat err.txt
	exit 1
fi
"$flashcast" calibrate --dir model --device emulated-m1-max --mode quick --time 3s --threads 1 --name 'emulated "one"' --json \
	-o made/on/the/way/emulated.yaml >calibrate.json
[ "$(said calibrate.json '$.name')" = 'emulated "one"' ]
[ "$(said calibrate.json '$.origin.kind')" = emulated ]
[ "$(said calibrate.json '$.flash.latency_ns')" != "" ]
[ "$(said calibrate.json '$.points[0].read_bytes')" -gt 0 ]
mv made/on/the/way/emulated.yaml .

cat >sweep.yaml <<'END'
experiment: tiny
model: ./tiny.yaml
model_files: model
device: ./disk.yaml
target: disk
policy: bundle
ctx: 32
tokens: 8
warmup: 4
repeats: 2
threads: 1
worlds: [sim, real]
sweep:
  - product: {policy: [naive, hybrid, predictor, window, bundle]}
  - product: {policy.window: {range: [1, 3]}, policy.chunk: [row, 4KiB]}
figures: [latency, window, heatmap, predicted-vs-measured]
END
"$flashcast" validate sweep.yaml -o out >table.txt
grep -q "naive" table.txt
"$flashcast" run sweep.yaml -o out --set device=./emulated.yaml --set target=emulated-m1-max --decisions >/dev/null

for what in decision_hash read_count_per_token read_bytes_per_token load_neurons_per_token; do
	if [ "$(column $what sim)" != "$(column $what real)" ]; then
		echo "$what differs between the worlds"
		exit 1
	fi
done
for log in out/decisions/*.sim.log; do
	cmp "$log" "${log%.sim.log}.real.log"
done
[ "$(find out/decisions -name '*.log' | wc -l)" -eq 22 ] # 11 trials on the second device
rows=$(sqlite3 out/results.sqlite "select count(*) from results")
[ "$rows" -eq 44 ] # 5 rungs and 6 points, two worlds, two devices
for figure in latency window heatmap predicted-vs-measured; do
	ls out/figures/"$figure"*.png >/dev/null
	ls out/figures/"$figure"*.gp >/dev/null
done

# The comparison again, from what the store keeps: what was fitted, and that nothing of it was a trial.
"$flashcast" compare out >again.txt
grep -q "fitted: profile disk, measured, 20..-..-..; flash form to [0-9]* measured points" again.txt
grep -q "held out: all 22 trials" again.txt
"$flashcast" compare out --markdown >again.md
grep -q '^Fitted: profile `emulated "one"` (emulated, ' again.md
"$flashcast" compare out --json >compare.json
[ "$(said compare.json '$.groups[0].fitted.points[0].read_bytes')" != "" ]
[ "$(said compare.json '$.pairs[0].predicted_total_ns_interval[1]')" != "" ]
[ "$(sqlite3 out/results.sqlite "select count(*) from results where total_ns_low <= total_ns_per_token and
	total_ns_per_token <= total_ns_high and world = 'sim'")" -eq 22 ]

# A profile that --calibrate made before is used again with --resume.
mkdir kept
cp emulated.yaml kept/device.yaml
"$flashcast" validate sweep.yaml -o kept --resume --calibrate quick --no-figures --set repeats=1 --set tokens=1 \
	--set target=emulated-m1-max --set 'sweep={product: {policy: [bundle]}}' >kept.txt 2>err.txt
grep -q "kept/device.yaml is used again" err.txt
grep -q 'predicted from profile emulated "one"' kept.txt

# A resumed sweep measures nothing again and loses nothing.
before=$(sqlite3 out/results.sqlite "select group_concat(started_at) from results")
"$flashcast" run sweep.yaml -o out --resume --no-figures >/dev/null
[ "$before" = "$(sqlite3 out/results.sqlite "select group_concat(started_at) from results")" ]

# Figures of one thread against a measurement with two: told once, and beside each line.
"$flashcast" run sweep.yaml -o warned --no-figures --set threads=2 --set repeats=1 \
	--set 'sweep={product: {policy: [naive, bundle]}}' >table.txt 2>err.txt
[ "$(grep -c "warning: profile disk has compute figures of 1 threads and 2 will be measured" err.txt)" -eq 1 ]
[ "$(grep -c "threads: profile 1, measured 2" table.txt)" -eq 2 ]

# Two shards merged are the whole sweep.
for shard in 1 2; do
	"$flashcast" run sweep.yaml -o "shard$shard" --world sim --shard $shard/2 --no-figures >/dev/null
done
"$flashcast" merge shard1 shard2 -o merged --json >merge.json
[ "$(said merge.json '$.rows')" -eq 11 ]
[ "$(said merge.json '$.rows_new')" -eq 11 ]
[ "$(said merge.json '$.merged[1]')" = shard2 ]
"$flashcast" merge shard1 -o merged | grep -q "1 stores, 0 rows new and 11 in all"
[ "$(sqlite3 merged/results.sqlite "select count(*) from results")" -eq 11 ]
[ "$(sqlite3 merged/results.sqlite "select group_concat(decision_hash) from (select * from results order by trial_hash)")" = \
	"$(sqlite3 out/results.sqlite "select group_concat(decision_hash) from (select * from results where world = 'sim' and device = 'disk' order by trial_hash)")" ]
"$flashcast" plot merged latency
test -s merged/figures/latency.png
"$flashcast" plot out --json >plot.json 2>/dev/null
[ "$(said plot.json '$.figures[1].device')" = 'emulated "one"' ]
test -s "$(said plot.json '$.figures[1].files[0]')"
"$flashcast" plot merged latency predicted-vs-measured --json >plot.json 2>/dev/null # sim alone: nothing was measured
[ "$(said plot.json '$.figures[1].drawn')" -eq 0 ]
[ "$(said plot.json '$.figures[1].why')" != "" ]

"$flashcast" trace synth ./tiny.yaml -o a.trace --tokens 32
"$flashcast" trace stats a.trace --demand noisy --json | grep -q aggregated_frac
