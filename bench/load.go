package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a contender.
type process struct {
	cmd     *exec.Cmd
	address string // host:port, if it printed one
	first   string // the line that it printed first
}

// start runs a command until stop, and reads its first line.
func start(cmd *exec.Cmd) (*process, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %v: %w", cmd.Args, err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill() // it has not begun
		return nil, errors.Join(fmt.Errorf("%v printed nothing: %w", cmd.Args, err), cmd.Wait())
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // until it ends
	return &process{cmd: cmd, address: strings.TrimSpace(line), first: line}, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	done := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-done
	}
}

// cpu returns the processor time that a process has used, from its stat file:
// hundredths of a second, in user and system mode.
func (p *process) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of %s: %w", p.cmd.Path, err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("a stat file has another form")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100), errors.Join(err1, err2)
}

// resident returns the memory of a process in MiB.
func (p *process) resident() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(data))[1], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20), err
}

// act is one unit of work; n counts up over all of a benchmark.
type act func(ctx context.Context, c *http.Client, n int64) error

// contender is what takes turns.
type contender struct {
	name    string
	process *process
	act     act
	n       atomic.Int64
}

// turn is what one turn of a contender came to.
type turn struct {
	cpu    time.Duration // of the server, for each unit
	took   []time.Duration
	rate   float64 // units a second
	failed error
}

// take loads a contender for a while with so many at once.
func (c *contender) take(length time.Duration, workers int) (t turn) {
	before, err := c.process.cpu()
	if err != nil {
		return turn{failed: err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	begun := time.Now()
	for range workers {
		wg.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			var took []time.Duration
			var failed error
			for failed == nil && time.Since(begun) < length {
				at := time.Now()
				failed = c.act(ctx, client, c.n.Add(1))
				took = append(took, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			t.took, t.failed = append(t.took, took...), errors.Join(t.failed, failed)
		})
	}
	wg.Wait()
	lasted := time.Since(begun)
	after, err := c.process.cpu()
	if t.failed = errors.Join(t.failed, err); t.failed != nil {
		t.failed = fmt.Errorf("%s: %w", c.name, t.failed)
		return t
	}
	t.cpu, t.rate = (after-before)/time.Duration(len(t.took)), float64(len(t.took))/lasted.Seconds()
	slices.Sort(t.took)
	return t
}

// sources are loopback addresses to come from: limits count by address.
var sources atomic.Int64

// newClient comes from an address of its own, and reaches names below localhost.
func newClient() *http.Client {
	n := sources.Add(1)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+n/65000), byte(n/250%250), byte(1+n%250))}}
	return &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		}},
	}
}

// expect reads an answer whole and wants a status and a text in it.
func expect(resp *http.Response, err error, status int, text string) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status || !strings.Contains(string(body), text) {
		return nil, fmt.Errorf("%s %s: %d, without %q: %.300s", resp.Request.Method, resp.Request.URL.Path, resp.StatusCode, text, body)
	}
	return body, nil
}
