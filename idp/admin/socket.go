package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// SocketName is the name of the socket in the data folder.
const SocketName = "admin.sock"

// maxSunPath is the length of a socket's path that fits sockaddr_un, less room
// for the random part of the name that Listen binds first.
const maxSunPath = 107 - 20

// ErrInUse is returned when a server answers on the socket already.
var ErrInUse = errors.New("another server answers there")

// ErrImpostor is returned when the program that answers on the socket is not run
// by the owner of the data folder. Nothing was sent to it.
var ErrImpostor = errors.New("not the server of this data folder")

// dialTimeout bounds how long a socket may take to accept. A running server does so at once.
const dialTimeout = 2 * time.Second

// shortenPath returns a path to name in dir that is short enough for a socket. It replaces a long path by
// one through the folder's descriptor, which must stay open while the path is used. done closes the
// descriptor.
func shortenPath(dir, name string) (path string, done func(), err error) {
	path = filepath.Join(dir, name)
	if len(path) <= maxSunPath {
		return path, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	short := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := os.Stat(short); err != nil {
		f.Close()
		return "", nil, fmt.Errorf("the path of %s is too long for a socket, and /proc is not there to shorten it: %w", path, err)
	}
	return filepath.Join(short, name), func() { f.Close() }, nil
}

// Dial connects to the socket in the data folder. The error is fs.ErrNotExist if the socket is
// missing. Commands contain passwords, so the server must prove its identity before it gets one: by
// the kernel's credentials (SO_PEERCRED), the program that listens must belong to the owner of the
// data folder. Otherwise the error is ErrImpostor.
func Dial(ctx context.Context, dataDir string) (net.Conn, error) {
	path, done, err := shortenPath(dataDir, SocketName)
	if err != nil {
		return nil, fmt.Errorf("reach the admin socket: %w", err)
	}
	defer done()
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("reach the admin socket: %w", err)
	}
	if err := checkServer(conn, dataDir); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkServer compares the user at the other end with the owner of the folder.
func checkServer(conn net.Conn, dataDir string) error {
	info, err := os.Stat(dataDir)
	if err != nil {
		return fmt.Errorf("find the owner of the data folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	unixConn, isUnix := conn.(*net.UnixConn)
	if !ok || !isUnix {
		return fmt.Errorf("the owner of %s is unknown: %w", dataDir, ErrImpostor)
	}
	uid, err := peerUID(unixConn)
	if err != nil {
		return fmt.Errorf("find the user of the server: %w", err)
	}
	if uid != int(st.Uid) {
		return fmt.Errorf("%s: the program that answers is run by uid %d, and the folder belongs to uid %d: %w",
			filepath.Join(dataDir, SocketName), uid, st.Uid, ErrImpostor)
	}
	return nil
}

// Listen opens the socket in the data folder, for its owner alone. It replaces a socket that
// a dead server left behind. It returns ErrInUse if a server answers there, and leaves any
// other file alone. The caller must hold the store's lock, which keeps two servers from
// doing this at once.
func Listen(ctx context.Context, dataDir string) (net.Listener, error) {
	if err := checkSocketFree(ctx, dataDir); err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	l, err := bindSocket(dataDir)
	if err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	return l, nil
}

func checkSocketFree(ctx context.Context, dataDir string) error {
	path := filepath.Join(dataDir, SocketName)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is no socket; move it away", path)
	}
	if conn, err := Dial(ctx, dataDir); err == nil {
		conn.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	}
	return nil
}

// bindSocket creates the socket under a random name, restricts its mode, and only then gives it its
// final name. Whatever the umask, no other user ever finds it open.
func bindSocket(dataDir string) (net.Listener, error) {
	name := "." + rand.Text()[:16]
	path, done, err := shortenPath(dataDir, name)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the first name
	real := filepath.Join(dataDir, name)
	final := filepath.Join(dataDir, SocketName)
	err = os.Chmod(real, 0o600)
	if err == nil {
		err = os.Rename(real, final)
	}
	if err != nil {
		l.Close()
		_ = os.Remove(real)
		return nil, err
	}
	return &listener{UnixListener: l, path: final}, nil
}

// listener removes its socket when it is closed.
type listener struct {
	*net.UnixListener
	path string
}

func (l *listener) Close() error {
	err := l.UnixListener.Close()
	if err == nil {
		_ = os.Remove(l.path)
	}
	return err
}

// shutdownTime is the time that a command under way may take once the server stops.
const shutdownTime = 5 * time.Second

// Serve answers on the listener until ctx ends, and closes it. Commands under
// way are finished.
func (e *Endpoint) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           e,
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), stopKey{}, ctx) },
		ConnContext:       withPeer,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       30 * time.Second,
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		stopped <- srv.Shutdown(late)
	})
	err := srv.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}
