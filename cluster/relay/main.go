// Command relay carries TCP connections to one address. It accepts them on a
// listening socket that it gets as its standard input: started in another network
// namespace than that socket was made in, it joins the two.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"time"
)

const dialTimeout = 10 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give one argument, HOST:PORT, instead of %d", len(args))
	}
	listener, err := net.FileListener(os.Stdin)
	if err != nil {
		return fmt.Errorf("standard input is not a listening socket: %w", err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go relay(client.(*net.TCPConn), args[0])
	}
}

// relay copies both ways until both sides have said all; one may end before the other.
func relay(client *net.TCPConn, address string) {
	defer client.Close()
	dialed, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		log.Print(err)
		// A reset, not an orderly end: the caller shall see that nobody was there.
		_ = client.SetLinger(0)
		return
	}
	server := dialed.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Add(2)
	go pass(&both, server, client)
	go pass(&both, client, server)
	both.Wait()
}

func pass(done *sync.WaitGroup, to, from *net.TCPConn) {
	defer done.Done()
	if _, err := io.Copy(to, from); err != nil {
		// Broken: the other direction must not wait for an answer that cannot come.
		_ = from.Close()
		_ = to.Close()
		return
	}
	_ = to.CloseWrite()
}
