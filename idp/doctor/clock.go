package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"vernal/idp/outbound"
)

// clockBound is the offset from which our clock counts as wrong. TOTP codes and service providers
// allow 30 seconds and more, but a clock that is 5 seconds off is not synchronized.
const clockBound = 5 * time.Second

func listClockChecks() []Check {
	return []Check{{
		Name: "clock", Codes: []Code{ClockOff, TimeURLUnreachable}, Network: true,
		Configured: func(s *Service) bool { return len(s.Settings.TimeURLs) > 0 },
		Run:        (*Service).checkClock,
	}}
}

// checkClock compares our clock with every time URL.
func (s *Service) checkClock(ctx context.Context, _ Options) (findings []Finding, err error) {
	results := make([][]Finding, len(s.Settings.TimeURLs))
	var wg sync.WaitGroup
	for i, timeURL := range s.Settings.TimeURLs {
		wg.Go(func() { results[i] = s.checkTimeURL(ctx, timeURL) })
	}
	wg.Wait()
	for _, r := range results {
		findings = append(findings, r...)
	}
	return findings, nil
}

// checkTimeURL compares our clock with one time URL. The answer was written at some moment
// between request and answer, so only an offset beyond that counts.
func (s *Service) checkTimeURL(ctx context.Context, timeURL string) []Finding {
	beginAt := s.Clock.Now()
	serverTime, precision, err := s.fetchTime(ctx, timeURL)
	endAt := s.Clock.Now()
	if err != nil {
		return []Finding{{Code: TimeURLUnreachable, Level: Information, Args: Args{URL: timeURL, Value: formatError(err)}}}
	}
	offset := time.Duration(0)
	switch {
	case serverTime.Add(precision).Before(beginAt):
		offset = beginAt.Sub(serverTime.Add(precision))
	case serverTime.After(endAt):
		offset = serverTime.Sub(endAt)
	}
	if offset < clockBound {
		return nil
	}
	return []Finding{{Code: ClockOff, Level: Problem, Args: Args{URL: timeURL, Count: int(offset / time.Second)}}}
}

// fetchTime returns the time that a URL names. The real time is at most precision later.
func (s *Service) fetchTime(ctx context.Context, timeURL string) (serverTime time.Time, precision time.Duration, err error) {
	u, err := url.Parse(timeURL)
	if err != nil {
		return time.Time{}, 0, err
	}
	if u.Scheme == "ntp" {
		serverTime, err = s.queryNTP(ctx, formatNTPAddress(u))
		return serverTime, 0, err
	}
	resp, err := s.Outbound.Do(ctx, &outbound.Request{Method: http.MethodHead, URL: timeURL, Trust: outbound.Operator, AllowHTTP: true})
	if err != nil {
		return time.Time{}, 0, err
	}
	serverTime, err = http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}, 0, errors.New("the answer has no Date header")
	}
	return serverTime, time.Second, nil // Date has whole seconds
}

// ntpEpoch is the second 0 of NTP's era 0, 1 January 1900.
var ntpEpoch = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

const ntpPacket = 48

// formatNTPAddress returns HOST:PORT of an ntp URL.
func formatNTPAddress(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "123"))
}

// queryNTP asks a time server once, as a client of SNTP (RFC 4330).
func (s *Service) queryNTP(ctx context.Context, hostPort string) (time.Time, error) {
	conn, err := s.Outbound.Dial(ctx, "udp", hostPort, outbound.Operator)
	if err != nil {
		return time.Time{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var packet [ntpPacket]byte
	packet[0] = 4<<3 | 3 // version 4, client
	var cookie [8]byte   // in place of the transmit time, which the server returns as the origin
	rand.Read(cookie[:])
	copy(packet[40:], cookie[:])
	if _, err := conn.Write(packet[:]); err != nil {
		return time.Time{}, err
	}
	for {
		n, err := conn.Read(packet[:])
		if ctx.Err() != nil {
			return time.Time{}, errors.New("no answer in time")
		}
		if err != nil {
			return time.Time{}, err
		}
		if n == ntpPacket && string(packet[24:32]) == string(cookie[:]) { // any other packet is not the answer to this request
			return readNTP(packet)
		}
	}
}

// readNTP returns the transmit time of an answer.
func readNTP(packet [ntpPacket]byte) (time.Time, error) {
	if mode, stratum := packet[0]&7, packet[1]; mode != 4 || packet[0]>>6 == 3 || stratum == 0 || stratum > 15 {
		return time.Time{}, fmt.Errorf("the time server is not synchronized (stratum %d)", stratum)
	}
	seconds := int64(binary.BigEndian.Uint32(packet[40:]))
	if seconds < 1<<31 { // era 1 begins in 2036
		seconds += 1 << 32
	}
	nanos := int64(binary.BigEndian.Uint32(packet[44:])) * 1e9 >> 32
	return ntpEpoch.Add(time.Duration(seconds) * time.Second).Add(time.Duration(nanos)), nil
}
