package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func listMachineChecks() []Check {
	return []Check{
		{Name: "disk", Codes: []Code{DiskSpace}, Run: (*Service).checkDisk},
		{Name: "files", Codes: []Code{FileOpen, FileOwner}, Run: (*Service).checkFiles},
	}
}

// checkDisk checks the free space of the data folder and the folder of backups.
func (s *Service) checkDisk(context.Context, Options) (findings []Finding, err error) {
	for _, dir := range []string{s.Settings.DataDir, s.Settings.BackupDir} {
		if dir == "" {
			continue
		}
		free, err := s.freeSpace(dir)
		if errors.Is(err, fs.ErrNotExist) && dir == s.Settings.BackupDir {
			continue // the first backup creates it
		}
		if err != nil {
			return findings, fmt.Errorf("read the free space of %s: %w", dir, err)
		}
		if free < s.limits.diskBytes {
			findings = append(findings, Finding{Code: DiskSpace, Level: Problem, Args: Args{Path: dir, Megabytes: int(free >> 20)}})
		}
	}
	return findings, nil
}

// readFreeSpace returns the bytes that a program without special permissions can still write.
func readFreeSpace(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// guardedFile is a file whose permissions or owner matter.
type guardedFile struct {
	path string
	// forbiddenBits are the permission bits that the file must not have.
	forbiddenBits fs.FileMode
	// suggestedMode is the mode that the finding suggests, in a form that chmod accepts.
	suggestedMode string
	// canBelongToRoot: root may own it in place of the owner of the data folder.
	canBelongToRoot bool
	// canBelongToAnyone: its owner does not matter.
	canBelongToAnyone bool
}

// listGuardedFiles returns the files that checkFiles checks.
func (s *Service) listGuardedFiles() []guardedFile {
	settings := &s.Settings
	files := []guardedFile{
		{path: settings.DataDir, forbiddenBits: 0o077, suggestedMode: "700"},
		{path: settings.StoreFile, forbiddenBits: 0o077, suggestedMode: "600"},
		{path: settings.KeysDir, forbiddenBits: 0o077, suggestedMode: "700"},
	}
	// The server checks it at startup too, but a disk can be mounted there later. It can belong
	// to the user that ships backups.
	files = append(files, guardedFile{path: settings.BackupDir, forbiddenBits: 0o007, suggestedMode: "o-rwx", canBelongToAnyone: true})
	entries, err := os.ReadDir(settings.KeysDir)
	if err == nil { // checkKeyFiles reports a missing folder
		for _, e := range entries {
			f := guardedFile{path: filepath.Join(settings.KeysDir, e.Name()), forbiddenBits: 0o077, suggestedMode: "600"}
			if filepath.Ext(f.path) == ".crt" { // public
				f.forbiddenBits, f.suggestedMode = 0o022, "644"
			}
			files = append(files, f)
		}
	}
	for _, path := range append([]string{settings.MasterKeyFile}, settings.SecretFiles...) {
		files = append(files, guardedFile{path: path, forbiddenBits: 0o077, suggestedMode: "600", canBelongToRoot: true})
	}
	// Debian lets the group ssl-cert read TLS keys.
	return append(files, guardedFile{path: settings.TLSKey, forbiddenBits: 0o027, suggestedMode: "640", canBelongToRoot: true})
}

// checkFiles checks the modes and owners of files, which can change after the start of a server.
func (s *Service) checkFiles(context.Context, Options) (findings []Finding, err error) {
	folder, err := os.Stat(s.Settings.DataDir)
	if err != nil {
		return nil, err
	}
	owner, hasOwner := readUID(folder)
	for _, f := range s.listGuardedFiles() {
		info, err := os.Stat(f.path)
		if err != nil {
			continue // missing: the check that needs it reports it
		}
		mode := info.Mode().Perm()
		if mode&f.forbiddenBits != 0 {
			findings = append(findings, Finding{Code: FileOpen, Level: Problem,
				Args: Args{Path: f.path, Mode: fmt.Sprintf("%04o", mode), Want: f.suggestedMode}})
		}
		if uid, ok := readUID(info); ok && hasOwner && uid != owner && !f.canBelongToAnyone && !(f.canBelongToRoot && uid == 0) {
			findings = append(findings, Finding{Code: FileOwner, Level: Problem,
				Args: Args{Path: f.path, UID: strconv.Itoa(uid), Want: strconv.Itoa(owner)}})
		}
	}
	return findings, nil
}

func readUID(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
