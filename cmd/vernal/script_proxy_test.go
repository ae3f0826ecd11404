package main

import (
	"context"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// tlsProxyKey is where a script keeps its proxy, as a **httptest.Server.
type tlsProxyKey struct{}

// tlsProxy is the script command that starts or stops a reverse proxy.
func tlsProxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 || len(args) == 1 && args[0] != "down" {
		ts.Fatalf("usage: tlsproxy [down]")
	}
	running := ts.Value(tlsProxyKey{}).(**httptest.Server)
	if len(args) > 0 {
		(*running).Close()
		return
	}
	data := ts.MkAbs("vernal-data")
	srv := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		address, err := listenAddress(context.WithoutCancel(r.In.Context()), data)
		if err != nil {
			panic(err)
		}
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", address, r.In.Host
		r.SetXForwarded()
	}})
	ts.Defer(srv.Close)
	*running = srv
	file := filepath.Join(ts.Getenv("WORK"), "proxy.pem")
	ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	ts.Setenv("SSL_CERT_FILE", file)
	ts.Setenv("PROXY", srv.URL)
}
