#!/bin/sh
# Makes an image of the name that is given (golang:1.26) out of this machine's own
# Go and of the modules that it has downloaded, so that the Dockerfile is built as
# it is where no registry can be reached. For tests only: it has just what the
# Dockerfile's build stage calls.
set -eu
name=$1
go=${GO:-go}
root=$("$go" env GOROOT)
cache=$("$go" env GOMODCACHE)/cache/download
work=$(mktemp -d)
files=$work/files
trap 'rm -rf "$work"' EXIT

# Modules are served from a folder as a proxy serves them: `go mod download` does
# its real work, and go.sum is obeyed.
mkdir -p "$files/tmp" "$files/bin" "$files/proxy"
chmod 1777 "$files/tmp"
"$go" mod download -json | sed -n 's/^\t"\(Info\|GoMod\|Zip\)": "\(.*\)",$/\2/p' | sed "s,^$cache/,," |
	tar -C "$cache" -cf - -T - | tar -C "$files/proxy" -xf -

for program in sh mkdir rm; do
	path=$(command -v "$program")
	cp -L "$path" "$files/bin/"
	for library in $(ldd "$path" | grep -o '/[^ ]*'); do
		mkdir -p "$files$(dirname "$library")" && cp -L "$library" "$files$library"
	done
done

# What the Dockerfile compiles, compiled before with the same settings: Go finds it
# by what went into it, so that a second run of the test has to link only.
compiled=$PWD/bin/image-cache
CGO_ENABLED=0 GOCACHE=$compiled "$go" build -trimpath -buildvcs=false -ldflags '-s -w' -o "$work/programs/" ./server ./analyzer ./agent ./loadgen
cp -r "$compiled" "$files/cache"

tar -C "$files" -cf "$work/image.tar" .
tar -C "$root" -rf "$work/image.tar" --transform 's,^\./,./usr/local/go/,' --exclude '*_test.go' --exclude testdata \
	./VERSION ./go.env ./bin ./lib ./pkg ./src
docker import \
	-c 'ENV PATH=/usr/local/go/bin:/bin HOME=/go GOPATH=/go GOCACHE=/cache GOPROXY=file:///proxy GOSUMDB=off GOTOOLCHAIN=local' \
	"$work/image.tar" "$name" >/dev/null
