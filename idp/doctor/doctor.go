// Package doctor checks an installation and its surroundings, so that an operator learns of a
// problem before it keeps users from signing in. It explains problems and changes nothing.
//
// A Check is one value with the codes that it can find. Service runs all checks at once, each
// with a time limit, and returns a Report. A check that could not run says so in its Outcome,
// and is never taken for one that found nothing.
//
//	report.go     the result of a run
//	run.go        runs in the background, and monitoring
//	clock.go      our clock, compared with the clocks of doctor.time_urls
//	baseurl.go    base_url as seen from outside
//	proxy.go      changes that a proxy makes to requests
//	tls.go        the TLS certificate at base_url, and the file tls.cert
//	store.go      records of the store, a part in each run, and its size
//	keys.go       our signing keys, in memory and in their folder, and the needs of the rotation
//	machine.go    disk space, modes and owners of files
//	master.go     the master key
//	backups.go    age of backups, and the master key that they need
//	notices.go    mail and webhook
//	partners.go   certificates of service providers; FIPS mode
//
// A running server checks what it sees itself. Local checks run there in the background (Run),
// and those that ask other machines too if Settings.Every says so. Monitoring reads the results
// of the last run (Last).
package doctor

import (
	"context"
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vernal/idp"
	"vernal/idp/installation"
	"vernal/idp/web"
)

// Settings name the files, folders and URLs to check. Paths are absolute.
type Settings struct {
	// Listen is the configured HOST:PORT of the public listener.
	Listen string
	// TrustedProxies are the peers whose X-Forwarded-For is trusted.
	TrustedProxies []netip.Prefix
	// TLSCert and TLSKey are the files of the server's own TLS certificate; "" behind a proxy.
	TLSCert, TLSKey string
	// DataDir is the data folder. StoreFile and KeysDir are in it.
	DataDir, StoreFile, KeysDir string
	// MasterKeyFile is the file of the master key; "" if it comes from the environment.
	MasterKeyFile string
	// BackupDir is the folder of automatic backups and BackupEvery their interval; "" and 0 if
	// none are made.
	BackupDir   string
	BackupEvery time.Duration
	// SecretFiles are further files that no one but their owner may read.
	SecretFiles []string
	// TimeURLs are the https, http and ntp URLs whose time ours is compared with.
	TimeURLs []string
	// Every is how often the server runs the checks that ask other machines; 0 for never.
	Every time.Duration
}

// Service checks an installation. Make it with New. Its methods may be called concurrently.
type Service struct {
	*installation.Installation
	Settings Settings
	// Store examines the store's records; nil leaves that out.
	Store idp.StoreExaminer
	// MailErr is the fault of the mail settings; nil if they are usable or missing.
	MailErr error
	// Probe and Strangers are shared with the public listener.
	Probe          *web.Probe
	UntrustedPeers *web.UntrustedPeers

	// Set by Serve.
	isServing bool
	serverTLS *tls.Config

	// Replaced by tests.
	freeSpace func(path string) (free uint64, err error)
	isFIPS    func() bool
	limits    limits
	checks    []Check

	mu           sync.Mutex
	activeChecks map[string]bool
	results      map[string]result // of the last run of each check, by name
	lastRunAt    time.Time
	pass         pass
}

// limits are the time limits of checks and the thresholds of findings.
type limits struct {
	checkTime, totalTime time.Duration
	// records is the number of records of the store that one run examines.
	records    int
	storeBytes int64
	diskBytes  uint64
}

func newLimits() limits {
	return limits{checkTime: 15 * time.Second, totalTime: 30 * time.Second, records: 20_000, storeBytes: 10 << 30, diskBytes: 500 << 20}
}

// Check is one check and the findings that it can return.
type Check struct {
	Name string
	// Codes are the codes of its findings.
	Codes []Code
	// Network reports whether it asks other machines, or this one through the network.
	Network bool
	// NeedsServer reports whether only the running server can run it.
	NeedsServer bool
	// Configured reports whether the configuration calls for the check; nil for always.
	Configured func(*Service) bool
	// Run returns the findings. An error means that the check could not be completed.
	Run func(s *Service, ctx context.Context, o Options) ([]Finding, error)
}

// New makes a Service for the checks of an installation.
func New(i *installation.Installation, settings Settings, store idp.StoreExaminer) *Service {
	return &Service{
		Installation: i, Settings: settings, Store: store,
		Probe: web.NewProbe(), UntrustedPeers: &web.UntrustedPeers{Log: i.Log, Clock: i.Clock},
		freeSpace: readFreeSpace, isFIPS: fips140.Enabled, limits: newLimits(), checks: listChecks(),
		activeChecks: map[string]bool{}, results: map[string]result{},
	}
}

// Serve records that the checks run in the server, with the TLS certificate that the server
// loaded; nil behind a proxy. Call it before the server listens.
func (s *Service) Serve(config *tls.Config) { s.isServing, s.serverTLS = true, config }

// listChecks returns the checks in the order of reports.
func listChecks() []Check {
	return slices.Concat(listClockChecks(), listBaseURLChecks(), listTLSChecks(), listStoreChecks(), listKeyChecks(), listRotationChecks(),
		listMachineChecks(), listMasterChecks(), listBackupChecks(), listNoticeChecks(), listPartnerChecks())
}

// Codes returns the codes of all findings, in the order of reports.
func Codes() (codes []Code) {
	for _, c := range listChecks() {
		for _, code := range c.Codes {
			if !slices.Contains(codes, code) {
				codes = append(codes, code)
			}
		}
	}
	return codes
}

// Options select the checks of a run.
type Options struct {
	// Local leaves out the checks that ask other machines.
	Local bool
	// SendTest also sends a test mail and a test call to the webhook.
	SendTest bool
}

// Examine runs the checks, all at the same time, and reports their findings. No check can delay
// it for longer than its limit.
func (s *Service) Examine(ctx context.Context, o Options) (*Report, error) {
	if o.SendTest {
		if err := s.claimTest(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.totalTime)
	defer cancel()
	checks := slices.DeleteFunc(slices.Clone(s.checks), func(c Check) bool { return o.Local && c.Network })
	results := make([]result, len(checks))
	next := make(chan *NextStep, 1)
	plan := Check{Name: "next_step", Run: func(s *Service, ctx context.Context, _ Options) ([]Finding, error) {
		next <- s.findNextStep(ctx)
		return nil, nil
	}}
	var wg sync.WaitGroup
	wg.Go(func() { s.runCheck(ctx, plan, o) })
	for i, c := range checks {
		wg.Go(func() { results[i] = s.runCheck(ctx, c, o) })
	}
	wg.Wait()
	r := &Report{At: s.Clock.Now().UTC(), Server: s.isServing, FIPS: s.isFIPS(), Findings: []Finding{}}
	for i := range results {
		r.Findings = append(r.Findings, results[i].findings...)
		r.Checks = append(r.Checks, results[i].outcome)
	}
	select {
	case r.Next = <-next:
	default: // checkRotation reports the cause
	}
	s.keepResults(r.At, results)
	return r, nil
}

// result is the outcome of one check and its findings.
type result struct {
	outcome  Outcome
	findings []Finding
}

// runCheck runs one check. A check that does not end in time, such as one that waits for a
// hung disk, is left behind, and not started again before it has ended.
func (s *Service) runCheck(ctx context.Context, c Check, o Options) result {
	switch {
	case c.Configured != nil && !c.Configured(s):
		return result{outcome: Outcome{Check: c.Name, State: StateSkipped, Cause: CauseNotConfigured}}
	case c.NeedsServer && !s.isServing:
		return result{outcome: Outcome{Check: c.Name, State: StateSkipped, Cause: CauseNeedsServer}}
	case !s.claimRun(c.Name):
		return result{outcome: Outcome{Check: c.Name, State: StateFailed, Cause: CauseStillRunning}}
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.checkTime)
	defer cancel()
	resultCh := make(chan result, 1)
	go func() {
		r := s.callCheck(ctx, c, o)
		s.endRun(c.Name) // before the caller has the result, who may start the next run at once
		resultCh <- r
	}()
	select {
	case r := <-resultCh:
		return r
	case <-ctx.Done():
		return result{outcome: Outcome{Check: c.Name, State: StateFailed, Cause: CauseTimedOut}}
	}
}

// callCheck calls a check. A panic in a check must not end the server.
func (s *Service) callCheck(ctx context.Context, c Check, o Options) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{outcome: Outcome{Check: c.Name, State: StateFailed, Cause: CauseError, Error: fmt.Sprint(p)}}
		}
	}()
	findings, err := c.Run(s, ctx, o)
	switch {
	case err == nil:
		return result{Outcome{Check: c.Name, State: StateDone}, findings}
	case errors.Is(err, context.DeadlineExceeded):
		return result{Outcome{Check: c.Name, State: StateFailed, Cause: CauseTimedOut}, findings}
	}
	return result{Outcome{Check: c.Name, State: StateFailed, Cause: CauseError, Error: err.Error()}, findings}
}

func (s *Service) claimRun(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.activeChecks[name] {
		return false
	}
	s.activeChecks[name] = true
	return true
}

func (s *Service) endRun(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.activeChecks, name)
}

func (s *Service) keepResults(at time.Time, results []result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastRunAt = at
	for _, r := range results {
		s.results[r.outcome.Check] = r
	}
}

// listSPs returns the arguments that name service providers.
func listSPs(ids []idp.EntityID) Args {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return Args{Count: len(ids), SPs: ids[:min(len(ids), maxSPs)]}
}

// isEmpty reports whether no service provider is registered yet.
func (s *Service) isEmpty(ctx context.Context) (bool, error) {
	all, err := s.Registry.List(ctx)
	return len(all) == 0, err
}

// formatError returns the text of an error in one bounded line.
func formatError(err error) string {
	const maxRunes = 300
	text := []rune(idp.ReplaceControls(err.Error()))
	return string(text[:min(len(text), maxRunes)])
}

// countDays returns the whole days from now until t, at least 0.
func countDays(now, t time.Time) int { return max(int(t.Sub(now)/(24*time.Hour)), 0) }
