//go:build slow

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vernal/cmd/vernal/deploy"
	"vernal/idp/guide"
	"vernal/idp/idptest/binary"
)

func readInstallGuide(t *testing.T) string {
	t.Helper()
	text, err := readGuides(t).Lookup("install").Markdown(guide.Example())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestInstallGuideSystemd types what the guide "install" says about systemd and starts the unit's
// command. Rules replace its folders, and the user vernal by daemon. useradd and systemctl are
// left out, and systemd checks the unit.
func TestInstallGuideSystemd(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const stranger = "daemon"
	if _, err := user.Lookup(stranger); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && len(at) > 1; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"etc/systemd/system", "var/lib", "usr/local/bin", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := exec.LookPath("vernal")
	if err != nil {
		t.Fatal(err)
	}
	installed := filepath.Join(dir, "usr/local/bin/vernal")
	if out, err := exec.Command("install", "-m", "0755", program, installed).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	inDir := strings.NewReplacer("/etc/vernal", dir+"/etc/vernal", "/var/lib/vernal", dir+"/var/lib/vernal", "/etc/systemd", dir+"/etc/systemd",
		"/usr/local/bin", dir+"/usr/local/bin", "-o vernal -g vernal", "-o "+stranger+" -g "+stranger, "-u vernal", "-u "+stranger,
		"User=vernal", "User="+stranger, "Group=vernal", "Group="+stranger)
	var commands []string
	for line := range strings.Lines(strings.ReplaceAll(guideBlock(t, readInstallGuide(t), "\n## As a systemd service\n"), "\\\n", "")) {
		if !strings.HasPrefix(line, "useradd ") && !strings.HasPrefix(line, "systemctl ") {
			commands = append(commands, inDir.Replace(line))
		}
	}
	if len(commands) < 3 {
		t.Fatalf("the guide has %d commands", len(commands))
	}
	script := exec.Command("sh", "-euxc", strings.Join(commands, ""))
	home := filepath.Join(dir, "home") // root's, which no one else can enter
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	script.Dir, script.Env = home, append(os.Environ(), "PATH="+filepath.Dir(installed)+":"+os.Getenv("PATH"))
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	file := filepath.Join(dir, "etc/systemd/system/vernal.service")
	unit, err := os.ReadFile(file)
	if err != nil || string(unit) != deploy.Systemd {
		t.Fatalf("the unit is not the one in the binary: %v", err)
	}
	if err := os.WriteFile(file, []byte(inDir.Replace(string(unit))), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary.Need(t, "systemd-analyze"), "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(inDir.Replace(string(unit)))
	serve := exec.Command("runuser", append([]string{"-u", stranger, "--"}, strings.Fields(start[1])...)...)
	serve.Dir, serve.Env = "/", append(os.Environ(), "VERNAL_LISTEN=127.0.0.1:0", "VERNAL_ADMIN_LISTEN=127.0.0.1:0")
	process := binary.Start(t, "ExecStart", serve)
	binary.WaitUntil(t, 30*time.Second, "the unit's command answers", func() error {
		if process.HasEnded() {
			t.Fatalf("it ended:\n%s", process.Output())
		}
		_, err := listenAddress(t.Context(), filepath.Join(dir, "var/lib/vernal"))
		return err
	})
	status := exec.Command(installed, "rotation", "status", "--config", filepath.Join(dir, "etc/vernal/vernal.yaml"))
	if out, err := status.CombinedOutput(); err != nil {
		t.Errorf("root's command: %v\n%s", err, out)
	}
}

// image is a container image as this test builds it.
type image struct {
	root, dir  string
	uid, gid   uint32
	entrypoint []string
	cmd        []string
}

var inBuild = regexp.MustCompile(`(^|\s)/(vernal|data)\b`)

// buildImage does what a Dockerfile says, in folders: RUN on this machine in the root of the
// source, in place of the image that it names, and COPY into an empty folder.
func buildImage(t *testing.T, dockerfile string) *image {
	t.Helper()
	i, build := &image{root: t.TempDir()}, t.TempDir()
	for line := range strings.Lines(dockerfile) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		words := strings.Fields(rest)
		switch instruction {
		case "FROM":
			if words[0] != "scratch" {
				checkGoImage(t, words[0])
			}
		case "WORKDIR":
			i.dir = rest
		case "RUN":
			cmd := exec.Command("sh", "-ec", inBuild.ReplaceAllString(rest, "${1}"+build+"/$2"))
			cmd.Dir = "../.."
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("RUN %s: %v\n%s", rest, err, out)
			}
		case "COPY":
			if rest != ". ." {
				i.copyFile(t, build, words)
			}
		case "USER":
			i.uid, i.gid = parseOwner(t, rest)
		case "ENTRYPOINT":
			i.entrypoint = parseList(rest)
		case "CMD":
			i.cmd = parseList(rest)
		case "":
		default:
			t.Fatalf("the test does not know %s", line)
		}
	}
	return i
}

// checkGoImage checks that an image of Go is new enough for go.mod.
func checkGoImage(t *testing.T, name string) {
	t.Helper()
	mod, err := os.ReadFile("../../go.mod")
	m := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindSubmatch(mod)
	if err != nil || m == nil || name != "golang:"+string(m[1]) {
		t.Errorf("the image is %s, and go.mod wants go %s (%v)", name, m[1], err)
	}
}

// copyFile is COPY --from=build [--chown=UID:GID] FROM TO.
func (i *image) copyFile(t *testing.T, build string, words []string) {
	t.Helper()
	owner := "0:0"
	for strings.HasPrefix(words[0], "--") {
		if value, ok := strings.CutPrefix(words[0], "--chown="); ok {
			owner = value
		}
		words = words[1:]
	}
	from, to := filepath.Join(build, words[0]), filepath.Join(i.root, words[1])
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		from = words[0] // of the image of Go, which is Debian as this machine
	}
	if strings.HasSuffix(words[1], "/") {
		to = filepath.Join(to, filepath.Base(from))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"cp", "-r", "--preserve=mode", from, to}, {"chown", "-R", owner, to}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

func parseOwner(t *testing.T, owner string) (uid, gid uint32) {
	t.Helper()
	if _, err := fmt.Sscanf(owner, "%d:%d", &uid, &gid); err != nil {
		t.Fatal(err)
	}
	return uid, gid
}

func parseList(text string) (list []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	return list
}

// command runs the image's program, as `docker run` does: nothing but the image's files, no
// environment, the image's user.
func (i *image) command(env, args []string) *exec.Cmd {
	if len(args) == 0 {
		args = i.cmd
	}
	args = append(append([]string{}, i.entrypoint...), args...)
	return &exec.Cmd{
		Path: args[0], Args: args, Dir: i.dir, Env: env,
		SysProcAttr: &syscall.SysProcAttr{Chroot: i.root, Credential: &syscall.Credential{Uid: i.uid, Gid: i.gid}},
	}
}

var (
	dockerRun  = regexp.MustCompile(`(?m)^docker run (.*)$`)
	dockerExec = regexp.MustCompile("`docker exec CONTAINER ([^`]+)`")
	dockerEnv  = regexp.MustCompile(`-e (\S+)`)
)

// TestInstallGuideContainer builds what the guide's Dockerfile says and runs what its `docker run`
// and `docker exec` lines say, in an empty root folder, as a container does. The published port
// is replaced by a free one.
func TestInstallGuideContainer(t *testing.T) {
	t.Parallel()
	needRoot(t)
	text := readInstallGuide(t)
	i := buildImage(t, guideBlock(t, text, "`Dockerfile`"))
	if err := os.Chmod(i.root, 0o755); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strconv.Itoa(binary.FreePort(t))
	runs := dockerRun.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", ""), -1)
	if len(runs) != 2 {
		t.Fatalf("the guide has %d docker run lines, want 2", len(runs))
	}
	for n, run := range runs {
		options, args, _ := strings.Cut(run[1]+" ", " vernal ")
		env := []string{"VERNAL_ADMIN_LISTEN=127.0.0.1:0"}
		for _, m := range dockerEnv.FindAllStringSubmatch(options, -1) {
			env = append(env, strings.ReplaceAll(m[1], "0.0.0.0:8080", address))
		}
		cmd := i.command(env, strings.Fields(args))
		if n == 0 {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("docker run %s: %v\n%s", run[1], err, out)
			}
			continue
		}
		process := binary.Start(t, "container", cmd)
		binary.WaitUntil(t, 30*time.Second, "the container answers", func() error {
			if process.HasEnded() {
				t.Fatalf("it ended:\n%s", process.Output())
			}
			return checkReady(t.Context(), "http://"+address+"/readyz")
		})
	}
	m := dockerExec.FindStringSubmatch(text)
	if m == nil {
		t.Fatal("the guide has no docker exec")
	}
	inside := i.command(nil, nil)
	inside.Args = strings.Fields(m[1])
	inside.Path = inside.Args[0]
	if out, err := inside.CombinedOutput(); err != nil {
		t.Errorf("docker exec: %v\n%s", err, out)
	}
}

func checkReady(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}
