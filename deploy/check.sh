#!/bin/sh
# Checks with Prometheus' own promtool what Prometheus is to read: /metrics of a
# distributor, an analyzer and an agent that really run, the queries of the
# dashboard, the rules, and the unit tests of the rules.
#
# First, systemd's units (see systemd/check.sh), and Kubernetes' manifests by its own
# types, which are a module of their own and may have to be downloaded.
#
# Where promtool is not installed, it is taken out of Debian's package prometheus
# into bin/: nothing is installed, no service is started, and root is needed only
# where apt has no lists yet. Where that fails too, nothing is checked; the last
# lines say so, and the exit code is 0 unless CHECK=must.
set -eu
cd "$(dirname "$0")/.."
deploy/systemd/check.sh

if (cd deploy/kubernetes && "${GO:-go}" mod download); then
	(cd deploy/kubernetes && "${GO:-go}" vet ./... && "${GO:-go}" test -count 1 ./...)
else
	cat >&2 <<-'END'
		****************************************************************************
		deploy/kubernetes: NOT RUN. The module k8s.io/api could not be downloaded.
		The manifests are UNCHECKED.
		****************************************************************************
	END
	[ "${CHECK:-}" != must ]
fi

fetch() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	mkdir -p bin && work=$(mktemp -d) || return 1
	trap 'rm -rf "$work"' EXIT
	if [ "$(id -u)" = 0 ]; then apt-get update -qq || return 1; fi
	(cd "$work" && apt-get -o APT::Sandbox::User=root -qq download prometheus) || return 1
	dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -x -O ./usr/bin/promtool >bin/promtool.part &&
		chmod +x bin/promtool.part && mv bin/promtool.part bin/promtool
}

promtool=$(command -v promtool || echo "$PWD/bin/promtool")
if [ ! -x "$promtool" ] && ! fetch; then
	cat >&2 <<-'END'
		****************************************************************************
		deploy/check.sh: NOT RUN. There is no promtool, and it could not be fetched.
		The rules, their tests, /metrics and the dashboard's queries are UNCHECKED.
		Install Debian's package prometheus, or put promtool into PATH or bin/.
		****************************************************************************
	END
	[ "${CHECK:-}" != must ]
	exit
fi
"$promtool" --version | head -1

cd deploy/prometheus
"$promtool" check config --lint=all --lint-fatal prometheus.yml
"$promtool" check rules --lint=all --lint-fatal rules.yml
"$promtool" test rules rules_test.yml
cd ../..
SLUICE_PROMTOOL=$promtool "${GO:-go}" test -count 1 -run Promtool -v ./deploy
echo "deploy/check.sh: promtool has no objection"
