package assurance

import (
	"time"

	"vernal/idp"
)

// table holds all attributes in the order in which they are sent.
var table = []Row{
	{Name: "uuid", NameFormat: NameFormatBasic, Level: LevelAny, IsAlwaysSent: true, Source: "NameID for this user and agency",
		Rule:  "a UUID, the same as a persistent NameID, even when the NameID is an email address",
		value: func(dst []string, _ *Requirement, p UserData) []string { return append(dst, string(p.UUID)) }},
	{Name: "email", NameFormat: NameFormatBasic, Level: LevelAny, IsPersonal: true, Source: "email address of the latest sign-in",
		Rule:  "one value. Service providers that are registered for it get Name " + claimEmail + " with NameFormat uri",
		value: func(dst []string, _ *Requirement, p UserData) []string { return appendNonEmpty(dst, p.Email) }},
	{Name: "all_emails", NameFormat: NameFormatBasic, Level: LevelAny, IsPersonal: true, Source: "account", Rule: "all confirmed email addresses",
		value: func(dst []string, _ *Requirement, p UserData) []string {
			for i := range p.Emails {
				if !p.Emails[i].ConfirmedAt.IsZero() {
					dst = append(dst, p.Emails[i].Address)
				}
			}
			return dst
		}},
	{Name: "locale", NameFormat: NameFormatURI, Level: LevelAny, Source: "session", Rule: "language of the pages (en, es or fr)",
		value: func(dst []string, _ *Requirement, p UserData) []string { return appendNonEmpty(dst, p.Locale) }},
	newProfileRow("first_name", "", func(p *idp.Profile) string { return p.FirstName }),
	newProfileRow("middle_name", "", func(p *idp.Profile) string { return p.MiddleName }),
	newProfileRow("last_name", "", func(p *idp.Profile) string { return p.LastName }),
	newProfileRow("address1", "", func(p *idp.Profile) string { return p.Address1 }),
	newProfileRow("address2", "", func(p *idp.Profile) string { return p.Address2 }),
	newProfileRow("city", "", func(p *idp.Profile) string { return p.City }),
	newProfileRow("state", "", func(p *idp.Profile) string { return p.State }),
	newProfileRow("zipcode", "five digits", func(p *idp.Profile) string { return p.Zipcode[:min(5, len(p.Zipcode))] }),
	newProfileRow("dob", "ISO 8601 date", func(p *idp.Profile) string { return p.DOB }),
	newProfileRow("ssn", "nine digits, with or without dashes as it was proofed", func(p *idp.Profile) string { return p.SSN }),
	newProfileRow("phone", "E.164, may be empty", func(p *idp.Profile) string { return p.Phone }),
	{Name: "verified_at", NameFormat: NameFormatURI, Level: LevelEligible, IsPersonal: true, Source: "proofed profile",
		Rule: "ISO 8601 time, may be empty. Sent automatically with proofed data, and without it to service providers that may ask for such data",
		value: func(dst []string, _ *Requirement, p UserData) []string {
			if p.Proofed == nil || p.Proofed.VerifiedAt.IsZero() {
				return dst
			}
			return append(dst, p.Proofed.VerifiedAt.UTC().Format(time.RFC3339))
		}},
	{Name: "aal", NameFormat: NameFormatURI, Level: LevelAny, IsAlwaysSent: true, Source: "request",
		Rule:  "the authentication level asked for, without parameters. If none was asked for, the registered one",
		value: func(dst []string, r *Requirement, _ UserData) []string { return append(dst, r.aalValue) }},
	{Name: "ial", NameFormat: NameFormatURI, Level: LevelAny, IsAlwaysSent: true, Source: "request and proofed profile",
		Rule: "the identity level reached, as urn:acr.login.gov:… if the request used that form",
		value: func(dst []string, r *Requirement, p UserData) []string {
			return append(dst, r.chooseIALValue(ReadProofing(p.Proofed)))
		}},
	{Name: "x509_subject", NameFormat: NameFormatURI, Level: LevelPIV, IsPersonal: true, Source: "PIV/CAC certificate", Rule: "sent when x509_presented is asked for"},
	{Name: "x509_issuer", NameFormat: NameFormatURI, Level: LevelPIV, IsPersonal: true, Source: "PIV/CAC certificate", Rule: "sent when x509_presented is asked for"},
	{Name: "x509_presented", NameFormat: NameFormatURI, Level: LevelPIV, Source: "PIV/CAC certificate", Rule: "true when a card was used in this session"},
}

// newProfileRow returns the row of an attribute that is a value of the profile.
func newProfileRow(name, rule string, value func(*idp.Profile) string) Row {
	return Row{Name: name, NameFormat: NameFormatURI, Level: LevelProofed, IsPersonal: true, Source: "proofed profile", Rule: rule,
		value: func(dst []string, r *Requirement, p UserData) []string {
			if p.Profile == nil {
				return dst
			}
			v := value(p.Profile)
			if r.WantsASCII {
				v = convertToASCII(v)
			}
			return appendNonEmpty(dst, v)
		}}
}

// appendNonEmpty appends a value unless it is empty.
func appendNonEmpty(dst []string, v string) []string {
	if v == "" {
		return dst
	}
	return append(dst, v)
}
