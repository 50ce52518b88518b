package sdnotify_test

import (
	"path/filepath"
	"testing"

	"sluice/internal/sdnotify"
	"sluice/internal/sdnotify/sdnotifytest"
)

func TestTell(t *testing.T) {
	for name, address := range map[string]string{
		"a path":             filepath.Join(t.TempDir(), "notify"),
		"an abstract socket": "@sluice-" + filepath.Base(t.TempDir()) + t.Name(),
	} {
		t.Run(name, func(t *testing.T) {
			systemd := sdnotifytest.Listen(t, address)
			t.Setenv("NOTIFY_SOCKET", address)
			sdnotify.Tell(sdnotify.Ready + "\nSTATUS=well")
			sdnotify.Tell(sdnotify.Stopping)
			for _, want := range []string{"READY=1\nSTATUS=well", "STOPPING=1"} {
				if got := systemd.Told(t); got != want {
					t.Errorf("told %q, want %q", got, want)
				}
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	for _, address := range []string{"", filepath.Join(t.TempDir(), "nobody")} {
		t.Setenv("NOTIFY_SOCKET", address)
		sdnotify.Tell(sdnotify.Ready)
	}
}
