package assurance

import (
	"time"

	"vernal/idp"
)

// table holds all attributes in the order in which they are sent.
var table = []Row{
	{Name: "uuid", NameFormat: NameFormatBasic, Level: LevelAny, Always: true, Source: "NameID of the person and agency",
		Rule: "UUID, the same as a persistent NameID, also where the NameID is an e-mail address",
		value: func(dst []string, _ *Requirement, p Person) []string {
			return append(dst, string(p.UUID))
		}},
	{Name: "email", NameFormat: NameFormatBasic, Level: LevelAny, Source: "address of the latest sign-in",
		Rule: "one address; Name " + claimEmail + " with NameFormat uri for providers registered so",
		value: func(dst []string, _ *Requirement, p Person) []string {
			return appendGiven(dst, p.Email)
		}},
	{Name: "all_emails", NameFormat: NameFormatBasic, Level: LevelAny, Source: "account", Rule: "all confirmed addresses",
		value: func(dst []string, _ *Requirement, p Person) []string {
			for i := range p.Emails {
				if !p.Emails[i].ConfirmedAt.IsZero() {
					dst = append(dst, p.Emails[i].Address)
				}
			}
			return dst
		}},
	{Name: "locale", NameFormat: NameFormatURI, Level: LevelAny, Source: "session", Rule: "language of the pages: en, es or fr",
		value: func(dst []string, _ *Requirement, p Person) []string { return appendGiven(dst, p.Locale) }},
	{Name: "first_name", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.FirstName })},
	{Name: "middle_name", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.MiddleName })},
	{Name: "last_name", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.LastName })},
	{Name: "address1", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.Address1 })},
	{Name: "address2", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.Address2 })},
	{Name: "city", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.City })},
	{Name: "state", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile",
		value: profileValue(func(p *idp.Profile) string { return p.State })},
	{Name: "zipcode", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile", Rule: "five digits",
		value: profileValue(func(p *idp.Profile) string { return p.Zipcode[:min(5, len(p.Zipcode))] })},
	{Name: "dob", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile", Rule: "ISO 8601 date",
		value: profileValue(func(p *idp.Profile) string { return p.DOB })},
	{Name: "ssn", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile", Rule: "nine digits, with or without dashes as it was proofed",
		value: profileValue(func(p *idp.Profile) string { return p.SSN })},
	{Name: "phone", NameFormat: NameFormatURI, Level: LevelProofed, Source: "proofed profile", Rule: "E.164; may be empty",
		value: profileValue(func(p *idp.Profile) string { return p.Phone })},
	{Name: "verified_at", NameFormat: NameFormatURI, Level: LevelEligible, Source: "proofed profile",
		Rule: "ISO 8601 time; may be empty; sent unasked with proofed data, and without it to providers that may ask for it",
		value: func(dst []string, _ *Requirement, p Person) []string {
			if p.Proofed == nil || p.Proofed.VerifiedAt.IsZero() {
				return dst
			}
			return append(dst, p.Proofed.VerifiedAt.UTC().Format(time.RFC3339))
		}},
	{Name: "aal", NameFormat: NameFormatURI, Level: LevelAny, Always: true, Source: "request",
		Rule: "authentication assurance asked for, without parameters, else the registered one",
		value: func(dst []string, r *Requirement, _ Person) []string {
			return append(dst, r.aalValue)
		}},
	{Name: "ial", NameFormat: NameFormatURI, Level: LevelAny, Always: true, Source: "request and proofed profile",
		Rule: "identity assurance reached; as urn:acr.login.gov:… to those who asked so",
		value: func(dst []string, r *Requirement, p Person) []string {
			return append(dst, r.ialValue(ProofingOf(p.Proofed)))
		}},
	{Name: "x509_subject", NameFormat: NameFormatURI, Level: LevelPIV, Source: "PIV/CAC certificate", Rule: "sent when x509_presented is asked for"},
	{Name: "x509_issuer", NameFormat: NameFormatURI, Level: LevelPIV, Source: "PIV/CAC certificate", Rule: "sent when x509_presented is asked for"},
	{Name: "x509_presented", NameFormat: NameFormatURI, Level: LevelPIV, Source: "PIV/CAC certificate", Rule: "true when a card was used in this session"},
}

// profileValue is the source of an attribute that is a value of the profile.
func profileValue(value func(*idp.Profile) string) func([]string, *Requirement, Person) []string {
	return func(dst []string, r *Requirement, p Person) []string {
		if p.Profile == nil {
			return dst
		}
		v := value(p.Profile)
		if r.ASCII {
			v = toASCII(v)
		}
		return appendGiven(dst, v)
	}
}

// appendGiven appends a value if there is one.
func appendGiven(dst []string, v string) []string {
	if v == "" {
		return dst
	}
	return append(dst, v)
}
