package admin

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
)

// Caller is the operator or program that gives a command.
type Caller struct {
	UID int
	// Name is the user's name on this machine, or "".
	Name string
}

// Actor returns the caller's name in audit records: "cli:uid=1000(ops)".
func (c Caller) Actor() string {
	if c.Name == "" {
		return fmt.Sprintf("cli:uid=%d", c.UID)
	}
	return fmt.Sprintf("cli:uid=%d(%s)", c.UID, c.Name)
}

// lookupCaller looks up a user's name.
func lookupCaller(uid int) Caller {
	c := Caller{UID: uid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		c.Name = u.Username
	}
	return c
}

// Self returns the user that this process runs as.
func Self() Caller { return lookupCaller(os.Geteuid()) }

type callerKey struct{}

// WithCaller returns a context whose commands have the given caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func readCaller(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// withPeer returns a context with the user at the other end of a unix connection as its Caller. If
// the kernel does not identify the user, the context has no Caller and every command is refused.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, err := peerUID(unixConn)
	if err != nil {
		return ctx
	}
	return WithCaller(ctx, lookupCaller(uid))
}
