#!/bin/bash
# test_import.sh - checkpoints in every container become models by the command: facts, warnings, verification, refusals
set -euo pipefail
flashcast=$1
source=$2
dir=$(mktemp -d "${FLASHCAST_TEST_DIR:-$PWD}/import-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

said() { # said FILE PATH: a value of a JSON file
	sqlite3 :memory: "select json_extract(readfile('$1'), '$2')"
}

for case in opt-f32:f32 opt-f16-bin:f16 opt-bf16-sharded:bf16 falcon-f32:f32 falcon-bf16-gelu-bin:bf16; do
	name=${case%:*}
	"$flashcast" model import "$source/tests/forward/fixtures/$name" -o "made/on/the/way/$name" --json >made.json 2>err.txt
	grep -q "warning: no tokenizer" err.txt
	[ "$(said made.json '$.weights')" = "${case#*:}" ]
	[ "$(said made.json '$.model.name')" = "$name" ]
	"$flashcast" model inspect "made/on/the/way/$name" --verify --json >facts.json
	[ "$(said facts.json '$.verified')" = 1 ]
	[ "$(said facts.json '$.digest')" = "$(said made.json '$.digest')" ]
	[ "$(said facts.json '$.dram.policies[0].policy')" = naive ]
	[ "$(said facts.json '$.files[2].layout')" != "" ]
	[ "$(said facts.json '$.dram.ctx_tokens')" = 64 ] # 384 asked for, but these have 64 positions
	[ "$(sqlite3 :memory: "select min(value ->> 'all_bytes' > value ->> 'kept_bytes' + value ->> 'ffn_bytes' + value ->> 'kv_bytes'
		and value ->> 'scratch_bytes' > 0 and value ->> 'buffer_bytes' > 0 and value ->> 'other_bytes' > 0)
		from json_each(readfile('facts.json'), '\$.dram.policies')")" = 1 ]
done
grep -q "no sparsity" err.txt # the last one is a GELU

# The same weights from other types, layouts and folders.
fixture=$source/tests/forward/fixtures/opt-f32
"$flashcast" model import "$fixture" -o a --weights bf16 --layout bundle --json >a.json 2>/dev/null
"$flashcast" model import "$fixture" -o b --weights bf16 --layout split --row-align 4KiB --json >b.json 2>/dev/null
[ "$(said a.json '$.digest')" = "$(said b.json '$.digest')" ]
[ "$(said a.json '$.digest')" != "$(said made.json '$.digest')" ]
[ ! -e a/ffn.split.gguf ]
[ "$(said b.json '$.model.row_align')" = 4096 ]

# A flipped bit is found, and the file named.
printf '\xff' | dd of=a/ffn.bundle.gguf bs=1 seek=70000 conv=notrunc status=none
if "$flashcast" model inspect a --verify >/dev/null 2>err.txt; then
	echo "a flipped byte went unseen"
	exit 1
fi
grep -q "a/ffn.bundle.gguf: digest of its bytes" err.txt

# A model over another one leaves no file of it; a file that does not belong is named, and does not hide those that do.
"$flashcast" model import "$fixture" -o c >/dev/null 2>&1
cp c/ffn.split.gguf kept.gguf
"$flashcast" model import "$source/tests/forward/fixtures/falcon-f32" -o c --layout bundle >/dev/null 2>&1
[ ! -e c/ffn.split.gguf ]
cp kept.gguf c/ffn.split.gguf
"$flashcast" model inspect c --json >facts.json
[ "$(said facts.json '$.files[1].layout')" = bundle ]
[ "$(said facts.json '$.strays[0].layout')" = split ]
"$flashcast" model inspect c | grep -q 'does not belong: c/ffn.split.gguf: .*got .*expected'
if "$flashcast" model inspect c --verify >/dev/null 2>err.txt; then
	echo "a file of another model was verified"
	exit 1
fi
grep -q 'c/ffn.split.gguf' err.txt
# Another layout of the same weights belongs; what is not ours is nobody's to remove.
echo "my notes" >c/ffn.split.gguf
"$flashcast" model import "$source/tests/forward/fixtures/falcon-f32" -o c --layout bundle >/dev/null 2>&1
grep -q "my notes" c/ffn.split.gguf
"$flashcast" model import "$source/tests/forward/fixtures/falcon-f32" -o c --layout split >/dev/null 2>&1
"$flashcast" model inspect c --verify --json >facts.json
[ "$(said facts.json '$.files[1].layout') $(said facts.json '$.files[2].layout')" = "split bundle" ]
[ "$(said facts.json '$.strays[0]')" = "" ]

# What others wrote may not command a terminal: not from messages, not from a vocabulary.
cp -r "$fixture" hostile
sed -i 's/"activation_function": "[a-z]*"/"activation_function": "\\u001b[2Jrelu"/' hostile/config.json
if "$flashcast" model import hostile -o x >/dev/null 2>err.txt; then
	echo "an activation with an escape in it was taken"
	exit 1
fi
grep -qF 'got \x1b[2Jrelu' err.txt
[ "$(tr -dc '\033' <err.txt | wc -c)" -eq 0 ]
cp "$fixture/config.json" hostile/
vocab=$(said hostile/config.json '$.vocab_size')
# Tokens of the byte 0x1b alone, which is the character U+011B in such files; then the bytes' alphabet, which must be whole.
token= vocabulary= merges=
for ((i = 0; i < vocab; i++)); do
	[ -z "$token" ] || merges+="$token ě"$'\n'
	token+=ě
	vocabulary+="\"$token\":$i,"
done
for ((byte = 0, moved = 256; byte < 256; byte++)); do
	letter=$byte
	if ((byte < 33 || (byte > 126 && byte < 161) || byte == 173)); then
		letter=$((moved++))
	fi
	[ $byte -eq 27 ] && continue
	vocabulary+=$(printf '"\\u%04x":%d,' $letter $i)
	i=$((i + 1))
done
echo "{${vocabulary%,}}" >hostile/vocab.json
printf '#version: 0.2\n%s' "$merges" >hostile/merges.txt
"$flashcast" model import hostile -o escapes >/dev/null 2>&1
generate="'$flashcast' generate escapes --tokens 3,4 -n 5"
[ "$(bash -c "$generate" | tr -dc '\033' | wc -c)" -ge 5 ] # a file gets the bytes
script -qec "$generate" typed >/dev/null </dev/null
grep -qF '\x1b\x1b' typed
[ "$(sed '1d;$d' typed | tr -dc '\033' | wc -c)" -eq 0 ]

# Where the user or an odd key decides what a model computes, it is said: what was got, what was expected.
"$flashcast" model import "$fixture" -o gelu --activation gelu >/dev/null 2>err.txt
grep -qF 'warning: --activation: got gelu, expected relu as ' err.txt
"$flashcast" model import "$fixture" -o gelu --activation relu >/dev/null 2>err.txt
! grep -q -- --activation err.txt || exit 1
cp -r "$source/tests/forward/fixtures/falcon-f32" relufied
sed -i 's/"activation": "relu"/"hidden_act": "relu", "note": "\\uD83D\\uDE00"/' relufied/config.json
"$flashcast" model import relufied -o relu --json >made.json 2>err.txt
grep -q 'warning: relufied/config.json:[0-9]*:[0-9]*: hidden_act: got relu, expected gelu' err.txt
[ "$(said made.json '$.model.activation')" = relu ]

# A folder of GGUF files alone, and one of our own.
mkdir ggufs
touch ggufs/b.gguf ggufs/a.gguf
# A checkpoint where a model is expected.
for verb in "model inspect" "generate --tokens 1" "score --tokens 1"; do
	if "$flashcast" $verb "$fixture" >/dev/null 2>err.txt; then
		echo "$verb took a checkpoint for a model"
		exit 1
	fi
	grep -qF "got a checkpoint, expected a model: model import $fixture -o MODEL" err.txt
done

# Usage is 2, failure 1, and nothing is left of either.
refused() { # refused STATUS 'WHAT IT SAYS' ARGUMENTS...
	local status=0
	"$flashcast" model import "${@:3}" >/dev/null 2>err.txt || status=$?
	if [ $status -ne "$1" ] || ! grep -qF -- "$2" err.txt; then
		echo "model import ${*:3}: status $status, expected $1; said: $(cat err.txt)"
		exit 1
	fi
	[ ! -e x ]
}
refused 2 "-o MODEL is missing" "$fixture"
refused 2 "--weights: got 'q8', expected one of f32, f16, bf16" "$fixture" -o x --weights q8
refused 2 "--layout: got 'bundle' twice" "$fixture" -o x --layout bundle --layout bundle
refused 2 "--activation: got 'silu', expected one of relu, gelu, gelu_tanh" "$fixture" -o x --activation silu
refused 2 "--row-align: got 100 B, expected 512B or 4KiB" "$fixture" -o x --row-align 100B
refused 1 "nowhere: cannot read" nowhere -o x
refused 1 "got 2 GGUF files and no config.json with weights, expected the file's path: ggufs/a.gguf" ggufs -o x
refused 1 "got base.gguf, a model's own file, which needs no import" a -o x
refused 1 "nowhere.gguf" nowhere.gguf -o x
