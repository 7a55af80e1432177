package webtest

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Network is a listener in memory: each Dial makes one connection to it, with
// deadlines, over net.Pipe. Goroutines that wait for it are durably blocked, so
// that fake time passes; create it inside of the synctest bubble.
type Network struct {
	arrivals chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

// NewNetwork returns an open network.
func NewNetwork() *Network {
	return &Network{arrivals: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next Dial.
func (n *Network) Accept() (net.Conn, error) {
	select {
	case <-n.closed:
		return nil, net.ErrClosed
	case c := <-n.arrivals:
		return c, nil
	}
}

// Close ends Accept and Dial. Connections stay open.
func (n *Network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// Addr returns an address that means nothing.
func (n *Network) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory" }

// Dial connects to the network.
func (n *Network) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.arrivals <- server:
		return client, nil
	case <-n.closed:
		return nil, fmt.Errorf("dial the network in memory: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial the network in memory: %w", ctx.Err())
	}
}

// DialContext is Dial for an http.Transport or a Browser: all names live on
// this network.
func (n *Network) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return n.Dial(ctx)
}
