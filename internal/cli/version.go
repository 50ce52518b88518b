// Package cli holds what every program of Sluice does alike at its start:
// telling its version and setting up its log.
package cli

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker for releases:
//
//	go build -ldflags "-X sluice/internal/cli.version=v1.2.3"
//
// It is never written at run time.
var version string

// Version names the build in one line: the release (or the commit it was
// built from, "-dirty" if the tree had changes), the Go version and the
// platform. It never fails: a build without any information is "devel".
func Version() string {
	version, goVersion, platform := Build()
	return version + " " + goVersion + " " + platform
}

// Build is the same in its three parts.
func Build() (version, goVersion, platform string) {
	return name(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH
}

// name prefers what the linker was told, then the module's version (set by
// "go install sluice/…@version"), then the commit recorded by "go build".
func name() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return buildName(info)
}

func buildName(info *debug.BuildInfo) string {
	var commit, dirty string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	if commit == "" {
		return "devel"
	}
	return "devel-" + commit[:min(12, len(commit))] + dirty
}
