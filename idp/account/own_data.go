package account

import (
	"context"
	"fmt"
	"time"

	"vernal/idp"
)

// OwnData is what the installation stores about a user, without secrets, in the form in which users
// download it. Sessions and history are added by the caller, because other packages keep them.
type OwnData struct {
	CreatedAt  time.Time   `json:"created_at"`
	Emails     []OwnEmail  `json:"emails"`
	Language   string      `json:"language,omitempty"`
	Role       string      `json:"role,omitempty"`
	Password   OwnPassword `json:"password"`
	Factors    []OwnFactor `json:"authenticators"`
	DeletionAt time.Time   `json:"deletion_at,omitzero"`
	ResetAt    time.Time   `json:"factor_reset_at,omitzero"`

	RecoveryCodes     *OwnRecoveryCodes `json:"recovery_codes,omitempty"`
	RememberedDevices []OwnDevice       `json:"remembered_devices"`
	// KnownBrowsers are the times of the last sign-in in each known browser. Nothing else is
	// known about them.
	KnownBrowsers []time.Time        `json:"known_browsers,omitempty"`
	AcceptedTexts *idp.AcceptedTexts `json:"accepted_texts,omitempty"`
	Services      []OwnService       `json:"services"`
	// Identifiers are those by which service providers know the user, by the entity ID or the
	// agency that shares one.
	Identifiers      map[string]idp.NameID `json:"identifiers,omitempty"`
	VerifiedIdentity *RecordProfile        `json:"verified_identity,omitempty"`
	// IdentityPausedAt is when the identity stopped being disclosed, after the password was reset.
	IdentityPausedAt time.Time `json:"verified_identity_paused_at,omitzero"`
}

// OwnEmail is an email address of the user. DisclosedTo are the service providers that identify the
// user by it.
type OwnEmail struct {
	Address      string         `json:"address"`
	ConfirmedAt  time.Time      `json:"confirmed_at,omitzero"`
	LastSignInAt time.Time      `json:"last_sign_in_at,omitzero"`
	DisclosedTo  []idp.EntityID `json:"identifies_you_at,omitempty"`
}

// OwnPassword says when the password was set.
type OwnPassword struct {
	ChangedAt time.Time `json:"changed_at,omitzero"`
}

// OwnFactor is an authenticator, without its secret.
type OwnFactor struct {
	Name    string    `json:"name"`
	AddedAt time.Time `json:"added_at,omitzero"`
}

// OwnRecoveryCodes says how many recovery codes are left.
type OwnRecoveryCodes struct {
	Left      int       `json:"left"`
	CreatedAt time.Time `json:"created_at"`
}

// OwnDevice is a browser that replaces the second factor.
type OwnDevice struct {
	Browser      string    `json:"browser,omitempty"`
	System       string    `json:"system,omitempty"`
	RememberedAt time.Time `json:"remembered_at"`
	UsedAt       time.Time `json:"used_at,omitzero"`
}

// OwnService is a service provider that the user signed in to.
type OwnService struct {
	EntityID    idp.EntityID `json:"entity_id"`
	Name        string       `json:"name,omitempty"`
	FirstAt     time.Time    `json:"first_at"`
	LastAt      time.Time    `json:"last_at"`
	Shared      []string     `json:"agreed_to_share,omitempty"`
	ConsentAt   time.Time    `json:"agreed_at,omitzero"`
	WithdrawnAt time.Time    `json:"withdrawn_at,omitzero"`
	Email       string       `json:"chosen_email,omitempty"`
}

// ReadOwnData reads what is stored about a user, and records the event before it returns. It unseals
// the proofed identity.
func (s *Service) ReadOwnData(ctx context.Context, user idp.UserID, event idp.AuditEvent) (*OwnData, error) {
	u, err := s.Store.User(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("read the user's own data: %w", err)
	}
	profile, err := s.Profile(ctx, u)
	if err != nil {
		return nil, err
	}
	finder, err := s.newScopeFinder(ctx, false)
	if err != nil {
		return nil, err
	}
	keys, err := finder.listKeys(ctx)
	if err != nil {
		return nil, err
	}
	d := newOwnData(u, profile)
	if d.Identifiers, err = s.listNameIDs(ctx, user, keys); err != nil {
		return nil, err
	}
	for i := range d.Services {
		if p := finder.providers[d.Services[i].EntityID]; p != nil {
			d.Services[i].Name = p.Name
		}
	}
	if err := s.Store.AppendAudit(ctx, event); err != nil {
		return nil, fmt.Errorf("record the download of own data: %w", err)
	}
	return d, nil
}

// newOwnData selects the user's data. A test lists the decision for each stored field.
func newOwnData(u *idp.User, profile *idp.Profile) *OwnData {
	d := &OwnData{
		CreatedAt: u.CreatedAt, Language: u.Lang, Role: u.Role, Password: OwnPassword{u.PasswordChangedAt},
		DeletionAt: u.DeletionAt, ResetAt: u.FactorResetAt, AcceptedTexts: u.Accepted, IdentityPausedAt: u.ProofingPausedAt,
		Emails: []OwnEmail{}, Factors: []OwnFactor{}, RememberedDevices: []OwnDevice{}, Services: []OwnService{},
	}
	for _, e := range u.Emails {
		d.Emails = append(d.Emails, OwnEmail(e))
	}
	for _, t := range u.TOTPs {
		d.Factors = append(d.Factors, OwnFactor{t.Name, t.AddedAt})
	}
	if c := u.RecoveryCodes; c != nil {
		d.RecoveryCodes = &OwnRecoveryCodes{len(c.Hashes), c.CreatedAt}
	}
	for _, dev := range u.Devices {
		d.RememberedDevices = append(d.RememberedDevices, OwnDevice{dev.Browser, dev.System, dev.At, dev.UsedAt})
	}
	for _, b := range u.Browsers {
		d.KnownBrowsers = append(d.KnownBrowsers, b.At)
	}
	for _, c := range u.Services {
		d.Services = append(d.Services, OwnService{c.SP, "", c.FirstAt, c.LastAt, c.Attributes, c.ConsentAt, c.WithdrawnAt, c.Email})
	}
	if profile != nil {
		p := RecordProfile(*profile)
		d.VerifiedIdentity = &p
	}
	return d
}
