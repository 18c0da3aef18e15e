// SPDX-License-Identifier: GPL-3.0-or-later

// gospiffe is the other side of our Workload API: go-spiffe, which is what SPIFFE's users link.  The socket comes
// from SPIFFE_ENDPOINT_SOCKET, as for every SPIFFE workload; every answer is one line of JSON on standard output.
//
//	gospiffe fetch                 the first X.509 context
//	gospiffe watch COUNT           that many contexts as they arrive, then ends
//	gospiffe listen ADDR PEER-ID   one mutual TLS connection from PEER-ID: echoes a line
//	gospiffe dial ADDR PEER-ID     one to PEER-ID: sends a line, expects it back
//
// Whatever fails ends with status 1 and {"error": ...}; nothing lasts longer than TIMEOUT (default 30s).
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

type svidLine struct {
	ID        string    `json:"id"`
	Hint      string    `json:"hint"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Chain     int       `json:"chain"`
	IsCA      bool      `json:"isCA"`
}

type contextLine struct {
	Event   string              `json:"event"`
	SVIDs   []svidLine          `json:"svids"`
	Bundles map[string][]string `json:"bundles"` // trust domain: SHA-256 of each authority
}

func say(v any) {
	_ = json.NewEncoder(os.Stdout).Encode(v)
}

func describe(x *workloadapi.X509Context) contextLine {
	line := contextLine{Event: "context", Bundles: map[string][]string{}}
	for _, s := range x.SVIDs {
		leaf := s.Certificates[0]
		line.SVIDs = append(line.SVIDs, svidLine{s.ID.String(), s.Hint, leaf.SerialNumber.Text(16),
			leaf.NotBefore, leaf.NotAfter, len(s.Certificates), leaf.IsCA})
	}
	for _, b := range x.Bundles.Bundles() {
		sums := []string{}
		for _, a := range b.X509Authorities() {
			sum := sha256.Sum256(a.Raw)
			sums = append(sums, hex.EncodeToString(sum[:]))
		}
		line.Bundles[b.TrustDomain().Name()] = sums
	}
	return line
}

// watcher prints each context and calls done after the last one that is wanted.
type watcher struct {
	left int
	done context.CancelFunc
}

func (w *watcher) OnX509ContextUpdate(x *workloadapi.X509Context) {
	if w.left == 0 {
		return
	}
	say(describe(x))
	w.left--
	if w.left == 0 {
		w.done()
	}
}

func (w *watcher) OnX509ContextWatchError(err error) {
	say(map[string]string{"event": "watch-error", "error": err.Error()})
}

func fetch(ctx context.Context) error {
	x, err := workloadapi.FetchX509Context(ctx)
	if err != nil {
		return err
	}
	say(describe(x))
	return nil
}

func watch(ctx context.Context, count int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watcher{left: count, done: cancel}
	err := workloadapi.WatchX509Context(ctx, w)
	if w.left == 0 {
		return nil
	}
	if err == nil {
		err = errors.New("the watch ended")
	}
	return fmt.Errorf("%d contexts did not come: %w", w.left, err)
}

// What spiffetls hands out: a wrapper around *tls.Conn with all that it can.
type tlsConn interface {
	net.Conn
	HandshakeContext(context.Context) error
	ConnectionState() tls.ConnectionState
}

func connected(conn tlsConn) error {
	peer, err := spiffetls.PeerIDFromConn(conn)
	if err != nil {
		return err
	}
	state := conn.ConnectionState()
	say(map[string]string{"event": "connected", "peer": peer.String(), "tls": tls.VersionName(state.Version)})
	return nil
}

func listen(ctx context.Context, addr string, peer spiffeid.ID) error {
	l, err := spiffetls.Listen(ctx, "tcp", addr, tlsconfig.AuthorizeID(peer))
	if err != nil {
		return err
	}
	defer l.Close()
	context.AfterFunc(ctx, func() { l.Close() })
	say(map[string]string{"event": "listening", "address": l.Addr().String()})
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	conn := c.(tlsConn)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if err := connected(conn); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	_, err = io.WriteString(conn, line)
	return err
}

func dial(ctx context.Context, addr string, peer spiffeid.ID) error {
	c, err := spiffetls.Dial(ctx, "tcp", addr, tlsconfig.AuthorizeID(peer))
	if err != nil {
		return err
	}
	defer c.Close()
	conn := c.(tlsConn)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if err := connected(conn); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = fmt.Errorf("%q came back", line)
	}
	if err == nil {
		say(map[string]string{"event": "echoed"})
	}
	return err
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "fetch":
		return fetch(ctx)
	case len(args) == 2 && args[0] == "watch":
		count, err := strconv.Atoi(args[1])
		if err != nil || count < 1 {
			return fmt.Errorf("not a count: %q", args[1])
		}
		return watch(ctx, count)
	case len(args) == 3 && (args[0] == "listen" || args[0] == "dial"):
		peer, err := spiffeid.FromString(args[2])
		if err != nil {
			return err
		}
		if args[0] == "listen" {
			return listen(ctx, args[1], peer)
		}
		return dial(ctx, args[1], peer)
	}
	return errors.New("usage: gospiffe fetch | watch COUNT | listen ADDR PEER-ID | dial ADDR PEER-ID")
}

func main() {
	timeout := 30 * time.Second
	if t, err := time.ParseDuration(os.Getenv("TIMEOUT")); err == nil {
		timeout = t
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		say(map[string]string{"event": "failed", "error": err.Error()})
		os.Exit(1)
	}
}
