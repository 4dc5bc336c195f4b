// Command probe is the whole content of the image that tests of the embedded
// cluster run: it serves, fetches, resolves and writes, in an otherwise empty file system.
//
//	probe serve ADDRESS TEXT        answer every HTTP request with TEXT and the caller's address
//	probe get URL                   print what an HTTP GET gives
//	probe resolve NAME              print the addresses of a name
//	probe append FILE TEXT          add a line to a file and print all of it
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const timeout = 5 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "serve":
		return serve(args[1], args[2])
	case len(args) == 2 && args[0] == "get":
		return get(args[1])
	case len(args) == 2 && args[0] == "resolve":
		return resolve(args[1])
	case len(args) == 3 && args[0] == "append":
		return add(args[1], args[2])
	}
	return fmt.Errorf("unknown command %q", strings.Join(args, " "))
}

func serve(address, text string) error {
	fmt.Println("serving", text)
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s to %s\n", text, host)
	}))
}

func get(url string) error {
	client := http.Client{Timeout: timeout}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}

func resolve(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, " "))
	return nil
}

func add(file, text string) error {
	stream, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stream, text); err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fmt.Print(string(content))
	return nil
}
