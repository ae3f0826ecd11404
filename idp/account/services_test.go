package account

import "testing"

// An import accepts visits and consents only if they can be true: each service provider once, with
// times in the past, a consent with its time, and an email address of the user.
func TestImportChecksServices(t *testing.T) {
	t.Parallel()
	const times = `"first_at":"2026-01-01","last_at":"2026-01-02"`
	tests := []struct {
		name, services, want string // want is part of the problem, "" for none
	}{
		{"visit", `{"sp":"urn:a",` + times + `}`, ""},
		{"consent", `{"sp":"urn:a",` + times + `,"attributes":["email","ssn"],"consent_at":"2026-01-01","email":"A@x.gov"}`, ""},
		{"withdrawn", `{"sp":"urn:a",` + times + `,"consent_at":"2026-01-01","withdrawn_at":"2026-01-03"}`, ""},
		{"twice", `{"sp":"urn:a",` + times + `},{"sp":"urn:a",` + times + `}`, "services.sp"},
		{"no service provider", `{` + times + `}`, "services.sp"},
		{"no times", `{"sp":"urn:a"}`, "first_at"},
		{"consent in the future", `{"sp":"urn:a",` + times + `,"consent_at":"2999-01-01"}`, "services.consent_at"},
		{"attributes without a consent", `{"sp":"urn:a",` + times + `,"attributes":["email"]}`, "services.attributes"},
		{"not an attribute", `{"sp":"urn:a",` + times + `,"attributes":["E mail"],"consent_at":"2026-01-01"}`, "services.attributes"},
		{"someone else's email address", `{"sp":"urn:a",` + times + `,"email":"b@x.gov"}`, "services.email"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			line := `{"email":"a@x.gov","services":[` + tt.services + `]}`
			if tt.want == "" {
				checkResult(t, h.take(line, ImportOptions{}), 1, 0, nil)
			} else {
				checkResult(t, h.take(line, ImportOptions{}), 0, 0, nil, tt.want)
			}
		})
	}
}
