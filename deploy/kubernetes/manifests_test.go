package kubernetes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifests are all objects of the folder, by kind.
type manifests struct {
	sets     []*appsv1.StatefulSet
	services []*corev1.Service
	budgets  []*policyv1.PodDisruptionBudget
}

// read decodes every document strictly: a field that Kubernetes does not have, or
// that is there twice, is an error.
func read(t *testing.T) (m manifests) {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		documents := utilyaml.NewYAMLReader(bufio.NewReader(f))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = m.add(document)
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
	return m
}

func (m *manifests) add(document []byte) error {
	if len(bytes.TrimSpace(document)) == 0 {
		return nil
	}
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	var into any
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 StatefulSet":
		m.sets = append(m.sets, new(appsv1.StatefulSet))
		into = m.sets[len(m.sets)-1]
	case "v1 Service":
		m.services = append(m.services, new(corev1.Service))
		into = m.services[len(m.services)-1]
	case "policy/v1 PodDisruptionBudget":
		m.budgets = append(m.budgets, new(policyv1.PodDisruptionBudget))
		into = m.budgets[len(m.budgets)-1]
	default:
		return fmt.Errorf("%s %s is a kind that the tests do not know", kind.APIVersion, kind.Kind)
	}
	return yaml.UnmarshalStrict(document, into)
}

func TestManifestsBelongTogether(t *testing.T) {
	m := read(t)
	if len(m.sets) != 2 || len(m.services) != 3 || len(m.budgets) != 2 {
		t.Fatalf("%d sets, %d services, %d budgets", len(m.sets), len(m.services), len(m.budgets))
	}
	for _, set := range m.sets {
		pod := set.Spec.Template
		if !selects(set.Spec.Selector, pod.Labels) {
			t.Errorf("%s does not select its own pods", set.Name)
		}
		budgets, governing := 0, false
		for _, b := range m.budgets {
			if selects(b.Spec.Selector, pod.Labels) {
				budgets++
			}
		}
		for _, s := range m.services {
			mine := labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels))
			governing = governing || mine && s.Name == set.Spec.ServiceName && s.Spec.ClusterIP == corev1.ClusterIPNone
			for _, p := range s.Spec.Ports {
				if mine && !hasPort(pod.Spec.Containers[0], p.TargetPort, p.Port) {
					t.Errorf("service %s: no container port %s = %d", s.Name, p.TargetPort.String(), p.Port)
				}
			}
		}
		if budgets != 1 || !governing {
			t.Errorf("%s: %d disruption budgets, its headless service found: %v", set.Name, budgets, governing)
		}
	}
}

func selects(s *metav1.LabelSelector, of map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && !selector.Empty() && selector.Matches(labels.Set(of))
}

func hasPort(c corev1.Container, name intstr.IntOrString, number int32) bool {
	for _, p := range c.Ports {
		if p.Name == name.StrVal && p.ContainerPort == number {
			return true
		}
	}
	return false
}

// Pods have no right that they do not need, and time to settle what they have.
func TestPodsAreHardenedAndDrain(t *testing.T) {
	const drain = 25 // seconds: GRACE
	for _, set := range read(t).sets {
		pod := set.Spec.Template.Spec
		c := pod.Containers[0]
		if s := pod.SecurityContext; s == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: pod %+v", set.Name, s)
		}
		if s := c.SecurityContext; s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
			t.Errorf("%s: container %+v", set.Name, s)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s: it is given a token", set.Name)
		}
		wait := int64(0)
		if c.Lifecycle != nil {
			wait = c.Lifecycle.PreStop.Sleep.Seconds
		}
		if grace := *pod.TerminationGracePeriodSeconds; grace < wait+drain+5 {
			t.Errorf("%s: %d s of grace for %d s of waiting and %d s of draining", set.Name, grace, wait, drain)
		}
		if c.ReadinessProbe == nil || c.LivenessProbe == nil || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: probes or resources are missing", set.Name)
		}
		for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
			port := intstr.IntOrString{}
			if p.HTTPGet != nil {
				port = p.HTTPGet.Port
			} else if p.TCPSocket != nil {
				port = p.TCPSocket.Port
			}
			found := false
			for _, has := range c.Ports {
				found = found || has.Name == port.StrVal
			}
			if !found {
				t.Errorf("%s: a probe of port %s", set.Name, port.String())
			}
		}
	}
}
