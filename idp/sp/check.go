package sp

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"vernal/idp"
	"vernal/idp/logo"
	"vernal/idp/partnercert"
	"vernal/idp/xmldsig"
)

// maxCerts is the maximum number of certificates in a list. Verification tries no more.
const maxCerts = xmldsig.MaxCertificates

// Problem is one problem of a registration.
type Problem struct {
	// Field is the JSON name of the field.
	Field string `json:"field"`
	// Value is the wrong value, shortened; "" if it is missing.
	Value string `json:"value,omitempty"`
	// Text describes the problem and follows field and value.
	Text string `json:"text"`
	// Option is the setting by which an operator can allow the value, or zero.
	Option idp.Option `json:"option,omitzero"`
}

func (p Problem) String() string {
	s := p.Field
	if p.Value != "" {
		s += fmt.Sprintf(" %q", p.Value)
	}
	return s + ": " + p.Text
}

// insecureURLOption is the option that allows http URLs.
var insecureURLOption = idp.Option{Name: string(PermitInsecureURL)}

// InvalidError lists all problems of a registration.
type InvalidError struct {
	Problems []Problem
	// Suggestions are ways to fix them.
	Suggestions []idp.Suggestion
}

// ListSuggestions returns the suggestions, for idp.FindSuggestions.
func (e *InvalidError) ListSuggestions() []idp.Suggestion { return e.Suggestions }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "the registration is not valid: " + strings.Join(lines, "; ")
}

// Validate checks a registration by the rules for URLs, certificates and values, and returns
// all problems. isBaseHTTP reports that our own URL is http, which is only allowed on
// loopback. allowInsecure is the operator's permission for http URLs on other hosts.
func Validate(p *idp.ServiceProvider, isBaseHTTP, allowInsecure bool) []Problem {
	c := checker{isBaseHTTP: isBaseHTTP, isHTTPAllowed: func(string) bool { return allowInsecure }}
	return c.checkAll(p)
}

// checker collects the problems of one registration.
type checker struct {
	isBaseHTTP bool
	// isHTTPAllowed reports whether an http URL is allowed.
	isHTTPAllowed func(rawURL string) bool
	// ourCerts are our own signing certificates, which a provider must not have.
	ourCerts []*x509.Certificate
	problems []Problem
}

func (c *checker) checkAll(p *idp.ServiceProvider) []Problem {
	c.checkIdentity(p)
	c.checkURLs(p)
	c.checkCerts(p)
	c.checkValues(p)
	c.checkTexts(p)
	return c.problems
}

func (c *checker) addProblem(field, value, format string, args ...any) {
	c.problems = append(c.problems, Problem{Field: field, Value: idp.Clip(value, 80), Text: fmt.Sprintf(format, args...)})
}

func (c *checker) checkIdentity(p *idp.ServiceProvider) {
	id := string(p.EntityID)
	switch {
	case id == "":
		c.addProblem("entity_id", "", "is missing")
	case len(id) > idp.MaxEntityID:
		c.addProblem("entity_id", id, "is longer than %d bytes", idp.MaxEntityID)
	case p.EntityID == idp.RehearsalSP:
		c.addProblem("entity_id", id, "is reserved for rehearsals")
	case !utf8.ValidString(id) || idp.HasControl(id) || strings.ContainsAny(id, " \u00a0"):
		c.addProblem("entity_id", id, "must not contain spaces or control characters")
	}
	if strings.TrimSpace(p.Name) == "" {
		c.addProblem("name", "", "is missing: users see it on every page of a sign-in")
	}
	c.checkText("name", p.Name, idp.MaxName)
	c.checkText("agency", p.Agency, idp.MaxName)
	if p.Agency != strings.TrimSpace(p.Agency) {
		c.addProblem("agency", p.Agency, "must not begin or end with a space")
	}
}

func (c *checker) checkURLs(p *idp.ServiceProvider) {
	if len(p.ACSURLs) == 0 {
		c.addProblem("acs_urls", "", "is empty: give a URL for Responses")
	}
	if len(p.ACSURLs) != len(p.ACSIndexes) { // with indexes, a URL may occur several times
		c.checkList("acs_urls", p.ACSURLs, idp.MaxList)
	} else if len(p.ACSURLs) > idp.MaxList {
		c.addProblem("acs_urls", "", "has %d entries, and only %d are allowed", len(p.ACSURLs), idp.MaxList)
	}
	c.checkList("redirect_uris", p.RedirectURIs, idp.MaxList)
	for _, f := range listURLFields(p) {
		for _, a := range f.values {
			problem, isPermitted := checkURL(a, c.isBaseHTTP)
			if problem == "" || isPermitted && c.isHTTPAllowed(a) {
				continue
			}
			c.addProblem(f.name, a, "%s", problem)
			if isPermitted {
				c.problems[len(c.problems)-1].Option = insecureURLOption
			}
		}
	}
	if n := len(p.ACSIndexes); n > 0 && n != len(p.ACSURLs) {
		c.addProblem("acs_indexes", "", "has %d entries for %d URLs in acs_urls", n, len(p.ACSURLs))
	}
	for i, index := range p.ACSIndexes {
		if index < 0 || index > idp.MaxIndex {
			c.addProblem("acs_indexes", fmt.Sprint(index), "is not between 0 and %d", idp.MaxIndex)
		} else if slices.Contains(p.ACSIndexes[:i], index) {
			c.addProblem("acs_indexes", fmt.Sprint(index), "occurs twice")
		}
	}
}

// namedValues are the values of one field.
type namedValues struct {
	name   string
	values []string
}

// listURLFields lists every URL in a registration.
func listURLFields(p *idp.ServiceProvider) []namedValues {
	var fields []namedValues
	for _, name := range []string{
		"acs_urls", "redirect_uris", "logout_url", "return_to_sp_url", "failure_to_proof_url", "sp_initiated_login_url", "metadata_url", "logo",
	} {
		if name == "logo" && logo.IsName(p.Logo) {
			continue
		}
		fields = append(fields, namedValues{name, lookupField(name).Read(p)})
	}
	return fields
}

func (c *checker) checkCerts(p *idp.ServiceProvider) {
	if len(p.Certs) == 0 && p.SignRequests == idp.SignRequestsRequired {
		c.addProblem("certs", "", "is empty: give the request certificate, because sign_requests is required")
	}
	if len(p.Certs) == 0 && len(p.EncryptionCerts) == 0 && p.Encryption != idp.EncryptionNone {
		c.addProblem("encryption_certs", "", "is empty: give a certificate, because encryption needs one")
	}
	for _, f := range []namedValues{{"certs", p.Certs}, {"encryption_certs", p.EncryptionCerts}} {
		c.checkList(f.name, f.values, maxCerts)
		for _, s := range f.values {
			certificates, err := partnercert.Read([]byte(s))
			if err != nil {
				c.addProblem(f.name, "", "%v", err)
			}
			for _, cert := range certificates {
				if problem := partnercert.CheckKey(cert); problem != "" {
					c.addProblem(f.name, nameCert(cert), "%s", problem)
				}
				if slices.ContainsFunc(c.ourCerts, cert.Equal) {
					c.addProblem(f.name, nameCert(cert), "is our own signing certificate: give the certificate of the provider")
				}
			}
		}
	}
}

func (c *checker) checkValues(p *idp.ServiceProvider) {
	for _, f := range fieldTable {
		for _, v := range f.Read(p) {
			if len(f.Values) > 0 && !slices.Contains(f.Values, v) {
				c.addProblem(f.Name, v, "is not one of %s", strings.Join(f.Values, ", "))
			}
		}
	}
	if p.Compat == idp.CompatLoginGov && p.SignRequests == idp.SignRequestsOptional {
		// An attacker who names the provider in an unsigned request would get the
		// looser rules.
		c.addProblem("compat", p.Compat, "requires sign_requests required: anyone can send an unsigned request")
	}
	if len(p.NameIDFormats) == 0 {
		c.addProblem("name_id_formats", "", "is empty: give the format of the NameID in an assertion")
	}
	c.checkList("name_id_formats", p.NameIDFormats, idp.MaxList)
	c.checkList("attributes", p.Attributes, idp.MaxList)
	if p.Preview != "" && !p.Preview.IsValid() {
		c.addProblem("preview", string(p.Preview), "is not a year, such as 2027 or 2027b")
	}
}

func (c *checker) checkTexts(p *idp.ServiceProvider) {
	c.checkList("contacts", p.Contacts, idp.MaxList)
	for _, contact := range p.Contacts {
		c.checkText("contacts", contact, idp.MaxContact)
	}
	c.checkText("team", p.Team, idp.MaxName)
	for lang, text := range p.HelpText {
		if !slices.Contains(languages, lang) {
			c.addProblem("help_text", lang, "is not one of %s", strings.Join(languages, ", "))
		}
		c.checkText("help_text", strings.ReplaceAll(text, "\n", " "), idp.MaxText)
	}
}

// checkText checks one line of text for users or operators.
func (c *checker) checkText(field, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		c.addProblem(field, s, "has %d characters, and only %d are allowed", n, limit)
	}
	if !utf8.ValidString(s) || idp.HasControl(s) {
		c.addProblem(field, "", "contains control characters, marks that change the direction of text, or invalid UTF-8")
	}
}

// checkList checks the length of a list and that it has no duplicates.
func (c *checker) checkList(field string, values []string, limit int) {
	if len(values) > limit {
		c.addProblem(field, "", "has %d entries, and only %d are allowed", len(values), limit)
	}
	for i, v := range values {
		if slices.Contains(values[:i], v) {
			c.addProblem(field, cutFirstLine(v), "occurs twice")
		}
	}
}

func cutFirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
