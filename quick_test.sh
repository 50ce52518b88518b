#!/usr/bin/env bash
# Is the system up, and does a packet get through? Run it after
# `docker compose up -d` (or `make run`): it waits until the distributor and the
# analyzers are healthy, sends one packet with curl and one over the binary
# protocol, and looks for both at the analyzers. Exit code 0: all of it worked.
#
#   WAIT=60 HOST=127.0.0.1 ./quick_test.sh
set -euo pipefail
host=${HOST:-127.0.0.1}
wait=${WAIT:-60} # seconds for everything to become healthy
analyzers=(8001 8002 8003 8004)

if [ -t 1 ]; then green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'; else green= red= plain=; fi
ok() { echo "${green}ok${plain}      $*"; }
fail() { echo "${red}FAILED${plain}  $*"; exit 1; }
get() { curl -sS --max-time 5 "$@" 2>&1; }
command -v curl >/dev/null || fail "curl is not installed"

# await_healthy NAME PORT
end=$((SECONDS + wait))
await_healthy() {
  local answer
  until answer=$(get "http://$host:$2/health") && [[ $answer == *'"status":"healthy"'* ]]; do
    [ $SECONDS -lt $end ] || fail "$1 is not healthy at $host:$2 within $wait s: ${answer:-no answer}"
    sleep 0.2
  done
  ok "$1 is healthy ($host:$2)"
}
for port in "${analyzers[@]}"; do await_healthy "analyzer-$((port - 8000))" "$port"; done
await_healthy distributor 8000

# received prints how many packets the analyzers have counted in all.
received() {
  local sum=0 port n
  for port in "${analyzers[@]}"; do
    n=$(get "http://$host:$port/stats" | sed -n 's/.*"received_packets":\([0-9]*\).*/\1/p')
    sum=$((sum + ${n:?analyzer at $port tells no received_packets}))
  done
  echo "$sum"
}
before=$(received)
run=quick-$(date +%s)-$$

answer=$(get -w ' HTTP %{http_code}' "http://$host:8000/ingest?wait=10s" -H 'Content-Type: application/json' -d '{
  "packet_id":"'"$run"'-http","agent_id":"quick-test","messages":[
  {"timestamp":"2026-01-02T03:04:05Z","level":"INFO","source":"quick_test","message":"one by HTTP","metadata":{}}]}') || true
[[ $answer == *'HTTP 200' ]] || fail "one packet by HTTP: $answer"
ok "one packet by HTTP: $(tr -d '\n' <<<"$answer")"

# A frame is its length in four bytes and a msgpack value: here a map of 3.
str() { printf '\\xd9\\x%02x%s' ${#1} "$1"; }
body="\\x83$(str packet_id)$(str "$run-tcp")$(str agent_id)$(str quick-test)$(str messages)\\x90"
length=$(printf "$body" | wc -c)
exec 3<>"/dev/tcp/$host/9000" || fail "one packet by the binary protocol: nobody listens at $host:9000"
{ printf "\\x00\\x00\\x00\\x$(printf %02x "$length")"; printf "$body"; } >&3
# The answer is [3, 1, …]: ACK of frame 1, or a NACK [4, …] before it.
answer=$(timeout 10 head -c 7 <&3 | od -An -tx1 | tr -d ' \n') || true
exec 3>&-
# An ACK: an array of three or more, 03, and the number 1 in one of its widths.
[[ $answer =~ ^000000..9[2-9a-f]03(01|cc01|cd|ce|cf) ]] || fail "one packet by the binary protocol: answered ${answer:-nothing}, and not ACK 1"
ok "one packet by the binary protocol: acknowledged"

after=$(received)
[ $((after - before)) -ge 2 ] || fail "the analyzers count $before packets before and $after after, and should count 2 more"
ok "both are at the analyzers: $before packets before, $after after"
echo "all is well"
