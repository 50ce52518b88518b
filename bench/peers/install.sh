#!/bin/sh
# Installs what bench/peers measures Sluice against: Debian's packages, and
# nats-server by the Go module proxy at a pinned version, because Debian's is
# years old. It needs root for apt-get, and starts no service.
#
#	bench/peers/install.sh            all
#	bench/peers/install.sh --no-apt   nats-server alone
set -eu
cd "$(dirname "$0")/../.."

nats_version=v2.15.2

if [ "${1:-}" != --no-apt ]; then
	# A package's service would take ports and CPU from what is measured; only
	# the programs are wanted. A policy that exists already is left as it is.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		haproxy nginx-light libnginx-mod-stream rsyslog
fi

# GOFLAGS is emptied because -mod=vendor and the like do not fit a module that
# is none of ours; go install of a version reads no go.mod of this folder.
GOFLAGS= GOBIN="$PWD/bin/peers" go install "github.com/nats-io/nats-server/v2@$nats_version"

for program in haproxy nginx rsyslogd bin/peers/nats-server; do
	command -v "$program" || echo "$program: not found"
done
