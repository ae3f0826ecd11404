package ops

import (
	"context"
	"errors"

	"vernal/idp/admin"
	"vernal/idp/doctor"
	"vernal/templates"
)

// ExamineRequest asks for the checks of the installation.
type ExamineRequest struct {
	// SendTest also sends a test mail to the operators and a test call to the webhook.
	SendTest bool `json:"send_test,omitempty"`
}

// Examine checks the installation and the services that it depends on.
var Examine = declare("doctor/examine", func(s *Service, ctx context.Context, _ admin.Caller, req ExamineRequest) (*doctor.Report, error) {
	if s.Doctor == nil {
		return nil, invalidError("this process cannot check the installation: start the server")
	}
	report, err := s.Doctor.Examine(ctx, doctor.Options{SendTest: req.SendTest})
	if errors.Is(err, doctor.ErrTestTooSoon) {
		return nil, &admin.Error{Code: admin.CodeRefused, Message: err.Error() + ": wait, then run the command again"}
	}
	if err != nil {
		return nil, err
	}
	report.Render(templates.TerminalPhrases())
	return report, nil
})
