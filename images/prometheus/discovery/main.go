// Pod-discovery tells Prometheus which pods to scrape: it watches the pods of all namespaces
// and keeps a file of targets (file_sd_configs) up to date.
//
// Debian's Prometheus is built without its own Kubernetes discovery. The targets carry the
// same labels as that one's role `pod`, so that a configuration can be moved to it unchanged.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Changes within this time are written together: a rollout changes a pod several times a second.
const settle = 500 * time.Millisecond

func main() {
	output := flag.String("output", "/run/targets/pods.json", "the file of targets to keep")
	listen := flag.String("listen", ":9095", "where /healthz is served, once the file is there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *output, *listen); err != nil {
		slog.Error("pod discovery ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, output, listen string) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := podClient(config)
	if err != nil {
		return err
	}
	everywhere := cache.NewListWatchFromClient(client, "pods", metav1.NamespaceAll, fields.Everything())
	pods := cache.NewSharedIndexInformer(everywhere, &corev1.Pod{}, 0, nil)
	changed := make(chan struct{}, 1)
	note := func() {
		select {
		case changed <- struct{}{}:
		default: // a change is already waiting to be written
		}
	}
	if err := pods.SetTransform(essentials); err != nil {
		return err
	}
	if _, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { note() },
		UpdateFunc: func(_, _ any) { note() },
		DeleteFunc: func(any) { note() },
	}); err != nil {
		return err
	}
	go pods.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		return ctx.Err()
	}

	file := &targetFile{path: output}
	failed := make(chan error, 1)
	for first := true; ; first = false {
		var found []*corev1.Pod
		for _, object := range pods.GetStore().List() {
			found = append(found, object.(*corev1.Pod))
		}
		if err := file.write(targets(found)); err != nil {
			return err
		}
		if first {
			go func() { failed <- serveHealth(listen) }()
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-changed:
		}
		time.Sleep(settle)
	}
}

// podClient speaks of core objects only: the usual client knows all APIs, and is four times as big.
func podClient(config *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config.APIPath = "/api"
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	return rest.RESTClientFor(config)
}

// serveHealth answers on /healthz; it is first called when the file of targets is there.
func serveHealth(listen string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}
