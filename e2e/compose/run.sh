#!/usr/bin/env bash
# Builds the images and runs docker-compose.yml as users do; then the tests of this
# folder hurt it. Whatever happens, nothing is left behind: no container, network,
# volume or image.
#
# Where there is no Docker engine nothing is tested: the last lines say so, and the
# exit code is 0 unless CHECK=must. The base image of the Dockerfile is used if it
# is there; if not, a stand-in takes its name for the time of the test.
set -euo pipefail
cd "$(dirname "$0")/../.."

not_run() {
  cat >&2 <<END
****************************************************************************
e2e/compose: NOT RUN. $*
The images, docker-compose.yml and quick_test.sh are UNTESTED.
****************************************************************************
END
  [ "${CHECK:-}" != must ]
  exit
}
command -v docker >/dev/null || not_run "There is no docker command."
timeout 20 docker info >/dev/null 2>&1 || not_run "No Docker engine answers: $(timeout 20 docker info 2>&1 | tail -1)"
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  not_run "There is neither docker compose nor docker-compose."
fi
for port in 8000 9000 800{1..4} 900{1..4} 8010; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "e2e/compose: port $port is in use: stop what runs there (docker compose down)" >&2
    exit 1
  fi
done

export COMPOSE_PROJECT_NAME=sluice-test-$$ SLUICE_TAG=test-$$ COMPOSE_DOCKER_CLI_BUILD=0
# By this label the remains of the build are found again.
export REVISION=$COMPOSE_PROJECT_NAME VERSION=compose-test
# Shorter than the default, for the sake of time.
export SLOW_START=2
export LOGS
LOGS=$(mktemp -d)
chmod 755 "$LOGS" # the agent is another user
compose+=(-f docker-compose.yml -f docker-compose.agent.yml -f e2e/compose/receipts.yml)
export SLUICE_COMPOSE="${compose[*]}"

base=$(sed -n 's/^ARG GO_IMAGE=//p' Dockerfile)
standin=
tear_down() {
  "${compose[@]}" --profile load down --volumes --remove-orphans --rmi all --timeout 5 >/dev/null 2>&1 || echo "e2e/compose: down failed" >&2
  docker image prune --force --filter "label=org.opencontainers.image.revision=$REVISION" >/dev/null || true
  [ -z "$standin" ] || docker image rm "$standin" >/dev/null || true
  rm -rf "$LOGS"
}
trap tear_down EXIT
trap 'exit 130' INT TERM

if ! docker image inspect "$base" >/dev/null 2>&1; then
  echo "== $base is not there: making a stand-in of this machine's Go"
  standin=$base
  e2e/compose/standin.sh "$base"
fi
echo "== building the images ($SECONDS s)"
if ! log=$("${compose[@]}" --profile load build --force-rm 2>&1); then tail -30 <<<"$log"; exit 1; fi
echo "== built ($SECONDS s)"
"${GO:-go}" test -count 1 -v -timeout 5m ./e2e/compose
echo "== e2e/compose: all is well ($SECONDS s)"
