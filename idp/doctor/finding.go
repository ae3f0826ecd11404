package doctor

import (
	"encoding/json"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/shellquote"
	"vernal/templates"
)

// Code identifies a problem for programs. Codes never change, but texts may.
type Code string

// Level says whether an operator must act.
type Level string

const (
	// Problem: something does not work, or will stop working, unless an operator acts.
	Problem Level = "problem"
	// Information: no action is needed. It never changes the exit code.
	Information Level = "information"
)

// Finding is one thing that a check found. Its texts are in the catalogues under
// "finding.CODE.seen", "finding.CODE.why" and "finding.CODE.fix".
type Finding struct {
	Code  Code  `json:"code"`
	Level Level `json:"level"`
	Args  Args  `json:"args,omitzero"`
	// Seen is the observation, Why the reason that it matters, and Fix the way to fix it. They
	// are "" before Render. No decision may depend on them.
	Seen string `json:"seen"`
	Why  string `json:"why"`
	Fix  string `json:"fix"`
	// Suggestions are the commands that Fix mentions.
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
}

// Args are the arguments of a finding. A code always fills the same fields.
type Args struct {
	Year idp.Year `json:"year,omitzero"`
	// URL, Host, Peer and Path name the object of the check. Host is HOST or HOST:PORT, Peer is an IP
	// address, and Path is a file or folder.
	URL  string `json:"url,omitzero"`
	Host string `json:"host,omitzero"`
	Peer string `json:"peer,omitzero"`
	Path string `json:"path,omitzero"`
	// Mode contains the permissions of Path, and Want the ones that it should have. chmod accepts
	// both.
	Mode string `json:"mode,omitzero"`
	Want string `json:"want,omitzero"`
	// UID is the owner of Path.
	UID string `json:"uid,omitzero"`
	// Date is the time of the event, past or future. Days is the number of days between now
	// and then.
	Date time.Time `json:"date,omitzero"`
	Days int       `json:"days,omitzero"`
	// Count is the number of the things that the code names. Megabytes is a size.
	Count     int `json:"count,omitzero"`
	Megabytes int `json:"megabytes,omitzero"`
	// SPs are service providers, sorted and at most maxSPs of Count.
	SPs []idp.EntityID `json:"entity_ids,omitempty"`
	// Key is the ID of a master key.
	Key string `json:"master_key,omitzero"`
	// Reason is the reason code that the rotation reports, or the one of an unusable key.
	Reason rotation.Reason `json:"reason,omitzero"`
	// Attention is the report of the rotation.
	Attention *rotation.Attention `json:"attention,omitempty"`
	// Value is text from another program, such as an error message.
	Value string `json:"value,omitzero"`
}

// maxSPs bounds the service providers in a finding.
const maxSPs = 100

// Render fills in the texts of the finding.
func (f *Finding) Render(p *templates.Phrases) {
	values := f.Args.mapValues(p)
	f.Seen = p.Fill("finding."+templates.Key(f.Code)+".seen", values)
	f.Why = p.Fill("finding."+templates.Key(f.Code)+".why", values)
	f.Fix = p.Fill("finding."+templates.Key(f.Code)+".fix", values)
}

// mapValues returns the arguments by their JSON names.
func (a Args) mapValues(p *templates.Phrases) map[string]any {
	values := map[string]any{
		"year": string(a.Year), "url": a.URL, "host": a.Host, "peer": a.Peer, "path": a.Path, "mode": a.Mode, "want": a.Want, "uid": a.UID,
		"date": a.Date, "days": templates.Days(a.Days), "count": a.Count, "megabytes": a.Megabytes, "entity_ids": a.SPs,
		"master_key": a.Key, "reason": p.Reason(a.Reason), "value": a.Value, "quoted_path": shellquote.Quote(a.Path),
	}
	if a.Attention != nil {
		values["attention"] = p.Attention(*a.Attention)
	}
	return values
}

// Fields returns the JSON names of the arguments that are set, sorted.
func (a Args) Fields() []string {
	data, err := json.Marshal(a)
	var fields map[string]json.RawMessage
	if err != nil || json.Unmarshal(data, &fields) != nil {
		return nil
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Clock.
const (
	ClockOff           Code = "clock_off"
	TimeURLUnreachable Code = "time_url_unreachable"
)

// The base URL as seen from outside, and the proxy in front of it.
const (
	BaseURLUnreachable       Code = "base_url_unreachable"
	BaseURLStatus            Code = "base_url_status"
	BaseURLOtherInstallation Code = "base_url_other_installation"
	BaseURLLocal             Code = "base_url_local"
	ProxyNotTrusted          Code = "proxy_not_trusted"
	ForwardedForMissing      Code = "forwarded_for_missing"
	ForwardedForIgnored      Code = "forwarded_for_ignored"
	ForwardedProtoHTTP       Code = "forwarded_proto_http"
	HostChanged              Code = "host_changed"
	CookieChanged            Code = "cookie_changed"
	SecurityHeadersLost      Code = "security_headers_lost"
)

// TLS certificates: the one seen at base_url, and the file tls.cert.
const (
	TLSExpired        Code = "tls_expired"
	TLSEnding         Code = "tls_ending"
	TLSWrongHost      Code = "tls_wrong_host"
	TLSIncomplete     Code = "tls_incomplete"
	TLSUntrusted      Code = "tls_untrusted"
	TLSFileUnreadable Code = "tls_file_unreadable"
	TLSFileNotLoaded  Code = "tls_file_not_loaded"
)

// The store.
const (
	StoreDamaged  Code = "store_damaged"
	StoreTampered Code = "store_tampered"
	StoreLarge    Code = "store_large"
	// StoreNotWritten: changes cannot be written to the disk.
	StoreNotWritten Code = "store_not_written"
)

// Our signing keys and the rotation.
const (
	PreferredYearUnusable Code = "preferred_year_unusable"
	KeyFiles              Code = "key_files"
	SigningFailed         Code = "signing_failed"
	RotationAttention     Code = "rotation_attention"
)

// The machine.
const (
	DiskSpace Code = "disk_space"
	FileOpen  Code = "file_open"
	FileOwner Code = "file_owner"
)

// The master key and backups.
const (
	MasterKeyUnreadable Code = "master_key_unreadable"
	MasterKeyOther      Code = "master_key_other"
	MasterKeyOld        Code = "master_key_old"
	RekeyUnfinished     Code = "rekey_unfinished"
	BackupMissing       Code = "backup_missing"
	BackupFailed        Code = "backup_failed"
	BackupOld           Code = "backup_old"
	BackupOldMasterKey  Code = "backup_old_master_key"
)

// FIPSNotApproved: FIPS mode is on, and service providers use algorithms that it does not approve.
const FIPSNotApproved Code = "fips_not_approved"

// Mail and webhook.
const (
	NoticesOff        Code = "notices_off"
	MailUnusable      Code = "mail_unusable"
	MailFailed        Code = "mail_failed"
	UserMailsDelayed  Code = "user_mails_delayed"
	WebhookFailed     Code = "webhook_failed"
	TestMailFailed    Code = "test_mail_failed"
	TestWebhookFailed Code = "test_webhook_failed"
)

// Certificates of service providers.
const (
	SPCertificateEnded  Code = "sp_certificate_ended"
	SPCertificateEnding Code = "sp_certificate_ending"
	SPCertificateWeak   Code = "sp_certificate_weak"
)
