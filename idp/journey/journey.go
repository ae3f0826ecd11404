// Package journey contains what the pages that users meet have in common: the request that a sign-in
// is for (Flow), the decision with which every handler ends (Exit), and the paths of the pages, which
// link to one another.
//
//	RunStep          handler ─► Exit ─► audit record ─► answer
//	WrapFlowStep     finds the Flow of the request, for the pages of a sign-in
//	WrapSessionStep  finds the session, for the pages of an account
//
// The packages of the pages (authn, signup, recovery, accounthttp) embed a Service. They never import
// one another.
package journey

import (
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/session"
	"vernal/idp/sp"
	"vernal/idp/web"
)

// URL paths of the pages.
const (
	SignInPath        = "/sign-in"
	CodePath          = "/sign-in/code"
	StepUpPath        = "/sign-in/step-up"
	SetUpPath         = "/sign-in/set-up"         // the first second factor
	RecoveryCodesPath = "/sign-in/recovery-codes" // a new set of recovery codes
	RecoveryCodePath  = "/sign-in/recovery-code"
	ToServicePath     = "/sign-in/to-service"
	ForgotPath        = "/sign-in/forgot"
	ResetPath         = "/sign-in/reset"
	LostPath          = "/sign-in/lost"
	SignUpPath        = "/sign-up"
	SignUpConfirmPath = "/sign-up/confirm"

	AccountPath        = "/account"
	SignOutPath        = "/account/sign-out"
	StayPath           = "/account/stay"
	AccountConfirmPath = "/account/confirm" // proves a factor again
	EmailsPath         = "/account/emails"
	EmailConfirmPath   = "/account/emails/confirm"
	EmailUndoPath      = "/account/emails/undo"
	PasswordPath       = "/account/password"
	FactorsPath        = "/account/factors"
	ServicesPath       = "/account/services"
	SessionsPath       = "/account/sessions"
	HistoryPath        = "/account/history"
	DataPath           = "/account/data"
	DeletePath         = "/account/delete"
)

// Service finds the data that the pages need. All fields but Settings and CanMail are required.
type Service struct {
	Accounts *account.Service
	Users    idp.UserStore
	Sessions *session.Manager
	Registry *sp.Registry
	Pages    *web.Pages
	// Settings are the operator's choices about accounts.
	Settings account.Settings
	// CanMail reports whether a mail server is configured.
	CanMail bool
	// ContinuePath is where a sign-in for a LoginRequest continues. Package sso owns it.
	ContinuePath string
}

// OffersSignUp reports whether anyone can create an account, which needs a mail server.
func (s *Service) OffersSignUp() bool {
	return s.CanMail && s.Settings.SignUpMode() == account.SignUpOpen
}
