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
