package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"sluice/internal/process"
	"sluice/internal/testsystem"
)

// startLimit is how long a program may take until it serves.
const startLimit = 30 * time.Second

// freeAddrs returns addresses of this machine that nobody listens at, n
// different ones.
func freeAddrs(n int) ([]string, error) {
	var ports testsystem.Ports
	addrs := make([]string, n)
	for i := range addrs {
		var err error
		if addrs[i], err = ports.Addr(); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

// await asks until ok says yes, p has ended, or startLimit has passed.
func await(ctx context.Context, p *process.Process, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for !ok() {
		if err := p.Ended(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w; it said:\n%s", p.Name, ctx.Err(), p.Tail(20))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// getJSON reads what an address serves, whatever the status, and returns it.
func getJSON(url string, into any) (status int, err error) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || into == nil {
		return resp.StatusCode, err
	}
	return resp.StatusCode, json.Unmarshal(text, into)
}
