package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	made := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name,
			Labels:      map[string]string{"app.kubernetes.io/component": "detector"},
			Annotations: map[string]string{scrape: "true", "other": "dropped"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name:  "detector",
			Image: "dropped",
			Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 8080}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0.7"},
	}
	if change != nil {
		change(made)
	}
	return made
}

func TestAPodThatAsksForItIsATargetWithPrometheusOwnLabels(t *testing.T) {
	kept, err := essentials(pod("b", nil))
	if err != nil {
		t.Fatal(err)
	}
	found := targets([]*corev1.Pod{kept.(*corev1.Pod)})
	if len(found) != 1 || found[0].Targets[0] != "10.244.0.7:8080" {
		t.Fatalf("got %v", found)
	}
	want := map[string]string{
		"__meta_kubernetes_namespace":                             "default",
		"__meta_kubernetes_pod_name":                              "b",
		"__meta_kubernetes_pod_phase":                             "Running",
		"__meta_kubernetes_pod_container_name":                    "detector",
		"__meta_kubernetes_pod_container_port_name":               "metrics",
		"__meta_kubernetes_pod_annotation_prometheus_io_scrape":   "true",
		"__meta_kubernetes_pod_label_app_kubernetes_io_component": "detector",
	}
	for key, value := range want {
		if found[0].Labels[key] != value {
			t.Errorf("%s is %q, not %q", key, found[0].Labels[key], value)
		}
	}
	if len(found[0].Labels) != len(want) {
		t.Errorf("labels %v", found[0].Labels)
	}
}

func TestASidecarIsATargetAndAnInitContainerIsNot(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	kept, err := essentials(pod("airflow", func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = nil
		ports := []corev1.ContainerPort{{Name: "metrics", ContainerPort: 8081}}
		p.Spec.InitContainers = []corev1.Container{
			{Name: "migrate", Ports: ports},
			{Name: "companion", Ports: ports, RestartPolicy: &always},
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	found := targets([]*corev1.Pod{kept.(*corev1.Pod)})
	if len(found) != 1 || found[0].Labels[meta+"pod_container_name"] != "companion" {
		t.Fatalf("got %v", found)
	}
}

func TestOtherPodsAreNoTargets(t *testing.T) {
	quiet := pod("quiet", func(p *corev1.Pod) { p.Annotations = nil })
	pending := pod("pending", func(p *corev1.Pod) { p.Status.PodIP = "" })
	if found := targets([]*corev1.Pod{quiet, pending}); len(found) != 0 {
		t.Fatalf("got %v", found)
	}
}

func TestTheOrderOfPodsDoesNotMatter(t *testing.T) {
	a, b := pod("a", nil), pod("b", nil)
	one, _ := json.Marshal(targets([]*corev1.Pod{a, b}))
	other, _ := json.Marshal(targets([]*corev1.Pod{b, a}))
	if string(one) != string(other) {
		t.Fatalf("%s\n%s", one, other)
	}
}

func TestTheFileIsReplacedOnlyWhenItsContentChanges(t *testing.T) {
	file := &targetFile{path: filepath.Join(t.TempDir(), "pods.json")}
	write := func(pods ...*corev1.Pod) os.FileInfo {
		t.Helper()
		if err := file.write(targets(pods)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file.path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := write()
	if content, _ := os.ReadFile(file.path); string(content) != "[]" {
		t.Fatalf("no targets are %q, which Prometheus cannot read", content)
	}
	if !os.SameFile(first, write()) {
		t.Error("the same content was written again")
	}
	if os.SameFile(first, write(pod("a", nil))) {
		t.Error("new content was not written as a new file")
	}
}
