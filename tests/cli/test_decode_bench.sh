#!/bin/bash
# test_decode_bench.sh - `bench decode` against a peer of our own that prints what llama-bench prints
set -uo pipefail
flashcast=$1
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

complain() {
	echo "$*"
	failed=1
}

cat >"$dir/tiny.yaml" <<'YAML'
base: falcon-7b
name: tiny
layer_count: 2
d_model: 64
d_ffn: 256
head_count: 4
vocab_count: 128
position_count: 64
YAML
"$flashcast" model synth "$dir/tiny.yaml" -o "$dir/model" >/dev/null || complain "cannot make a model"
cat >"$dir/peer" <<'PEER'
#!/bin/bash
echo "$*" >>"$0.calls"
echo '[{"avg_ts": 100.0}]'
PEER
chmod +x "$dir/peer"
bench=(bench decode "$dir/model" --peer "$dir/peer" --peer-model x.gguf -t 2 -n 5 --pairs 4)
"$flashcast" "${bench[@]}" --json >"$dir/b.json" || complain "bench decode --json fails"
got=$(sqlite3 :memory: "with report(j) as (select readfile('$dir/b.json')) select
	json_extract(j, '\$.peer_tokens_per_s') = 100 and json_extract(j, '\$.pairs') = 4
	and abs(json_extract(j, '\$.ratio') * 100 / json_extract(j, '\$.tokens_per_s') - 1) < 1e-6
	and json_extract(j, '\$.ratio_low') <= json_extract(j, '\$.ratio')
	and json_extract(j, '\$.ratio') <= json_extract(j, '\$.ratio_high') from report")
[ "$got" = 1 ] || complain "not so: $(cat "$dir/b.json")"
[ "$(sort -u "$dir/peer.calls")" = "-m x.gguf -t 2 -p 0 -n 5 -r 1 -o json" ] || complain "the peer was called: $(cat "$dir/peer.calls")"
[ "$(wc -l <"$dir/peer.calls")" -eq 4 ] || complain "the peer did not run once a pair"
"$flashcast" "${bench[@]}" | grep -q '^2 threads, 5 tokens, 4 pairs: .* ratio ' || complain "no line of text"
printf '#!/bin/bash\necho nothing\n' >"$dir/peer"
"$flashcast" "${bench[@]}" >"$dir/out" 2>&1
grep -q "no number 'avg_ts'" "$dir/out" || complain "a peer that prints no JSON is not told"
printf '#!/bin/bash\nexit 3\n' >"$dir/peer"
"$flashcast" "${bench[@]}" >"$dir/out" 2>&1
grep -q 'ended with status 3, expected 0' "$dir/out" || complain "a peer that fails is not told"
[ $failed -eq 0 ] && echo "bench decode does what it says"
exit $failed
