#!/bin/bash
# test_install.sh - an installed program finds the configs installed with it, from any folder and when moved
#
# test_install.sh CMAKE BUILD BINDIR DATADIR.  A model that only the installed folder has shows that it
# is read there, and not in the source tree, which is still on this machine.
set -euo pipefail
cmake=$1 build=$2 bin=$3 data=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset FLASHCAST_CONFIGS

knows_its_own() { # knows_its_own PROGRAM: it reads the model that only its prefix has
	(cd / && "$1" trace synth only-here -o "$dir/only-here.trace" --tokens 4)
	rm "$dir/only-here.trace"
}

"$cmake" --install "$build" --prefix "$dir/prefix" >"$dir/log" || { cat "$dir/log"; exit 1; }
flashcast=$(find "$dir/prefix" -type f -name flashcast)
[ -x "$flashcast" ]
configs=$(find "$dir/prefix" -type d -path '*/flashcast/configs')
echo 'base: demo-opt' >"$configs/model/only-here.yaml"

(cd / && "$flashcast" run paper/table2 -o "$dir/out" --world sim --no-figures >/dev/null)
[ "$(wc -l <"$dir/out/results.csv")" -gt 5 ]
knows_its_own "$flashcast"

mv "$dir/prefix" "$dir/moved"
knows_its_own "$dir/moved${flashcast#"$dir/prefix"}"

# As a packager stages it: what stands in the prefix that was configured lies below DESTDIR.
DESTDIR="$dir/stage" "$cmake" --install "$build" >"$dir/log" || { cat "$dir/log"; exit 1; }
echo 'base: demo-opt' >"$dir/stage$data/flashcast/configs/model/only-here.yaml"
knows_its_own "$dir/stage$bin/flashcast"

# A name that is nowhere is answered with those that were installed.
said=$(cd / && "$dir/stage$bin/flashcast" trace synth only-hree -o "$dir/x" 2>&1) && exit 1
[[ "$said" == *"did you mean only-here?"* ]] || { echo "$said"; exit 1; }
