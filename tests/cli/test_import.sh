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
refused 1 "nowhere.gguf" nowhere.gguf -o x
