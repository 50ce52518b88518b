package deploy

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sluice/internal/cli"
	"sluice/server/config"
)

var preset = regexp.MustCompile(`\$\{\w+:-([^}]*)\}`)

// What containers and pods tell the distributor is what it knows: no name is
// misspelt, no value refused, and the analyzers have the weights of the picture.
func TestTheDistributorKnowsItsEnvironment(t *testing.T) {
	for where, environment := range map[string]map[string]string{
		"docker-compose.yml":          composeEnvironment(t),
		"kubernetes/distributor.yaml": kubernetesEnvironment(t),
	} {
		var env cli.Environ
		for name, value := range environment {
			env = append(env, name+"="+value)
		}
		cfg, report, err := config.Load(nil, env, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		known := map[string]bool{}
		for _, s := range report.Settings {
			known[strings.TrimPrefix(s.Origin, "environment ")] = true
		}
		for name := range environment {
			if !known[name] {
				t.Errorf("%s: the distributor knows no %s", where, name)
			}
		}
		if len(cfg.Analyzers) != 4 {
			t.Fatalf("%s: %d analyzers", where, len(cfg.Analyzers))
		}
		for i, weight := range []float64{40, 30, 20, 10} {
			if cfg.Analyzers[i].Weight != weight {
				t.Errorf("%s: %+v", where, cfg.Analyzers[i])
			}
		}
	}
}

func composeEnvironment(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Services map[string]struct{ Environment map[string]string }
	}
	readYAML(t, "../docker-compose.yml", &file)
	env := file.Services["distributor"].Environment
	for name, value := range env {
		env[name] = preset.ReplaceAllString(value, "$1")
	}
	return env
}

func kubernetesEnvironment(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("kubernetes/distributor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	env := map[string]string{}
	documents := yaml.NewDecoder(f)
	for {
		var object struct {
			Spec struct {
				Template struct {
					Spec struct {
						Containers []struct {
							Env []struct{ Name, Value string }
						}
					}
				}
			}
		}
		if documents.Decode(&object) != nil { // the last; whether all is right is for kubernetes/manifests_test.go
			return env
		}
		for _, c := range object.Spec.Template.Spec.Containers {
			for _, e := range c.Env {
				env[e.Name] = e.Value
			}
		}
	}
}
