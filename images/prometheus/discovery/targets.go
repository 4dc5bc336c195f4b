package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	scrape = "prometheus.io/scrape"
	meta   = "__meta_kubernetes_"
)

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// group is one entry of a file_sd file.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// essentials drops from a watched pod all that targets do not need: a cluster has many pods.
func essentials(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	kept := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, Annotations: map[string]string{scrape: pod.Annotations[scrape]},
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase, PodIP: pod.Status.PodIP},
	}
	for _, container := range lasting(pod) {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Name: container.Name, Ports: container.Ports})
	}
	return kept, nil
}

// lasting returns the containers that run as long as the pod: sidecars are among those that begin before the others.
func lasting(pod *corev1.Pod) []corev1.Container {
	found := slices.Clone(pod.Spec.Containers)
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			found = append(found, container)
		}
	}
	return found
}

// targets returns a group for each container port of the pods that ask to be scraped, in a fixed order.
func targets(pods []*corev1.Pod) []group {
	found := []group{}
	for _, pod := range pods {
		if pod.Annotations[scrape] != "true" || pod.Status.PodIP == "" {
			continue
		}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				found = append(found, group{
					Targets: []string{net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port.ContainerPort)))},
					Labels:  podLabels(pod, container.Name, port.Name),
				})
			}
		}
	}
	slices.SortFunc(found, func(a, b group) int {
		return cmp.Or(
			cmp.Compare(a.Labels[meta+"namespace"], b.Labels[meta+"namespace"]),
			cmp.Compare(a.Labels[meta+"pod_name"], b.Labels[meta+"pod_name"]),
			cmp.Compare(a.Targets[0], b.Targets[0]),
		)
	})
	return found
}

// podLabels names things as Prometheus' own Kubernetes discovery does.
func podLabels(pod *corev1.Pod, container, port string) map[string]string {
	named := map[string]string{
		meta + "namespace":               pod.Namespace,
		meta + "pod_name":                pod.Name,
		meta + "pod_phase":               string(pod.Status.Phase),
		meta + "pod_container_name":      container,
		meta + "pod_container_port_name": port,
		meta + "pod_annotation_" + notInLabels.ReplaceAllString(scrape, "_"): pod.Annotations[scrape],
	}
	for key, value := range pod.Labels {
		named[meta+"pod_label_"+notInLabels.ReplaceAllString(key, "_")] = value
	}
	return named
}

// targetFile is a file that Prometheus watches: replaced at once, and only when its content changes.
type targetFile struct {
	path string
	last []byte
}

func (f *targetFile) write(groups []group) error {
	content, err := json.MarshalIndent(groups, "", " ")
	if err != nil {
		return err
	}
	if bytes.Equal(content, f.last) {
		return nil
	}
	// A name that the pattern *.json of the configuration does not match.
	temporary := filepath.Join(filepath.Dir(f.path), ".writing")
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, f.path); err != nil {
		return err
	}
	f.last = content
	slog.Info("targets written", "count", len(groups))
	return nil
}
