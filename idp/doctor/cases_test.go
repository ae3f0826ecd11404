package doctor_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/doctor"
	"vernal/idp/installation"
	"vernal/idp/keyring"
	"vernal/idp/notify"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/smtptest"
	"vernal/idp/usermail"
	"vernal/templates"
)

// wrong is an installation made wrong in one way.
type wrong struct {
	code doctor.Code
	name string
	// open decides what must be wrong from the start, and spoil makes it wrong later.
	open  func(*testing.T, *options)
	spoil func(*testing.T, *deployment)
	// level is Problem if empty. want are the arguments; Value is only compared if it is set.
	level   doctor.Level
	want    func(*deployment) doctor.Args
	options doctor.Options
}

const testSP = idp.EntityID("https://records.example")

var peer = "127.0.0.1"

var cases = []wrong{
	{code: doctor.ClockOff, spoil: func(t *testing.T, d *deployment) {
		d.doctor.Settings.TimeURLs = []string{newTimeServer(t, now.Add(time.Hour))}
	}, want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.doctor.Settings.TimeURLs[0], Count: 3600} }},
	{code: doctor.ClockOff, name: "ahead", spoil: func(t *testing.T, d *deployment) {
		d.doctor.Settings.TimeURLs = []string{newTimeServer(t, now.Add(-time.Hour))}
	}, want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.doctor.Settings.TimeURLs[0], Count: 3599} }},
	{code: doctor.ClockOff, name: "NTP", spoil: func(t *testing.T, d *deployment) {
		d.doctor.Settings.TimeURLs = []string{newNTP(t, now.Add(-time.Minute))}
	}, want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.doctor.Settings.TimeURLs[0], Count: 60} }},
	{code: doctor.TimeURLUnreachable, level: doctor.Information, spoil: func(t *testing.T, d *deployment) {
		d.doctor.Settings.TimeURLs = []string{"http://" + newClosed(t)}
	}, want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.doctor.Settings.TimeURLs[0]} }},

	{code: doctor.BaseURLUnreachable, spoil: func(_ *testing.T, d *deployment) { d.front.Close() }, want: atMetadata},
	{code: doctor.BaseURLStatus, spoil: func(_ *testing.T, d *deployment) {
		d.intercept = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{URL: atMetadata(d).URL, Count: http.StatusBadGateway}
	}},
	{code: doctor.BaseURLStatus, name: "redirect", spoil: func(_ *testing.T, d *deployment) {
		d.intercept = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{URL: atMetadata(d).URL, Count: http.StatusFound}
	}},
	{code: doctor.BaseURLOtherInstallation, spoil: func(t *testing.T, d *deployment) {
		other := pemOf(t, d.certificate(now.AddDate(1, 0, 0)))
		d.intercept = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ds:X509Certificate>"+other+"</ds:X509Certificate>")
		}
	}, want: func(d *deployment) doctor.Args { return doctor.Args{URL: atMetadata(d).URL, Year: "2026"} }},
	{code: doctor.BaseURLLocal, spoil: func(_ *testing.T, d *deployment) { d.doctor.Settings.Listen = "0.0.0.0:8080" },
		want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.front.URL, Host: "0.0.0.0:8080"} }},

	{code: doctor.ProxyNotTrusted, open: func(_ *testing.T, o *options) { o.proxies = nil },
		want: func(*deployment) doctor.Args { return doctor.Args{Peer: peer} }},
	{code: doctor.ProxyNotTrusted, name: "without a header",
		open:  func(_ *testing.T, o *options) { o.proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		spoil: dropForwardedFor, want: func(*deployment) doctor.Args { return doctor.Args{Peer: peer} }},
	{code: doctor.ForwardedForMissing, spoil: dropForwardedFor, want: func(*deployment) doctor.Args { return doctor.Args{Peer: peer} }},
	{code: doctor.ForwardedForIgnored, level: doctor.Information,
		open: func(_ *testing.T, o *options) { o.proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		spoil: func(t *testing.T, d *deployment) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.back.URL+"/healthz", nil)
			ok(t, err)
			req.Header.Set("X-Forwarded-For", "192.0.2.1")
			resp, err := http.DefaultClient.Do(req)
			ok(t, err)
			resp.Body.Close()
		}, want: func(*deployment) doctor.Args { return doctor.Args{Peer: peer, Date: now} }},
	{code: doctor.ForwardedProtoHTTP, spoil: func(_ *testing.T, d *deployment) {
		d.rewrite = func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Forwarded-Proto", "HTTP") }
	}, want: func(*deployment) doctor.Args { return doctor.Args{Peer: peer} }},
	{code: doctor.HostChanged, level: doctor.Information, spoil: func(_ *testing.T, d *deployment) {
		d.rewrite = func(r *httputil.ProxyRequest) { r.Out.Host = "backend:8080" }
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Host: "backend:8080", URL: d.front.URL} }},
	{code: doctor.CookieChanged, spoil: func(_ *testing.T, d *deployment) {
		d.modify = func(resp *http.Response) {
			resp.Header.Set("Set-Cookie", "vernal-probe=1; Path=/; Max-Age=1; HttpOnly; SameSite=None; Domain=example.gov")
		}
	}, want: func(*deployment) doctor.Args { return doctor.Args{Value: "SameSite=Lax, Secure, no Domain"} }},
	{code: doctor.CookieChanged, name: "dropped", spoil: func(_ *testing.T, d *deployment) {
		d.modify = func(resp *http.Response) { resp.Header.Del("Set-Cookie") }
	}, want: func(*deployment) doctor.Args { return doctor.Args{Value: "Set-Cookie"} }},
	{code: doctor.SecurityHeadersLost, spoil: func(_ *testing.T, d *deployment) {
		d.modify = func(resp *http.Response) {
			resp.Header.Del("Content-Security-Policy")
			resp.Header.Del("Strict-Transport-Security")
		}
	}, want: func(*deployment) doctor.Args {
		return doctor.Args{Value: "Content-Security-Policy, Strict-Transport-Security"}
	}},

	{code: doctor.TLSExpired, spoil: serveCert(leaf{end: now.Add(-time.Hour)}),
		want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.front.URL, Date: now.Add(-time.Hour)} }},
	{code: doctor.TLSExpired, name: "file", spoil: writeCert(leaf{end: now.Add(-time.Hour)}),
		want: func(d *deployment) doctor.Args {
			return doctor.Args{Path: d.doctor.Settings.TLSCert, Date: now.Add(-time.Hour)}
		}},
	{code: doctor.TLSEnding, spoil: serveCert(leaf{end: now.AddDate(0, 0, 13)}), want: func(d *deployment) doctor.Args {
		return doctor.Args{URL: d.front.URL, Date: now.AddDate(0, 0, 13), Days: 13}
	}},
	{code: doctor.TLSWrongHost, spoil: serveCert(leaf{host: "other.example"}),
		want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.front.URL, Host: "127.0.0.1"} }},
	{code: doctor.TLSIncomplete, spoil: serveCert(leaf{incomplete: true}),
		want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.front.URL} }},
	{code: doctor.TLSUntrusted, spoil: serveCert(leaf{selfSigned: true}),
		want: func(d *deployment) doctor.Args { return doctor.Args{URL: d.front.URL} }},
	{code: doctor.TLSFileUnreadable, spoil: func(t *testing.T, d *deployment) {
		writeCert(leaf{})(t, d)
		ok(t, os.WriteFile(d.doctor.Settings.TLSKey, []byte("no key"), 0o600))
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.doctor.Settings.TLSCert} }},
	{code: doctor.TLSFileNotLoaded, spoil: func(t *testing.T, d *deployment) {
		config := d.front.TLS.Clone()
		config.Certificates = append(config.Certificates, *d.ca.issue(t, leaf{end: now.AddDate(0, 1, 0)}))
		d.doctor.Serve(config)
		writeCert(leaf{})(t, d)
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.doctor.Settings.TLSCert} }},

	{code: doctor.StoreDamaged, spoil: func(t *testing.T, d *deployment) {
		d.addProvider(testSP, nil)
		changeStore(t, d, func(page []byte) {
			copy(page[8:], "\xff\xff") // neither a leaf nor a branch
		})
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.StoreFile()} }},
	{code: doctor.StoreTampered, spoil: func(t *testing.T, d *deployment) {
		d.addProvider(testSP, nil)
		changeStore(t, d, func(page []byte) {
			at := bytes.Index(page, []byte(`"name":"Records"`))
			page[at+len(`"name":"`)] = 'r'
		})
	}, want: func(*deployment) doctor.Args { return doctor.Args{Count: 1, Value: "providers"} }},
	{code: doctor.StoreLarge, level: doctor.Information, spoil: func(_ *testing.T, d *deployment) {
		d.doctor.SetLimits(time.Minute, 100, 1)
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.StoreFile()} }},

	{code: doctor.StoreNotWritten, spoil: func(_ *testing.T, d *deployment) {
		i := *d.Installation
		i.Store = fullDisk{i.Store}
		d.doctor.Installation = &i
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.StoreFile()} }},

	{code: doctor.PreferredYearUnusable, spoil: func(t *testing.T, d *deployment) {
		ok(t, os.Remove(filepath.Join(d.KeysFolder(), "2026.key")))
		d.doctor.Installation = d.Server() // as after a restart
		if err := d.doctor.Rotation.Start(t.Context()); !errors.Is(err, keyring.ErrNoSigner) {
			t.Fatalf("started without a key: %v", err)
		}
	}, want: func(*deployment) doctor.Args {
		return doctor.Args{Year: "2026", Attention: &rotation.Attention{Code: rotation.KeyUnusable}}
	}},
	{code: doctor.KeyFiles, spoil: func(t *testing.T, d *deployment) {
		ok(t, os.Remove(filepath.Join(d.KeysFolder(), "2026.key")))
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{Year: "2026", Path: d.KeysFolder(), Reason: rotation.KeyMissing.Reason("2026")}
	}},
	{code: doctor.KeyFiles, name: "damaged", spoil: func(t *testing.T, d *deployment) {
		ok(t, os.WriteFile(filepath.Join(d.KeysFolder(), "2026.key"), []byte("no key"), 0o600))
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{Year: "2026", Path: d.KeysFolder(), Reason: rotation.KeyDamaged.Reason("2026")}
	}},
	{code: doctor.SigningFailed, spoil: func(t *testing.T, d *deployment) {
		entry, err := d.Years.Preferred(now)
		ok(t, err)
		st, err := d.Rotation.Status(t.Context(), nil)
		ok(t, err)
		broken := certs.Key{Year: "2026", Cert: entry.Key.Cert, Signer: brokenSigner{entry.Key.Signer}}
		ok(t, d.Years.SetHistory(st.History(), []*certs.Key{&broken}))
	}, want: func(*deployment) doctor.Args { return doctor.Args{Year: "2026", Value: "the token is away"} }},
	{code: doctor.RotationAttention, open: func(_ *testing.T, o *options) {
		o.change = func(c *installation.Config) { c.Policy.Manual = true }
	}, spoil: func(_ *testing.T, d *deployment) { d.Clock.Set(time.Date(2027, 1, 5, 0, 0, 0, 0, time.UTC)) },
		want: func(*deployment) doctor.Args {
			return doctor.Args{Year: "2027", Attention: &rotation.Attention{Code: rotation.StepSoon}}
		}},

	{code: doctor.DiskSpace, spoil: func(_ *testing.T, d *deployment) { d.doctor.SetFreeSpace(499 << 20) },
		want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.Folder, Megabytes: 499} }},
	{code: doctor.FileOpen, spoil: func(t *testing.T, d *deployment) { ok(t, os.Chmod(d.StoreFile(), 0o640)) },
		want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.StoreFile(), Mode: "0640", Want: "600"} }},
	{code: doctor.FileOpen, name: "key of a year", spoil: func(t *testing.T, d *deployment) {
		ok(t, os.Chmod(filepath.Join(d.KeysFolder(), "2026.key"), 0o604))
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{Path: filepath.Join(d.KeysFolder(), "2026.key"), Mode: "0604", Want: "600"}
	}},
	{code: doctor.FileOpen, name: "certificate of a year", spoil: func(t *testing.T, d *deployment) {
		ok(t, os.Chmod(filepath.Join(d.KeysFolder(), "2026.crt"), 0o664)) // 0644 is good
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{Path: filepath.Join(d.KeysFolder(), "2026.crt"), Mode: "0664", Want: "644"}
	}},
	{code: doctor.FileOpen, name: "folder of backups", spoil: func(t *testing.T, d *deployment) {
		d.doctor.Settings.BackupDir = t.TempDir()
		ok(t, os.Chmod(d.doctor.Settings.BackupDir, 0o772)) // 0770 is good
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{Path: d.doctor.Settings.BackupDir, Mode: "0772", Want: "o-rwx"}
	}},
	{code: doctor.FileOwner, spoil: func(t *testing.T, d *deployment) {
		if os.Geteuid() == 0 {
			ok(t, os.Chown(d.StoreFile(), 4242, -1))
			return
		}
		d.doctor.Settings.DataDir = "/" // belongs to root
		d.doctor.Settings.KeysDir = ""
	}, want: func(d *deployment) doctor.Args {
		if os.Geteuid() == 0 {
			return doctor.Args{Path: d.StoreFile(), UID: "4242", Want: "0"}
		}
		return doctor.Args{Path: d.StoreFile(), UID: strconv.Itoa(os.Geteuid()), Want: "0"}
	}},

	{code: doctor.MasterKeyUnreadable, spoil: func(t *testing.T, d *deployment) { ok(t, os.Remove(d.masterFile)) },
		want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.masterFile} }},
	{code: doctor.MasterKeyOther, spoil: func(t *testing.T, d *deployment) { replaceMaster(t, d) },
		want: func(d *deployment) doctor.Args { return doctor.Args{Path: d.masterFile, Key: d.Master.ID()} }},
	{code: doctor.MasterKeyOld, level: doctor.Information, spoil: func(t *testing.T, d *deployment) {
		ok(t, os.Chtimes(d.masterFile, now, now.AddDate(-3, 0, 0)))
	}, want: func(d *deployment) doctor.Args {
		return doctor.Args{Path: d.masterFile, Date: now.AddDate(-3, 0, 0), Days: 1096}
	}},
	{code: doctor.RekeyUnfinished, spoil: func(t *testing.T, d *deployment) {
		ok(t, d.Rekey.Begin(t.Context(), newMaster(t), false, "test"))
		ok(t, d.Rekey.Wait(t.Context()))
	}, want: func(*deployment) doctor.Args { return doctor.Args{} }},

	{code: doctor.BackupMissing, spoil: func(_ *testing.T, d *deployment) { d.addProvider(testSP, nil) }},
	{code: doctor.BackupFailed, spoil: recordBackups(backup.Record{At: now, File: "/backups/b", Error: "disk is full"}),
		want: func(*deployment) doctor.Args {
			return doctor.Args{Path: "/backups/b", Date: now, Value: "disk is full"}
		}},
	{code: doctor.BackupOld, spoil: recordBackups(backup.Record{At: now.AddDate(0, 0, -8), File: "/backups/b"}),
		want: func(*deployment) doctor.Args {
			return doctor.Args{Path: "/backups/b", Date: now.AddDate(0, 0, -8), Days: 8}
		}},
	{code: doctor.BackupOldMasterKey, spoil: recordBackups(backup.Record{At: now, File: "/backups/b", MasterKeys: []string{"0102030405060708"}}),
		want: func(*deployment) doctor.Args { return doctor.Args{Path: "/backups/b", Count: 1} }},

	{code: doctor.FIPSNotApproved, spoil: func(_ *testing.T, d *deployment) {
		d.doctor.SetFIPS(true)
		d.addProvider(testSP, func(p *idp.ServiceProvider) { p.Encryption = "aes256-gcm" }, d.certificate(now.AddDate(1, 0, 0)))
	}, want: oneSP},

	{code: doctor.NoticesOff, level: doctor.Information, spoil: func(_ *testing.T, d *deployment) { d.addProvider(testSP, nil) }},
	{code: doctor.MailUnusable, spoil: func(_ *testing.T, d *deployment) { d.doctor.MailErr = errors.New("no password") },
		want: func(*deployment) doctor.Args { return doctor.Args{Value: "no password"} }},
	{code: doctor.MailFailed, open: func(t *testing.T, o *options) {
		o.change = func(c *installation.Config) { c.Mail = newMailer(newClosed(t)) }
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Host: d.Mail.Server} }},
	{code: doctor.MailFailed, name: "no TLS", open: func(t *testing.T, o *options) {
		o.change = func(c *installation.Config) {
			c.Mail = newMailer(newMailServer(t, &smtptest.Server{}))
			c.Mail.TLS = notify.StartTLS
		}
	}, want: func(d *deployment) doctor.Args { return doctor.Args{Host: d.Mail.Server} }},
	{code: doctor.UserMailsDelayed, open: func(t *testing.T, o *options) {
		o.change = func(c *installation.Config) { c.Mail = newMailer(newMailServer(t, &smtptest.Server{})) }
		o.stopped = true
	}, spoil: func(t *testing.T, d *deployment) {
		d.Clock.Set(now.Add(-time.Hour))
		ok(t, d.UserMails.Queue(t.Context(), usermail.Mail{Kind: usermail.SignUp, To: "ana@example.gov"}))
		d.Clock.Set(now)
		ok(t, d.UserMails.Queue(t.Context(), usermail.Mail{Kind: usermail.SignUp, To: "bo@example.gov"})) // not yet delayed
	}, want: func(*deployment) doctor.Args { return doctor.Args{Count: 1, Date: now.Add(-time.Hour)} }},
	{code: doctor.WebhookFailed, open: func(t *testing.T, o *options) {
		o.change = func(c *installation.Config) {
			c.Webhook = &notify.Webhook{URL: "http://" + newClosed(t) + "/secret", Secret: []byte("0123456789abcdef"), Clock: c.Clock}
		}
	}, want: func(*deployment) doctor.Args { return doctor.Args{} }},
	{code: doctor.TestMailFailed, options: doctor.Options{SendTest: true}, open: func(t *testing.T, o *options) {
		refuse := func(to string) string {
			if to == "gone@example.gov" {
				return "550 no such user"
			}
			return ""
		}
		o.change = func(c *installation.Config) {
			c.Mail = newMailer(newMailServer(t, &smtptest.Server{Refuse: refuse}))
			c.Operators = []string{"ops@example.gov", "gone@example.gov"}
		}
	}, want: func(*deployment) doctor.Args { return doctor.Args{Count: 1} }},
	{code: doctor.TestWebhookFailed, options: doctor.Options{SendTest: true}, open: func(t *testing.T, o *options) {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
		t.Cleanup(receiver.Close)
		o.change = func(c *installation.Config) {
			c.Webhook = &notify.Webhook{URL: receiver.URL, Secret: []byte("0123456789abcdef"), Clock: c.Clock}
		}
	}, want: func(*deployment) doctor.Args { return doctor.Args{} }},

	{code: doctor.SPCertificateEnded, spoil: func(_ *testing.T, d *deployment) {
		d.addProvider(testSP, nil, d.certificate(now.AddDate(0, 0, -1)), d.certificate(now.AddDate(0, 0, -9)))
	}, want: func(d *deployment) doctor.Args { return withDate(oneSP(d), now.AddDate(0, 0, -1)) }},
	{code: doctor.SPCertificateEnded, name: "for encryption", spoil: func(_ *testing.T, d *deployment) {
		d.addProvider(testSP, func(p *idp.ServiceProvider) {
			p.Encryption, p.EncryptionCerts = "aes256-gcm", []string{d.certificate(now.AddDate(0, 0, -1))}
		}, d.certificate(now.AddDate(1, 0, 0)))
	}, want: func(d *deployment) doctor.Args { return withDate(oneSP(d), now.AddDate(0, 0, -1)) }},
	{code: doctor.SPCertificateEnding, spoil: func(_ *testing.T, d *deployment) {
		d.addProvider(testSP, nil, d.certificate(now.AddDate(0, 0, 30)))
	}, want: func(d *deployment) doctor.Args { return withDate(oneSP(d), now.AddDate(0, 0, 30)) }},
	{code: doctor.SPCertificateWeak, spoil: func(t *testing.T, d *deployment) {
		weak, err := os.ReadFile("../../testdata/keys/weak.crt")
		ok(t, err)
		d.addProvider(testSP, nil, string(weak), d.certificate(now.AddDate(1, 0, 0)))
	}, want: oneSP},
}

func atMetadata(d *deployment) doctor.Args { return doctor.Args{URL: d.IdP.MetadataURL("2026")} }

func oneSP(*deployment) doctor.Args { return doctor.Args{Count: 1, SPs: []idp.EntityID{testSP}} }

func withDate(a doctor.Args, at time.Time) doctor.Args {
	a.Date = at
	return a
}

// Each way to be wrong gives its finding, once, with its arguments, and a text in every
// language. Without it, the same installation has no such finding.
func TestFindings(t *testing.T) {
	t.Parallel()
	for _, tt := range cases {
		t.Run(string(tt.code)+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, func(o *options) {
				if tt.open != nil {
					tt.open(t, o)
				}
			})
			if tt.open == nil {
				if f := findCode(d.examine(tt.options), tt.code); len(f) > 0 && f[0].Level == doctor.Problem {
					t.Fatalf("found before anything is wrong: %+v", f)
				}
			}
			if tt.spoil != nil {
				tt.spoil(t, d)
			}
			report := d.examine(tt.options)
			found := findCode(report, tt.code)
			if len(found) != 1 {
				t.Fatalf("%d findings %s in %+v\n%+v", len(found), tt.code, report.Findings, report.Checks)
			}
			f := found[0]
			level := tt.level
			if level == "" {
				level = doctor.Problem
			}
			if f.Level != level {
				t.Errorf("level %s, want %s", f.Level, level)
			}
			var want doctor.Args
			if tt.want != nil {
				want = tt.want(d)
			}
			ignore := cmpopts.IgnoreFields(doctor.Args{}, "Value")
			if want.Value != "" {
				ignore = cmp.Options{}
			}
			megabytes := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Megabytes" && want.Megabytes == 0 }, cmp.Ignore())
			attention := cmp.Comparer(func(a, b *rotation.Attention) bool { return a == b || a != nil && b != nil && a.Code == b.Code })
			if diff := cmp.Diff(want, f.Args, ignore, megabytes, attention, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			checkTexts(t, f)
			if m := d.doctor.Last(); m.Problems[tt.code] != (level == doctor.Problem) {
				t.Errorf("for monitoring: %v", m.Problems[tt.code])
			}
		})
	}
}

func findCode(r *doctor.Report, code doctor.Code) []doctor.Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f doctor.Finding) bool { return f.Code != code })
}

// hole is what remains of a placeholder without a value.
var hole = regexp.MustCompile(`[{}]|\[\[|\]\]|  |\(\s*\)|: \.|\s[.,]|^finding\.`)

func checkTexts(t *testing.T, f doctor.Finding) {
	t.Helper()
	for _, lang := range []templates.Lang{"en", "es", "fr"} {
		f.Render(templates.PhrasesIn(lang))
		for _, text := range []string{f.Seen, f.Why, f.Fix} {
			if text == "" || hole.MatchString(text) {
				t.Errorf("%s: %q in %q", lang, hole.FindString(text), text)
			}
		}
	}
}

// Every code that a check can return has a case, and no other.
func TestEveryCodeHasCase(t *testing.T) {
	t.Parallel()
	var tried []doctor.Code
	for _, tt := range cases {
		tried = append(tried, tt.code)
	}
	slices.Sort(tried)
	codes := doctor.Codes()
	slices.Sort(codes)
	if diff := cmp.Diff(codes, slices.Compact(tried)); diff != "" {
		t.Errorf("(-codes +cases):\n%s", diff)
	}
}

// A new installation has no problem, with a proxy and without.
func TestFreshInstallationHasNoFinding(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*options){
		"proxy": func(*options) {}, "plain": func(o *options) { o.plain, o.proxies = true, nil },
		"stopped": func(o *options) { o.stopped = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := newDeployment(t, change).examine(doctor.Options{})
			if n := report.Attention(); n > 0 {
				t.Errorf("%d things need attention: %+v\n%+v", n, report.Findings, report.Checks)
			}
			if report.Next == nil || report.Next.Actor != "server" || report.Next.Year != "2027" {
				t.Errorf("next step: %+v", report.Next)
			}
		})
	}
}

func dropForwardedFor(_ *testing.T, d *deployment) {
	d.rewrite = func(r *httputil.ProxyRequest) {
		r.Out.Header["X-Forwarded-For"] = nil // not added by the library either
	}
}

func serveCert(l leaf) func(*testing.T, *deployment) {
	return func(t *testing.T, d *deployment) { d.cert.Store(d.ca.issue(t, l)) }
}

// writeCert writes tls.cert and tls.key.
func writeCert(l leaf) func(*testing.T, *deployment) {
	return func(t *testing.T, d *deployment) {
		pair := d.ca.issue(t, l)
		var chain []byte
		for _, der := range pair.Certificate {
			chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		key, err := x509PKCS8(pair.PrivateKey)
		ok(t, err)
		dir := t.TempDir()
		s := &d.doctor.Settings
		s.TLSCert, s.TLSKey = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		ok(t, os.WriteFile(s.TLSCert, chain, 0o644))
		ok(t, os.WriteFile(s.TLSKey, key, 0o600))
	}
}

// changeStore changes the pages of the store's file that contain the test's service provider.
// The open store sees the change.
func changeStore(t *testing.T, d *deployment, change func(page []byte)) {
	t.Helper()
	const size = 4096
	data, err := os.ReadFile(d.StoreFile())
	ok(t, err)
	f, err := os.OpenFile(d.StoreFile(), os.O_RDWR, 0)
	ok(t, err)
	defer f.Close()
	changed := 0
	for at := 0; at+size <= len(data); at += size {
		page := data[at : at+size]
		if !bytes.Contains(page, []byte(`"name":"Records"`)) {
			continue
		}
		change(page)
		_, err := f.WriteAt(page, int64(at))
		ok(t, err)
		changed++
	}
	if changed == 0 {
		t.Fatal("no page has the service provider")
	}
}

// fullDisk is a store whose disk takes no changes.
type fullDisk struct{ idp.OwnedStore }

func (fullDisk) CheckWrites(context.Context) error { return idp.ErrNotWritten }

type brokenSigner struct{ crypto.Signer }

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the token is away")
}

func newMaster(t *testing.T) *seal.Master {
	t.Helper()
	secret := make([]byte, seal.MasterSize)
	rand.Read(secret)
	m, err := seal.NewMaster(secret)
	ok(t, err)
	return m
}

// replaceMaster puts another key into the file of the master key.
func replaceMaster(t *testing.T, d *deployment) {
	t.Helper()
	secret := make([]byte, seal.MasterSize)
	rand.Read(secret)
	ok(t, os.WriteFile(d.masterFile, []byte(hex.EncodeToString(secret)), 0o600))
}

// recordBackups records backups of an installation that has a service provider. Those that name
// no master key are opened by the one in use.
func recordBackups(records ...backup.Record) func(*testing.T, *deployment) {
	return func(t *testing.T, d *deployment) {
		d.addProvider(testSP, nil)
		list := slices.Clone(records)
		for i := range list {
			if list[i].MasterKeys == nil {
				list[i].MasterKeys = []string{d.Master.ID()}
			}
		}
		data, err := json.Marshal(map[string]any{"list": list})
		ok(t, err)
		ok(t, d.Store.UpdateDocuments(t.Context(), backup.RecordKind, []string{"attempts"}, func(doc *idp.Document) error {
			doc.Data = data
			return nil
		}))
		if read, err := backup.Records(t.Context(), d.Store); err != nil || len(read) != len(list) {
			t.Fatalf("records: %v, %v", read, err)
		}
	}
}

func newMailer(at string) *notify.Mailer {
	return &notify.Mailer{Server: at, From: "vernal@example.gov", FromName: "Vernal", TLS: notify.NoTLS, Clock: time.Now}
}

func newMailServer(t *testing.T, s *smtptest.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		_ = s.Close()
		<-done
	})
	return l.Addr().String()
}

// newNTP serves a time by NTP.
func newNTP(t *testing.T, at time.Time) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		var packet [64]byte
		for {
			n, from, err := conn.ReadFrom(packet[:])
			if err != nil || n != 48 {
				return
			}
			answer := make([]byte, 48)
			answer[0], answer[1] = 4<<3|4, 2
			copy(answer[24:32], packet[40:48])
			seconds := uint32(at.Unix() + 2208988800)
			for i := range 4 {
				answer[40+i] = byte(seconds >> (24 - 8*i))
			}
			forged := slices.Clone(answer) // from someone who has not seen the question
			forged[24]++
			forged[40] = 0
			for _, a := range [][]byte{forged, answer} {
				if _, err := conn.WriteTo(a, from); err != nil {
					return
				}
			}
		}
	}()
	return "ntp://" + conn.LocalAddr().String()
}

// pemOf returns the base64 of a certificate.
func pemOf(t *testing.T, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	return base64.StdEncoding.EncodeToString(block.Bytes)
}

func x509PKCS8(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
