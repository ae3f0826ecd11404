package account

import "time"

// SignUpMode says who can register.
type SignUpMode string

// The modes. The zero value means SignUpByInvitation.
const (
	SignUpOpen         SignUpMode = "open"   // anyone with an email address
	SignUpByInvitation SignUpMode = "invite" // those whom an operator invites
	SignUpOff          SignUpMode = "off"    // no one; there is no page
)

// Settings are the operator's choices about accounts.
type Settings struct {
	SignUp SignUpMode
	// InactiveAfter is how long an account can be unused before it is locked; 0: never.
	InactiveAfter time.Duration
	// Rules and Privacy are texts that users accept when they register, and SystemUse is the
	// banner on the sign-in page; by language, empty for none.
	Rules, Privacy, SystemUse map[string]string
	// NoConsent discloses data to service providers without asking the user.
	NoConsent bool
	// NoRecoveryCodes offers no recovery codes.
	NoRecoveryCodes bool
}

// SignUpMode returns the mode in effect.
func (s Settings) SignUpMode() SignUpMode {
	if s.SignUp == "" {
		return SignUpByInvitation
	}
	return s.SignUp
}
