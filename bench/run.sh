#!/bin/sh
# Runs the go benchmarks, keeps the result as bench/results/<commit>.txt, and
# compares it with an earlier one by benchstat. Results are not in git: they
# mean nothing on another machine.
#
#	COUNT=10     runs of each benchmark; benchstat wants six or more
#	BENCH=.      which benchmarks
#	TIME=1s      how long each runs
#	BASE=FILE    what to compare with; the newest other result if not given
set -eu
cd "$(dirname "$0")/.."
export GIT_OPTIONAL_LOCKS=0 # only reads
commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain --untracked-files=no)" ] || commit=$commit-dirty
results=bench/results
mkdir -p "$results"
new=$results/$commit.txt
base=${BASE:-$(ls -t "$results"/*.txt 2>/dev/null | grep -Fvx "$new" | head -1 || true)}

# The file appears when it is whole. No pipe to tee: its success would hide a
# benchmark's failure.
trap 'rm -f "$new.part"' EXIT
echo "running into $new"
go test -run '^$' -bench "${BENCH:-.}" -count "${COUNT:-6}" -benchtime "${TIME:-1s}" -timeout 0 ./bench >"$new.part" ||
	{ cat "$new.part"; exit 1; }
mv "$new.part" "$new"

go build -modfile="${TOOLS:-tools/go.mod}" -o bin/benchstat golang.org/x/perf/cmd/benchstat
if [ -n "$base" ]; then
	bin/benchstat "$base" "$new"
else
	bin/benchstat "$new"
	echo "nothing to compare with yet: this is the first result here"
fi
