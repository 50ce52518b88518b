#!/bin/sh
# Checks the units with systemd's own systemd-analyze: that it understands every
# line, and that what an attacker could do from within stays small.
#
# Where there is no systemd-analyze nothing is checked; the last lines say so, and
# the exit code is 0 unless CHECK=must.
set -eu
cd "$(dirname "$0")"
if ! command -v systemd-analyze >/dev/null; then
	cat >&2 <<-'END'
		****************************************************************************
		deploy/systemd/check.sh: NOT RUN. There is no systemd-analyze.
		The units are UNCHECKED. Install Debian's package systemd.
		****************************************************************************
	END
	[ "${CHECK:-}" != must ]
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for unit in *.service; do
	# The programs need not be installed here; whether they could be is not the point.
	sed 's,^ExecStart=/usr/local/bin/sluice-[a-z]*,ExecStart=/bin/true,' "$unit" >"$work/$unit"
done
# Of an error in a line it warns, and exits with 0.
remarks=$(systemd-analyze verify "$work"/*.service 2>&1) || { echo "$remarks"; exit 1; }
[ -z "$remarks" ] || { echo "$remarks"; exit 1; }
for unit in "$work"/*.service; do
	# 0 is nothing, 10 is everything; the threshold is in tenths.
	systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" >"$work/said" || { cat "$work/said"; exit 1; }
	tail -1 "$work/said"
done
echo "deploy/systemd/check.sh: systemd-analyze has no objection"
