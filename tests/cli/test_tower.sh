#!/bin/bash
# test_tower.sh - what a folder may include compiles there, what it may not does not, and a policy only decides
#
# test_tower.sh CC BUILD SOURCE.  A folder's include path is that of all its sources together, as the
# build has them in compile_commands.json.
set -euo pipefail
cc=$1 build=$2 source=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

complain() {
	echo "$*"
	failed=1
}

# The tower of CMakeLists.txt.
declare -A may=(
	[core]=""
	[costmodel]="core"
	[policy]="core costmodel"
	[sim]="core costmodel policy"
	[real]="core policy"
	[plots]="core"
	[experiments]="core costmodel policy sim real plots"
	[cli]="core costmodel policy sim real plots experiments"
)
# A header of each that no other folder and no library has by that name.
declare -A header=(
	[core]=err.h [costmodel]=dram.h [policy]=decision_log.h [sim]=sim_world.h
	[real]=real_world.h [plots]=plot.h [experiments]=trial.h [cli]=verbs.h
)

declare -A path
for folder in "${!may[@]}"; do
	[ -f "$source/$folder/${header[$folder]}" ] || complain "$folder/${header[$folder]} is gone: name another"
	path[$folder]=$(grep -B1 "\"file\": \"$source/$folder/" "$build/compile_commands.json" |
		grep -oE '(-I|-isystem )[^ "]+' | sort -u | tr '\n' ' ')
	[ -n "${path[$folder]}" ] || complain "$folder: no include path in compile_commands.json"
done

for from in "${!may[@]}"; do
	for to in "${!may[@]}"; do
		[ "$from" != "$to" ] || continue
		echo "#include \"${header[$to]}\"" >"$dir/one.c"
		# shellcheck disable=SC2086
		said=$("$cc" -std=c11 -D_POSIX_C_SOURCE=200809L -fsyntax-only ${path[$from]} "$dir/one.c" 2>&1) &&
			can=yes || can=no
		case " ${may[$from]} " in
		*" $to "*)
			[ "$can" = yes ] || complain "$from cannot include $to: $said" ;;
		*)
			[ "$can" = no ] || complain "$from can include $to, which stands above or beside it"
			[ "$can" = yes ] || [[ "${said,,}" == *"${header[$to]}"*"no"*"such file"* ]] ||
				[[ "$said" == *"${header[$to]}' file not found"* ]] ||
				complain "$from does not include $to, but for another reason: $said" ;;
		esac
	done
done

# Time is seen by what measures, and by nothing that decides or predicts.
echo '#include "clock.h"' >"$dir/one.c"
for from in "${!may[@]}"; do
	case $from in
	real | experiments | cli) wanted=yes ;;
	*) wanted=no ;;
	esac
	# shellcheck disable=SC2086
	"$cc" -std=c11 -D_POSIX_C_SOURCE=200809L -fsyntax-only ${path[$from]} "$dir/one.c" 2>/dev/null && can=yes || can=no
	[ $can = $wanted ] || complain "$from can include clock.h: $can, expected $wanted"
done
for object in "$build"/{policy,costmodel,sim}/CMakeFiles/*.dir/*.o; do
	used=$(nm -u "$object" | grep -oE ' (clock_gettime|clock|time|gettimeofday|timespec_get|times|getrusage)(@.*)?$') || true
	[ -z "$used" ] || complain "$(basename "$object" .o) looks at a clock:$used"
done

# A path in an include would go round the above.
(cd "$source" && ! grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]*/' -r "${!may[@]}") ||
	complain "includes by path"

# What decides touches no clock, file, allocator or dice.
hands='^((m|c|re|aligned_)alloc|free|strn?dup|open_memstream|clock.*|time|gettimeofday|s?rand(om)?(_r)?|[dlm]rand48'
hands+='|(f|fd|p)?open(at|dir)?|(p|f)?read|(p|f)?write|mmap|v?f?printf|f?put[cs]|puts|getenv|pthread_.*|(nano|u)?sleep)$'
count=0
for object in "$build"/policy/CMakeFiles/flash_policy.dir/{residency,demand,layout,persistence}_*.o; do
	count=$((count + 1))
	used=$(nm -u "$object" | awk '{ sub(/@.*/, "", $2); print $2 }' | grep -E "$hands" | tr '\n' ' ') || true
	[ -z "$used" ] || complain "$(basename "$object" .o) decides, and yet calls $used"
done
[ $count -ge 8 ] || complain "only $count policies were looked at"
exit $failed
