// SPDX-License-Identifier: GPL-3.0-or-later

// gospiffe is the other side of our Workload API: go-spiffe, which is what SPIFFE's users link.  The socket comes
// from SPIFFE_ENDPOINT_SOCKET, as for every SPIFFE workload; every answer is one line of JSON on standard output.
//
//	gospiffe fetch                 the first X.509 context
//	gospiffe watch COUNT           that many contexts as they arrive, then ends
//	gospiffe listen ADDR PEER-ID   one mutual TLS connection from PEER-ID: echoes a line
//	gospiffe dial ADDR PEER-ID     one to PEER-ID: sends a line, expects it back
//	gospiffe hbone ADDR PEER-ID    a tunnel's server for PEER-ID: greets in every CONNECT stream, then echoes
//	gospiffe tunnel ADDR PEER-ID   a tunnel's client: HTTP/2 settings there and back; PEER-ID "any" takes every server
//	gospiffe jwt AUDIENCE          asks for a JWT-SVID
//	gospiffe bare                  asks for X.509-SVIDs without the header that SPIFFE demands
//
// Whatever fails ends with status 1 and {"error": ..., "code": the gRPC status}; nothing lasts longer than TIMEOUT
// (default 30s).
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
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
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
	state := conn.ConnectionState()
	peer, err := x509svid.IDFromCert(state.PeerCertificates[0])
	if err != nil {
		return err
	}
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

// refusals says what net/http logs of a handshake that failed.
type refusals struct{}

func (refusals) Write(text []byte) (int, error) {
	say(map[string]string{"event": "refused", "error": strings.TrimSpace(string(text))})
	return len(text), nil
}

// eager sends every piece at once.
type eager struct {
	http.ResponseWriter
	http.Flusher
}

func (e eager) Write(p []byte) (int, error) {
	n, err := e.ResponseWriter.Write(p)
	e.Flush()
	return n, err
}

func stream(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	line := map[string]string{"event": "connect", "authority": r.Host, "sni": r.TLS.ServerName}
	if ids := r.TLS.PeerCertificates[0].URIs; len(ids) == 1 {
		line["peer"] = ids[0].String()
	}
	say(line)
	w.WriteHeader(http.StatusOK)
	out := eager{w, w.(http.Flusher)}
	if _, err := io.WriteString(out, "hello from go\n"); err == nil {
		_, _ = io.Copy(out, r.Body)
	}
}

func hbone(ctx context.Context, addr string, peer spiffeid.ID) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := http.Server{Handler: http.HandlerFunc(stream), ErrorLog: log.New(refusals{}, "", 0),
		TLSConfig: tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeID(peer))}
	context.AfterFunc(ctx, func() { s.Close() })
	say(map[string]string{"event": "listening", "address": l.Addr().String()})
	return s.ServeTLS(l, "", "")
}

func tunnel(ctx context.Context, addr string, peer string) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	var config *tls.Config
	if peer == "any" {
		config = &tls.Config{InsecureSkipVerify: true, GetClientCertificate: tlsconfig.GetClientCertificate(source)}
	} else {
		id, err := spiffeid.FromString(peer)
		if err != nil {
			return err
		}
		config = tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(id))
	}
	config.NextProtos = []string{"h2"}
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	context.AfterFunc(ctx, func() { c.Close() })
	if err := connected(c.(tlsConn)); err != nil {
		return err
	}
	// In TLS 1.3 the server judges us after our handshake is over: only its answer says that it took us.
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		return err
	}
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	if head[3] != 4 {
		return fmt.Errorf("the first frame is of type %d, not SETTINGS", head[3])
	}
	say(map[string]string{"event": "settings"})
	return nil
}

func jwt(ctx context.Context, audience string) error {
	token, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err == nil {
		say(map[string]string{"event": "jwt", "id": token.ID.String()})
	}
	return err
}

func bare(ctx context.Context) error {
	conn, err := grpc.NewClient(os.Getenv("SPIFFE_ENDPOINT_SOCKET"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	answers, err := workload.NewSpiffeWorkloadAPIClient(conn).FetchX509SVID(ctx, &workload.X509SVIDRequest{})
	if err == nil {
		_, err = answers.Recv()
	}
	if err == nil {
		say(map[string]string{"event": "answered"})
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
	case len(args) == 1 && args[0] == "bare":
		return bare(ctx)
	case len(args) == 2 && args[0] == "jwt":
		return jwt(ctx, args[1])
	case len(args) == 3 && args[0] == "tunnel":
		return tunnel(ctx, args[1], args[2])
	case len(args) == 3 && (args[0] == "listen" || args[0] == "dial" || args[0] == "hbone"):
		peer, err := spiffeid.FromString(args[2])
		if err != nil {
			return err
		}
		switch args[0] {
		case "listen":
			return listen(ctx, args[1], peer)
		case "hbone":
			return hbone(ctx, args[1], peer)
		}
		return dial(ctx, args[1], peer)
	}
	return errors.New("usage: gospiffe fetch | watch COUNT | jwt AUDIENCE | bare | {listen|dial|hbone|tunnel} ADDR PEER-ID")
}

func main() {
	timeout := 30 * time.Second
	if t, err := time.ParseDuration(os.Getenv("TIMEOUT")); err == nil {
		timeout = t
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		say(map[string]string{"event": "failed", "error": err.Error(), "code": status.Code(err).String()})
		os.Exit(1)
	}
}
