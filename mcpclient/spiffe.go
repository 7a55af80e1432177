package mcpclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// spiffeTimeout bounds one question: who answers is on this computer.
const spiffeTimeout = 10 * time.Second

// SPIFFE returns a Client.Assertion that the SPIFFE Workload API gives: an agent
// beside this program, such as SPIRE's, recognises the process that asks, so that
// nothing has to be stored. It is a JWT-SVID for the authorization server and
// for nobody else, fetched for each token. socket is the agent's address,
// unix:///run/spire/agent.sock for example; empty is what SPIFFE_ENDPOINT_SOCKET
// says. A program with several identities has the first, which is its default
// (SPIFFE Workload API §5.3). The addresses over TCP that SPIFFE knows too are
// refused: there, nothing says who answers.
func SPIFFE(socket string) func(context.Context, Audience) (string, error) {
	return func(ctx context.Context, to Audience) (string, error) {
		const environment = "SPIFFE_ENDPOINT_SOCKET"
		address := cmp.Or(socket, os.Getenv(environment))
		if address == "" {
			return "", fmt.Errorf("no SPIFFE Workload API is known; set %s to its address, such as unix:///run/spire/agent.sock", environment)
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "unix" || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
			return "", fmt.Errorf("%w: the SPIFFE Workload API is at a socket like unix:///run/spire/agent.sock, not at %s", ErrURL, clip(address))
		}
		svid, err := fetchJWTSVID(ctx, u.Path, to.Issuer)
		if err != nil {
			return "", fmt.Errorf("ask the SPIFFE Workload API at %s who this is: %w", address, err)
		}
		return svid, nil
	}
}

// fetchJWTSVID makes the one call of the Workload API that is needed (§6.2.1):
// gRPC is a message with a prefix of five bytes over HTTP/2, and the messages
// hold strings only. The library would be a seventh of the program's size.
func fetchJWTSVID(ctx context.Context, socket, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, spiffeTimeout)
	defer cancel()
	transport := &http.Transport{
		Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	message := field(nil, 1, audience)
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/SpiffeWorkloadAPI/FetchJWTSVID", bytes.NewReader(frame))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	req.Header.Set("Workload.spiffe.io", "true") // SPIFFE Workload Endpoint §6: shows that no URL led here
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return "", err
	}
	if len(body) > maxDocument {
		return "", errTooLarge // before the status, which comes at the end
	}
	status := cmp.Or(resp.Trailer.Get("Grpc-Status"), resp.Header.Get("Grpc-Status"))
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("it answered %d", resp.StatusCode)
	case status == "7": // PERMISSION_DENIED: SPIFFE Workload API §6
		return "", errors.New("it knows no identity for this process; an administrator has to register it there")
	case status != "0":
		return "", fmt.Errorf("it answered with gRPC status %s: %s", clip(status), clip(cmp.Or(resp.Trailer.Get("Grpc-Message"), resp.Header.Get("Grpc-Message"))))
	case len(body) < 5 || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-5):
		return "", errors.New("its answer is not one plain message")
	}
	return firstSVID(body[5:])
}

// field appends a string to a message of protocol buffers.
func field(message []byte, number uint64, value string) []byte {
	message = binary.AppendUvarint(message, number<<3|2)
	return append(binary.AppendUvarint(message, uint64(len(value))), value...)
}

// firstSVID reads JWTSVIDResponse{1: svids} and of its first JWTSVID{2: svid}.
func firstSVID(message []byte) (string, error) {
	entry, err := first(message, 1)
	if err != nil {
		return "", err
	}
	svid, err := first(entry, 2)
	return string(svid), err
}

// first returns the first field of a number. All that the two messages define are
// of length and bytes; numbers may come one day, and are passed over.
func first(message []byte, number uint64) ([]byte, error) {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			break
		}
		message = message[n:]
		value, n := binary.Uvarint(message)
		if n <= 0 {
			break
		}
		message = message[n:]
		if tag&7 == 0 {
			continue
		}
		if tag&7 != 2 || value > uint64(len(message)) {
			break
		}
		if tag>>3 == number {
			return message[:value], nil
		}
		message = message[value:]
	}
	return nil, errors.New("its answer holds no JWT-SVID")
}
