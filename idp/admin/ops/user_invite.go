package ops

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/templates"
)

// InviteBatch is the maximum number of users in one InviteRequest, so that the answer comes soon.
const InviteBatch = 100

// invitationPath is the page that completes an invitation.
const invitationPath = "/sign-up/confirm"

// InviteLine is one email address and its line in the file, 0 for an argument.
type InviteLine struct {
	Line  int    `json:"line,omitempty"`
	Email string `json:"email"`
}

// InviteRequest invites up to InviteBatch users.
type InviteRequest struct {
	Lines []InviteLine `json:"lines"`
	// Lang is the language of mails to users who have chosen none; "" for the installation's first.
	Lang string `json:"lang,omitempty"`
	// ShowLinks returns the links instead of mailing them. So does a server without mail.
	ShowLinks bool `json:"show_links,omitempty"`
}

// Invitation is an invitation that was issued.
type Invitation struct {
	InviteLine
	User idp.UserID `json:"id"`
	// Created is true for a user who was added by it.
	Created bool `json:"created"`
	// Mailed is true if the invitation will be mailed. Otherwise URL is the link, which is a secret
	// of the user and is disclosed only here.
	Mailed    bool      `json:"mailed"`
	URL       string    `json:"url,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

// InviteProblem says why a user was not invited.
type InviteProblem struct {
	InviteLine
	// Code is "invalid", "has_password", "locked", "planned_deletion" or "taken".
	Code        string           `json:"code"`
	Text        string           `json:"text"`
	Suggestions []idp.Suggestion `json:"suggestions,omitempty"`
}

// InviteResult is the answer to InviteUsers. Each line is in one of the lists.
type InviteResult struct {
	Invited  []Invitation    `json:"invited"`
	Problems []InviteProblem `json:"problems"`
}

// InviteUsers adds users without a password, or takes those who have none, and sends each a link to
// complete the account. Earlier links of a user stay valid until they expire or the user has a
// password. A failure of the store ends it: the users before have their invitations, and a
// repetition invites them again.
var InviteUsers = declare("user/invite", func(s *Service, ctx context.Context, caller admin.Caller, req InviteRequest) (InviteResult, error) {
	result := InviteResult{Invited: []Invitation{}, Problems: []InviteProblem{}}
	if len(req.Lines) > InviteBatch {
		return result, &admin.Error{Code: admin.CodeBadRequest, Message: fmt.Sprintf("%d users in one request: send at most %d", len(req.Lines), InviteBatch)}
	}
	if err := s.checkLang(req.Lang); err != nil {
		return result, err
	}
	if !req.ShowLinks && s.MailErr != nil {
		return result, &admin.Error{Code: admin.CodeRefused, Message: fmt.Sprintf("mail cannot be sent: %v", s.MailErr)}
	}
	for _, line := range req.Lines {
		invitation, err := s.inviteUser(ctx, line, req, caller.Actor())
		if problem := describeInviteError(line, err); problem != nil {
			result.Problems = append(result.Problems, *problem)
			continue
		}
		if err != nil {
			return result, fmt.Errorf("invite %s: %w", line.Email, err)
		}
		result.Invited = append(result.Invited, *invitation)
	}
	return result, nil
})

// inviteUser invites one user. The user is stored before the link, and the link before the mail, so
// that no mail contains a link that does not work.
func (s *Service) inviteUser(ctx context.Context, line InviteLine, req InviteRequest, actor string) (*Invitation, error) {
	invited, err := s.Accounts.Invite(ctx, line.Email, req.Lang, actor)
	if err != nil {
		return nil, err
	}
	token, err := s.MailLinks.Issue(ctx, maillink.Link{
		Purpose: maillink.Invitation, Email: invited.Email, User: invited.User.ID, Stamp: invited.User.LinkStamp(),
	})
	if err != nil {
		return nil, err
	}
	lifetime := maillink.Invitation.Lifetime()
	invitation := &Invitation{
		InviteLine: InviteLine{line.Line, invited.Email}, User: invited.User.ID, Created: invited.Created,
		ExpiresAt: s.Clock.Now().UTC().Add(lifetime).Truncate(time.Second),
	}
	link := s.IdP.BaseURL + invitationPath + "?" + url.Values{"token": {token}}.Encode()
	if req.ShowLinks || !s.UserMails.CanSend() {
		invitation.URL = link
		return invitation, nil
	}
	err = s.UserMails.Queue(ctx, usermail.Mail{
		Kind: usermail.Invitation, To: invited.Email, Lang: templates.Lang(invited.User.Lang),
		Args: usermail.Args{URL: link, Days: int(lifetime.Hours() / 24), Email: invited.Email},
	})
	invitation.Mailed = true
	return invitation, err
}

// describeInviteError returns the problem of a line, nil for a failure on our side.
func describeInviteError(line InviteLine, err error) *InviteProblem {
	p := &InviteProblem{InviteLine: line}
	inputErr, isInput := errors.AsType[*account.InputError](err)
	switch {
	case isInput:
		p.Code, p.Text = inputErr.Problem, inputErr.Detail
	case errors.Is(err, account.ErrHasPassword):
		p.Code, p.Text = "has_password", "the user has a password, and needs no invitation"
		p.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoUserSetPassword, line.Email).WithOption(idp.OptionPasswordStdin, "").WithLabel(idp.LabelSetPassword)}
	case errors.Is(err, account.ErrLocked):
		p.Code, p.Text = "locked", "the user is locked"
		p.Suggestions = []idp.Suggestion{idp.Suggest(idp.DoUserUnlock, line.Email).WithLabel(idp.LabelUnlockUser)}
	case errors.Is(err, account.ErrPlannedDeletion):
		p.Code, p.Text = "planned_deletion", "the account will be deleted: invite the user after that"
	case errors.Is(err, idp.ErrExists):
		p.Code, p.Text = "taken", "the email address belonged to another user, and no one else gets it"
	default:
		return nil
	}
	return p
}

// checkLang refuses a language that mails do not have. "" is the installation's first.
func (s *Service) checkLang(lang string) error {
	langs := s.Languages
	if len(langs) == 0 {
		langs = []templates.Lang{"en"}
	}
	if lang == "" || slices.Contains(langs, templates.Lang(lang)) {
		return nil
	}
	return invalidError("%q is not one of the languages of this installation: %s", lang, strings.Trim(fmt.Sprint(langs), "[]"))
}
