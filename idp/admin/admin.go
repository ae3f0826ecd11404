// Package admin is what the commands talk to: the registry, the accounts, the
// metadata, the years and their rotation, as a small HTTP and JSON interface.
//
// A running server answers on a unix socket in its data folder (Listen, Serve).
// Where none runs, a command opens the store itself and calls the same handler
// in its own process (InProcess), so that there is one way for every command:
//
//	command -> Client -> socket ----> Service.Handler -> registry, accounts, …
//	                  \> InProcess -/
//
// Every call is a POST of one JSON object to /v1/NOUN/VERB, answered with one
// JSON object: the result, or an Error. The caller is the user at the other end
// of the socket, told by the kernel; only the data folder's owner and root are
// heard, and what they change is on record under their name.
//
// The package prints nothing and knows no flags; those are the commands'.
package admin

import (
	"context"
	"log/slog"
	"net/http"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/discovery"
	"vernal/idp/inspect"
	"vernal/idp/keyring"
	"vernal/idp/migration"
	"vernal/idp/notify"
	"vernal/idp/rehearsal"
	"vernal/idp/rekey"
	"vernal/idp/rotator"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
)

// Service answers the commands. All fields are needed.
type Service struct {
	Registry *sp.Registry
	Accounts *account.Service
	Users    idp.UserStore
	Sessions idp.SessionStore
	Ring     *keyring.Ring
	Rotation *rotator.Service
	Board    *migration.Service
	Notices  *notify.Service
	// Silent is why mail cannot be sent as configured; nil if it can, or is
	// not configured.
	Silent error
	Links  *sharelink.Service
	// Trail looks after the audit trail.
	Trail *audit.Service
	// Rekey changes the keys of the installation.
	Rekey *rekey.Service
	// Inspector takes messages apart.
	Inspector *inspect.Service
	// Rehearsal walks through a year of the running server; nil without one.
	Rehearsal *rehearsal.Service
	// WatchURL is the base of the secret addresses of the admin listener; "" if
	// nothing listens.
	WatchURL string
	// Metadata makes the document of a year, or the stable one for "".
	// idp.ErrNotFound if the year has none.
	Metadata func(ctx context.Context, y idp.Year) ([]byte, error)
	// Export makes the files that prove a year out of band.
	Export func(y idp.Year) ([]discovery.File, error)
	Clock  idp.Clock
	Log    *slog.Logger
	// Owner is the user that the data folder belongs to.
	Owner int
	// Version is the program's.
	Version string
	// Address is where the server answers; "" while none runs. TLS: by https.
	Address string
	TLS     bool
}

// Handler is the whole interface. A request's context must hold its Caller.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/ping", endpoint(s, s.ping))

	mux.Handle("POST /v1/rekey/state", endpoint(s, s.rekeyState))
	mux.Handle("POST /v1/rekey/begin", endpoint(s, s.beginRekey))
	mux.Handle("POST /v1/rekey/finish", endpoint(s, s.finishRekey))
	mux.Handle("POST /v1/rekey/cancel", endpoint(s, s.cancelRekey))
	mux.Handle("POST /v1/rekey/all", endpoint(s, s.renewKeys))

	mux.Handle("POST /v1/sp/add", endpoint(s, s.addSP))
	mux.Handle("POST /v1/sp/edit", endpoint(s, s.editSP))
	mux.Handle("POST /v1/sp/remove", endpoint(s, s.removeSP))
	mux.Handle("POST /v1/sp/show", endpoint(s, s.showSP))
	mux.Handle("POST /v1/sp/list", endpoint(s, s.listSP))

	mux.Handle("POST /v1/user/add", endpoint(s, s.addUser))
	mux.Handle("POST /v1/user/show", endpoint(s, s.showUser))
	mux.Handle("POST /v1/user/list", endpoint(s, s.listUsers))
	mux.Handle("POST /v1/user/lock", endpoint(s, s.lockUser))
	mux.Handle("POST /v1/user/unlock", endpoint(s, s.unlockUser))
	mux.Handle("POST /v1/user/set-password", endpoint(s, s.setPassword))
	mux.Handle("POST /v1/user/reset-mfa", endpoint(s, s.resetMFA))
	mux.Handle("POST /v1/user/delete", endpoint(s, s.deleteUser))
	mux.Handle("POST /v1/user/verify", endpoint(s, s.verifyUser))
	mux.Handle("POST /v1/user/import", endpoint(s, s.importUsers))
	mux.Handle("POST /v1/user/export", endpoint(s, s.exportUsers))

	mux.Handle("POST /v1/audit/find", endpoint(s, s.findAudit))
	mux.Handle("POST /v1/audit/verify", endpoint(s, s.verifyAudit))
	mux.Handle("POST /v1/audit/lines", endpoint(s, s.auditLines))
	mux.Handle("POST /v1/audit/checkpoint", endpoint(s, s.auditCheckpoint))
	mux.Handle("POST /v1/audit/prune", endpoint(s, s.pruneAudit))
	mux.Handle("POST /v1/audit/check", endpoint(s, s.checkAudit))

	mux.Handle("POST /v1/session/list", endpoint(s, s.listSessions))
	mux.Handle("POST /v1/session/end", endpoint(s, s.endSessions))

	mux.Handle("POST /v1/inspect", endpoint(s, s.inspect))

	mux.Handle("POST /v1/metadata/show", endpoint(s, s.showMetadata))
	mux.Handle("POST /v1/year/list", endpoint(s, s.listYears))

	mux.Handle("POST /v1/rotation/status", endpoint(s, s.rotationStatus))
	mux.Handle("POST /v1/rotation/plan", endpoint(s, s.rotationPlan))
	mux.Handle("POST /v1/rotation/step", endpoint(s, s.rotationStep))
	mux.Handle("POST /v1/rotation/preview", endpoint(s, s.rotationPreview))
	mux.Handle("POST /v1/rotation/rehearse/begin", endpoint(s, s.beginRehearsal))
	mux.Handle("POST /v1/rotation/rehearse/end", endpoint(s, s.endRehearsal))
	mux.Handle("POST /v1/rotation/report", endpoint(s, s.rotationReport))

	mux.Handle("POST /v1/link/create", endpoint(s, s.createLink))
	mux.Handle("POST /v1/link/list", endpoint(s, s.listLinks))
	mux.Handle("POST /v1/link/revoke", endpoint(s, s.revokeLink))
	mux.Handle("POST /v1/rotation/csr", endpoint(s, s.rotationCSR))
	mux.Handle("POST /v1/rotation/import", endpoint(s, s.rotationImport))
	mux.Handle("POST /v1/rotation/export", endpoint(s, s.rotationExport))
	return mux
}
