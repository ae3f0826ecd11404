package logout_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"vernal/idp/audit"
	"vernal/idp/idptest/corpus"
)

// named finds the NameIDs and SessionIndexes in a message.
var named = regexp.MustCompile(`<(?:\w+:)?(?:NameID|SessionIndex)[^>]*>([^<]{6,})<`)

// personalValues returns the values that no log and no audit record may contain: the names, email
// addresses and SessionIndexes of every user, and those of the message with its RelayState.
func personalValues(c *corpus.Case) (all []string) {
	for _, p := range corpusPeople {
		all = append(all, p.atSP1, p.atSP2, p.name+"@example.gov", "_"+p.name+"-at-sp")
	}
	if c == nil {
		return all
	}
	for _, m := range named.FindAllStringSubmatch(c.Message, -1) {
		all = append(all, strings.TrimSpace(m[1]))
	}
	for _, form := range []string{c.Inbound.RawQuery, string(c.Inbound.Body)} {
		for pair := range strings.SplitSeq(form, "&") {
			raw, found := strings.CutPrefix(pair, "RelayState=")
			if value, err := url.QueryUnescape(raw); found && err == nil && len(value) > 5 {
				all = append(all, raw, value)
			}
		}
	}
	return all
}

// checkLog checks that nothing logged since the last call contains personal data.
func (w *corpusDeployment) checkLog(c *corpus.Case) {
	w.t.Helper()
	lines := w.log.take(0)
	if !logoutLine.MatchString(lines) {
		w.t.Fatalf("%s: nothing is logged", c.Name)
	}
	for _, secret := range personalValues(c) {
		quoted, _ := json.Marshal(secret)
		if strings.Contains(lines, secret) || strings.Contains(lines, strings.Trim(string(quoted), `"`)) {
			w.t.Errorf("%s: the log has %q:\n%s", c.Name, secret, lines)
		}
	}
}

// checkTrail checks the audit trail for personal data.
func (w *corpusDeployment) checkTrail() {
	w.t.Helper()
	records, err := audit.Records(w.t.Context(), w.Store, 0, 10_000)
	if err != nil || len(records) == 0 || len(records) == 10_000 {
		w.t.Fatal(len(records), err)
	}
	all, err := json.Marshal(records)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, secret := range personalValues(nil) {
		if strings.Contains(string(all), secret) {
			w.t.Errorf("the audit trail has %q", secret)
		}
	}
}
