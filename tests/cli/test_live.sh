#!/bin/bash
# test_live.sh - `generate` and `score` as a user runs them, on a tiny synthetic model
set -uo pipefail
flashcast=$1
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

complain() {
	echo "$*"
	failed=1
}

# wants FILE 'SQL CONDITION' of the JSON object j in FILE
wants() {
	local got
	got=$(sqlite3 :memory: "with report(j) as (select readfile('$dir/$1')) select ($2) from report")
	[ "$got" = 1 ] || complain "$1: not so: $2: $(head -c 600 "$dir/$1")"
}

# refuses STATUS TEXT ARGUMENTS...: fails so, and says TEXT on stderr
refuses() {
	local status=$1 text=$2 got
	shift 2
	"$flashcast" "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ $got -eq "$status" ] || complain "$*: exit status $got, expected $status: $(cat "$dir/err")"
	grep -qF -- "$text" "$dir/err" || complain "$*: no '$text' in: $(cat "$dir/err")"
}

cat >"$dir/tiny.yaml" <<'YAML'
base: opt-125m
name: tiny
layer_count: 2
d_model: 64
d_ffn: 256
head_count: 4
kv_head_count: 4
vocab_count: 128
position_count: 512
YAML
"$flashcast" model synth "$dir/tiny.yaml" -o "$dir/model" >/dev/null || complain "cannot make a model"
model=$dir/model

# score: the two ways agree, and the figures with each other
tokens=5,7,9,11,13,0,127
"$flashcast" score "$model" --tokens $tokens --json --logits "$dir/a.f32" >"$dir/a.json" || complain "score fails"
"$flashcast" score "$model" --tokens $tokens --json --decode --policy oracle >"$dir/b.json" ||
	complain "score --decode --policy oracle fails"
wants a.json "json_extract(j, '\$.scored_tokens') = 6 and json_array_length(j, '\$.log_probs') = 7"
wants a.json "json_type(j, '\$.log_probs[0]') = 'null' and json_extract(j, '\$.log_probs[6]') < 0"
wants a.json "abs(json_extract(j, '\$.log_prob') - (select sum(value) from json_each(j, '\$.log_probs'))) < 1e-6"
wants a.json "json_extract(j, '\$.perplexity') > 1 and json_extract(j, '\$.dram_peak_bytes') > 0"
sqlite3 :memory: "select abs(json_extract(readfile('$dir/a.json'), '\$.log_prob')
	- json_extract(readfile('$dir/b.json'), '\$.log_prob')) < 1e-4" | grep -qx 1 ||
	complain "a dense pass and decoding by the policy disagree"
[ "$(stat -c %s "$dir/a.f32")" -eq $((7 * 128 * 4)) ] || complain "logits are not [7, 128] float32"
# Windows: with 3 positions each, 7 tokens are 3 + 3 + 1, and the first of each is not scored.
"$flashcast" score "$model" --tokens $tokens --ctx 3 --json >"$dir/c.json" || complain "score --ctx 3 fails"
wants c.json "json_extract(j, '\$.scored_tokens') = 4 and json_extract(j, '\$.window_tokens') = 3"
"$flashcast" score "$model" --tokens $tokens | grep -q '^perplexity ' || complain "score prints no perplexity"

# generate: greedy repeats itself, a seed repeats its draw, counts are kept
"$flashcast" generate "$model" --tokens 1,2,3 -n 9 --json >"$dir/d.json" || complain "generate fails"
"$flashcast" generate "$model" --tokens 1,2,3 -n 9 --json --policy naive >"$dir/e.json" ||
	complain "generate --policy naive fails"
wants d.json "json_array_length(j, '\$.tokens') = 9 and json_extract(j, '\$.ended') = 'count'"
wants d.json "json_extract(j, '\$.decoded_tokens') = 8 and json_extract(j, '\$.total_ns.p95') >= json_extract(j, '\$.total_ns.p50')"
wants d.json "json_extract(j, '\$.read_bytes_per_token') = 0 and json_extract(j, '\$.hit_frac') = 1"
wants e.json "json_extract(j, '\$.read_bytes_per_token') > 0 and json_extract(j, '\$.first_token_read_bytes') > 0"
sqlite3 :memory: "select json_extract(readfile('$dir/d.json'), '\$.tokens') = json_extract(readfile('$dir/e.json'), '\$.tokens')" |
	grep -qx 1 || complain "policies make different text"
draw() {
	"$flashcast" generate "$model" --tokens 1 -n 12 --temperature 1 --top-p 90% --seed "$1" --json |
		sed 's/"ended".*//'
}
[ "$(draw 1)" = "$(draw 1)" ] || complain "a seed does not repeat its draw"
[ "$(draw 1)" != "$(draw 2)" ] || complain "two seeds draw the same"
"$flashcast" generate "$model" --tokens 1 -n 4 >"$dir/f.txt" || complain "generate prints nothing"
for line in '^prompt ' '^made  *4 tokens, ended by: count' '^I/O wait ' '^compute ' '^neurons ' '^DRAM  *peak '; do
	grep -q "$line" "$dir/f.txt" || complain "generate: no line '$line'"
done
grep -q 'twin' "$dir/f.txt" && complain "a run without an oracle speaks of its twin"
"$flashcast" generate "$model" --tokens 1 -n 4 --policy oracle --dram 300MB >"$dir/twin.txt" || complain "generate --dram with an oracle fails"
[ "$(grep -c "of a budget of 300 MB; .* of the peak is the oracle's dense twin, outside budget and clock" "$dir/twin.txt")" -eq 1 ] ||
	complain "the twin outside the budget is not told once: $(grep DRAM "$dir/twin.txt")"
"$flashcast" generate "$model" --tokens 1 -n 900 --ctx 20 --json >"$dir/g.json" || complain "generate --ctx 20 fails"
wants g.json "json_extract(j, '\$.ended') = 'context full' and json_array_length(j, '\$.tokens') = 20"

# ctrl-C: ends with the table
"$flashcast" generate "$model" --tokens 1 -n 500 --policy naive >"$dir/h.txt" &
pid=$!
for ((i = 0; i < 200; i++)); do
	[ -s "$dir/h.txt" ] && break
	sleep 0.05
done
kill -INT $pid
wait $pid || complain "generate fails when interrupted"
grep -q 'ended by: \(interrupted\|count\)' "$dir/h.txt" || complain "no table after an interrupt: $(tail -3 "$dir/h.txt")"

refuses 2 'no prompt' generate "$model"
refuses 2 'holds no tokenizer' generate "$model" -p hello
refuses 2 'expected an id below 128' score "$model" --tokens 5,128
refuses 2 "got 'x' as id 2" score "$model" --tokens 5,x
refuses 2 'expected whole numbers' score "$model" --tokens 5,,6
refuses 2 'nothing to score' score "$model"
refuses 2 'the context holds 2' generate "$model" --tokens 1,2,3 --ctx 2
refuses 1 'knows dense and oracle' generate "$model" --tokens 1 --policy all
refuses 1 'dram: got 1 MiB, expected at least' generate "$model" --tokens 1 --dram 1MiB
refuses 2 '--dram' generate "$model" --tokens 1 --dram lots
refuses 2 'temperature' generate "$model" --tokens 1 --temperature -1
refuses 2 'expected at most 512' score "$model" --tokens 5 --ctx 513
refuses 2 'is no plain file' score "$model" --tokens 5,6 --logits /dev/null
[ -c /dev/null ] || complain "/dev/null is gone"
ln -s a.f32 "$dir/link"
"$flashcast" score "$model" --tokens 5,6 --logits "$dir/link" >/dev/null || complain "score cannot write to a link"
[ -L "$dir/link" ] && [ "$(stat -c %s "$dir/a.f32")" -eq $((2 * 128 * 4)) ] || complain "a link was replaced, not followed"
"$flashcast" score "$model" --tokens 5 | grep -q 'no token was scored' || complain "score of one token says nothing"
refuses 1 'nowhere' generate "$dir/nowhere" --tokens 1
[ $failed -eq 0 ] && echo "generate and score do what they say"
exit $failed
