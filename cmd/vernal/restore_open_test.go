package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"vernal/cmd/vernal/cli"
	"vernal/idp/backup"
	"vernal/idp/restore"
	"vernal/idp/rotation"
)

// putBackup makes a backup of the installation and puts its store back, as a restore does. It
// returns the manifest.
func putBackup(t *testing.T, a *app, folder string) []byte {
	t.Helper()
	c, err := a.config()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDeps(c, slog.New(slog.DiscardHandler), testClock, getNoEnv, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	_, err = d.Backups.WriteArchive(t.Context(), &file, backup.Options{})
	if err = errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := backup.Open(&file, backup.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	m, content, err := r.Next()
	if err != nil || m.Name != backup.StoreName {
		t.Fatal(m, err)
	}
	store, err := io.ReadAll(content)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, storeName), store, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.ManifestJSON
}

// TestEveryOpeningFinishesRestore checks that neither the server nor a command works on a
// restored installation before the restore is finished, and that a forged marker stops both.
func TestEveryOpeningFinishesRestore(t *testing.T) {
	t.Parallel()
	a, out, errOut := newApp(t)
	file := a.ConfigFile
	folder := filepath.Join(filepath.Dir(file), "vernal-data")
	run := func(args ...string) int {
		t.Helper()
		out.Reset()
		errOut.Reset()
		a.JSON = false
		return a.execute(t.Context(), append(args, "--config", file))
	}
	manifest := putBackup(t, a, folder)
	var m map[string]any
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	m["version"] = "forged"
	forged, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := restore.WriteMarker(folder, restore.Marker{Manifest: forged, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve"}, {"sp", "list"}, {"rotation", "status"}, {"user", "list"}} {
		if code := run(args...); code != cli.ExitError && code != cli.ExitRefused {
			t.Errorf("%v with a forged marker: %d, %s", args, code, errOut)
		}
	}
	marker := filepath.Join(folder, restore.MarkerName)
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	if err := restore.WriteMarker(folder, restore.Marker{Manifest: manifest, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if code := run("rotation", "status", "--json"); code != cli.ExitAttention {
		t.Fatalf("rotation status after a restore: %d, %s", code, errOut)
	}
	var st rotation.Status
	if err := json.Unmarshal(out.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	if !st.Restoration.Holds() || len(st.Attention) == 0 || st.Attention[0].Code != rotation.RestoreHeld {
		t.Errorf("status: %+v", st)
	}
	if _, err := os.Lstat(marker); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker stays: %v", err)
	}
	if code := run("rotation", "resume"); code != cli.ExitDone {
		t.Errorf("resume: %d, %s", code, errOut)
	}
	if code := run("rotation", "status"); code != cli.ExitDone {
		t.Errorf("rotation status after resume: %d, %s", code, errOut)
	}
}
