package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemoMailIsServedOnItsOwnURL checks that the demo's mail is shown only on its own URL.
func TestDemoMailIsServedOnItsOwnURL(t *testing.T) {
	t.Parallel()
	d := openDemo(t, filepath.Join(t.TempDir(), "demo"))
	defer endDemo(t, d)
	get := func(host string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.MailURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		status, text := get("")
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if strings.Contains(text, "To: "+demoOperator) && strings.Contains(text, "you now receive the notices of the rotation") {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no mail is shown:\n%s", text)
		}
	}
	if status, _ := get("evil.example"); status != http.StatusNotFound {
		t.Errorf("another site's name is answered %d", status)
	}
}
