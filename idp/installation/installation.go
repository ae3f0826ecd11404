// Package installation builds the services of an identity provider: the service providers, the
// users, the years and their rotation, notices and the audit trail. It is the only package that
// connects them. The server, the demo, commands without a server and tests all use an
// Installation, so that they all behave the same.
//
// It listens on no port and starts nothing. The caller opens the store, because only programs
// and tests import a concrete store. Once started, Rotation fills Years.
package installation

import (
	"crypto"
	"crypto/x509"
	"log/slog"
	"strings"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/accountjobs"
	"vernal/idp/audit"
	"vernal/idp/backup"
	"vernal/idp/inspect"
	"vernal/idp/keyring"
	"vernal/idp/maillink"
	"vernal/idp/migration"
	"vernal/idp/notify"
	"vernal/idp/outbound"
	"vernal/idp/rehearsal"
	"vernal/idp/rekey"
	"vernal/idp/restore"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
	"vernal/idp/session"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
	"vernal/idp/usage"
	"vernal/idp/usermail"
	"vernal/metadata"
	"vernal/templates"
)

// Config contains the parts of the services.
type Config struct {
	// IdP contains base_url, and the data of the operator for metadata.
	IdP metadata.IdP
	// Brand is the name in titles, headers and mails; optional.
	Brand string
	// Branding contains the look of pages and the support contact for mails; optional.
	Branding *templates.Brand
	// Languages are the languages of pages and mails, the default one first; optional.
	Languages []templates.Lang
	// CommandLine renders an operator's next steps; optional.
	CommandLine idp.CommandLine

	Policy rotation.Policy
	// KeySpec describes new signing keys. NewSigner creates their private keys in tests.
	KeySpec   certs.Spec
	NewSigner func(bits int) (crypto.Signer, error)
	// DataDir is the data folder, where a restore writes its marker.
	DataDir string
	// Keys is the folder of signing keys. Vault is the token that creates keys; nil
	// without one.
	Keys  *certs.Dir
	Vault certs.Vault
	// Users are the choices about accounts.
	Users account.Settings
	// PasswordCost is the cost of new password hashes; the default if zero.
	PasswordCost account.Cost
	// Master loads the currently configured master key.
	Master func() (*seal.Master, error)

	// Mail and Webhook deliver notices; nil disables one. Operators get notices by mail.
	Mail      *notify.Mailer
	Webhook   *notify.Webhook
	Operators []string

	// Backup is the schedule of the server's backups. ConfigText is the configuration without
	// secrets, and Version the program's version, for backups; both optional.
	Backup     backup.Policy
	ConfigText []byte
	Version    string
	// Outbound calls other machines; optional.
	Outbound *outbound.Client

	Log   *slog.Logger
	Clock idp.Clock
}

// Store stores an installation.
type Store interface {
	idp.OwnedStore
	rekey.Store
	backup.Store
	Ring() *seal.Ring
}

// Installation contains the services of an identity provider.
type Installation struct {
	Config
	Store idp.OwnedStore
	// Sealer seals data outside the store, for example in browsers.
	Sealer    idp.Sealer
	Registry  *sp.Registry
	Accounts  *account.Service
	Years     *keyring.Ring
	Rotation  *rotator.Service
	Usage     *usage.Ledger
	Board     *migration.Service
	Notices   *notify.Service
	Links     *sharelink.Service
	MailLinks *maillink.Service
	UserMails *usermail.Service
	Trail     *audit.Service
	// AccountJobs deletes and locks accounts when a time has come.
	AccountJobs *accountjobs.Service
	Rekey       *rekey.Service
	Backups     *backup.Service
	Inspector   *inspect.Service
	Rehearsal   *rehearsal.Service
	Restore     *restore.Service
}

// Build returns the services of an installation, connected to its store.
func Build(c Config, store Store) *Installation {
	if c.Outbound == nil {
		c.Outbound = &outbound.Client{}
	}
	i := &Installation{Config: c, Store: store, Sealer: store.Ring(), Years: keyring.NewRing(c.Policy)}
	i.Registry = sp.New(store, c.Clock)
	i.Registry.BaseIsHTTP = !i.IsSecure()
	i.Registry.OurCerts = i.certificates
	i.Accounts = &account.Service{
		Store: store, Sealer: i.Sealer, Clock: c.Clock, Hasher: account.NewHasher(c.PasswordCost),
		Limits: account.DefaultLimits(), Log: c.Log, Issuer: c.Brand,
	}
	i.Usage = &usage.Ledger{Store: store, Registry: i.Registry, Years: i.Years, Clock: c.Clock, Log: c.Log}
	i.Rotation = &rotator.Service{
		Store: store, Dir: c.Keys, Ring: i.Years, Policy: c.Policy, Spec: c.KeySpec, NewSigner: c.NewSigner, Vault: c.Vault,
		BaseURL: c.IdP.BaseURL, Uses: i.Usage, Clock: c.Clock, Log: c.Log,
	}
	i.Board = &migration.Service{Usage: i.Usage, Registry: i.Registry, Years: i.Years, Clock: c.Clock}
	i.Notices = &notify.Service{
		Store: store, Board: i.Board, Rotation: i.Rotation, Years: i.Years, IdP: c.IdP, Name: c.Brand, Branding: c.Branding, Langs: c.Languages,
		CommandLine: c.CommandLine, Mail: c.Mail, Webhook: c.Webhook, Notify: c.Operators, Clock: c.Clock, Log: c.Log,
	}
	i.MailLinks = &maillink.Service{Store: store, Sealer: i.Sealer, Clock: c.Clock}
	i.UserMails = &usermail.Service{
		Store: store, Sealer: i.Sealer, Writer: i.Notices, AccountURL: c.IdP.BaseURL + "/account", Clock: c.Clock, Log: c.Log,
	}
	if c.Mail != nil {
		i.UserMails.Sender = c.Mail
	}
	i.AccountJobs = &accountjobs.Service{
		Store: store, Accounts: i.Accounts, Mails: i.UserMails, InactiveAfter: c.Users.InactiveAfter, IsClockTrusted: i.Rotation.IsClockTrusted,
		Clock: c.Clock, Log: c.Log,
	}
	i.Links = &sharelink.Service{Store: store, Sealer: i.Sealer, Clock: c.Clock}
	i.Trail = &audit.Service{
		Store: store, Sealer: i.Sealer, Years: i.Years, Issuer: string(c.IdP.EntityID()), Clock: c.Clock, Log: c.Log,
		Refusals: &audit.Refusals{Store: store, Clock: c.Clock, Log: c.Log},
	}
	i.Rekey = &rekey.Service{Store: store, Years: c.Keys, Trail: i.Trail, Log: c.Log, Master: c.Master}
	i.Backups = &backup.Service{
		Store: store, Steps: i.Rotation, Keys: c.Keys, Master: c.Master, Config: c.ConfigText, Policy: c.Backup,
		BaseURL: c.IdP.BaseURL, Version: c.Version, Clock: c.Clock, Log: c.Log,
	}
	i.Rotation.Backups = i.Backups
	i.Inspector = &inspect.Service{IdP: c.IdP, Registry: i.Registry, Years: i.Years, History: store, Users: store}
	i.Rehearsal = &rehearsal.Service{
		Sessions: &session.Manager{Store: store, Clock: c.Clock, Secure: i.IsSecure()},
		Registry: i.Registry, Links: i.Links, Years: i.Years, BaseURL: c.IdP.BaseURL, Clock: c.Clock,
	}
	i.Restore = &restore.Service{
		Dir: c.DataDir, Store: store, Sealer: i.Sealer, Trail: i.Trail, Rotation: i.Rotation, Accounts: i.Accounts, Registry: i.Registry,
		Clock: c.Clock, Log: c.Log,
	}
	return i
}

// IsSecure reports whether browsers reach the installation by https.
func (i *Installation) IsSecure() bool { return strings.HasPrefix(i.IdP.BaseURL, "https://") }

// certificates returns the certificates of all years, so that the registry refuses them for
// service providers.
func (i *Installation) certificates() []*x509.Certificate {
	var certificates []*x509.Certificate
	for _, e := range i.Years.All(i.Clock.Now()) {
		if e.Key.Cert != nil {
			certificates = append(certificates, e.Key.Cert)
		}
	}
	return certificates
}
