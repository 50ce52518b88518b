// Package probe asks a running program of ours how it is: the health
// sub-commands, which containers use to check themselves, where there is no
// shell and no curl.
package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// timeout is how long a program may take to answer: less than the timeout of
	// the container's health check, which would kill us before we said why.
	timeout = 2 * time.Second
	maxBody = 1 << 20 // bytes; a distributor of 1,024 analyzers says less
)

// Health asks GET /health of the program that was told to listen at listen
// (host:port, as its flag says), writes the answer in one line to out, and
// returns the exit code: 0 if it is healthy, or degraded and serving; else 1.
func Health(ctx context.Context, listen string, out io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	line, err := ask(ctx, listen)
	if err != nil {
		fmt.Fprintln(out, "unhealthy:", err)
		return 1
	}
	fmt.Fprintln(out, line)
	return 0
}

// body is what the answers of all programs have in common.
type body struct {
	Status  string   `json:"status"`
	Reason  string   `json:"reason"`
	Reasons []string `json:"reasons"`
}

func ask(ctx context.Context, listen string) (line string, err error) {
	addr, err := local(listen)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/health", nil)
	if err != nil {
		return "", err
	}
	// No proxy of the environment, and no connection that outlives the answer.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return "", fmt.Errorf("%s gave no answer within %v", addr, timeout)
		}
		return "", errors.Unwrap(err) // net/http's own words repeat the URL
	}
	defer response.Body.Close()
	var b body
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(&b); err != nil || b.Status == "" {
		return "", fmt.Errorf("%s answered %s, and no health of ours: is it another program?", addr, response.Status)
	}
	reasons := strings.Join(append(b.Reasons, b.Reason), "; ")
	reasons = strings.TrimSuffix(reasons, "; ")
	if response.StatusCode != http.StatusOK {
		return "", errors.New(reasons)
	}
	if reasons != "" {
		return b.Status + ": " + reasons, nil
	}
	return b.Status, nil
}

// local is where a program that listens at an address is reached from its own
// machine or container: one that listens everywhere does on loopback, too.
func local(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("%s is any free port, and only the running program knows which", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}
