package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"vernal/idp"
)

// What an export does with a stored field. Any other text is the reason why the field stays in
// its installation.
const (
	exported            = "exported"
	exportedWithSecrets = "exported with secrets"
	notExported         = "stays: "
)

// fieldFates contains a decision for each stored field of a user. A field without one fails
// TestEveryStoredFieldIsDecided.
var fieldFates = map[string]string{
	"User.ID":                notExported + "each installation has IDs of its own, and no file may choose one",
	"User.Emails":            exported,
	"User.ReservedEmails":    exported,
	"User.PasswordHash":      exportedWithSecrets,
	"User.PasswordChangedAt": exportedWithSecrets,
	"User.TOTPs":             exportedWithSecrets,
	"User.Devices":           notExported + "a device is known by a cookie of its installation; the user gives a code again",
	"User.Browsers":          notExported + "a browser is known by a cookie of its installation",
	"User.Proofed":           exported, // as part of the profile
	"User.Role":              exported,
	"User.LockedAt":          exported,
	"User.LockReason":        exported,
	"User.CreatedAt":         exported,
	"User.UpdatedAt":         notExported + "it is when the record changed in this store",

	"Email.Address":      exported,
	"Email.ConfirmedAt":  exported,
	"Email.LastSignInAt": exported,
	"Email.DisclosedTo":  exported,

	"TOTP.Name":     exportedWithSecrets,
	"TOTP.Secret":   exportedWithSecrets,
	"TOTP.Period":   exportedWithSecrets,
	"TOTP.LastStep": exportedWithSecrets,
	"TOTP.AddedAt":  exportedWithSecrets,

	"Proofed.Level":      exported,
	"Proofed.VerifiedAt": exported,

	"Profile.Level":      exported,
	"Profile.VerifiedAt": exported,
	"Profile.FirstName":  exported,
	"Profile.MiddleName": exported,
	"Profile.LastName":   exported,
	"Profile.Address1":   exported,
	"Profile.Address2":   exported,
	"Profile.City":       exported,
	"Profile.State":      exported,
	"Profile.Zipcode":    exported,
	"Profile.DOB":        exported,
	"Profile.SSN":        exportedWithSecrets,
	"Profile.Phone":      exported,
}

// isExported reports whether an export has the field.
func isExported(field string, secrets bool) bool {
	return fieldFates[field] == exported || fieldFates[field] == exportedWithSecrets && secrets
}

// eachField calls visit for the fields of a struct of package idp, and for those
// of the structs in it, lists and pointers included, unless visit returns false.
func eachField(v reflect.Value, visit func(name string, v reflect.Value) bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachField(v.Elem(), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachField(v.Index(i), visit)
		}
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[idp.User]().PkgPath() {
			return // a time
		}
		for i := range v.NumField() {
			if visit(v.Type().Name()+"."+v.Type().Field(i).Name, v.Field(i)) {
				eachField(v.Field(i), visit)
			}
		}
	}
}

// A new stored field of a user needs a decision in fieldFates, and a decision needs its field.
func TestEveryStoredFieldIsDecided(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ.PkgPath() != reflect.TypeFor[idp.User]().PkgPath() {
			return
		}
		for i := range typ.NumField() {
			name := typ.Name() + "." + typ.Field(i).Name
			if found[name] = true; isExported(name, true) {
				walk(typ.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[idp.User]())
	walk(reflect.TypeFor[idp.Profile]())
	for name := range found {
		if fieldFates[name] == "" {
			t.Errorf("%s: decide in fieldFates whether an export has it, and draw it in drawUser", name)
		}
	}
	for name := range fieldFates {
		if !found[name] {
			t.Errorf("%s: unknown field is stored", name)
		}
	}
}

// drawn are the exported fields that a run had other than zero.
type drawn map[string]bool

func (d drawn) note(v any) {
	eachField(reflect.ValueOf(v), func(name string, v reflect.Value) bool {
		d[name] = d[name] || !v.IsZero()
		return isExported(name, true)
	})
}

// keepExported empties the fields that an export does not have.
func keepExported(v any, secrets bool) {
	eachField(reflect.ValueOf(v), func(name string, v reflect.Value) bool {
		if !isExported(name, secrets) {
			v.SetZero()
			return false
		}
		return true
	})
}

// Providers of the old installation, with their scopes: without an agency, with "#" in the
// entity ID, in an agency, added a second time, and with names that look like the other kind.
// In the new installation they are added for the first time.
var (
	oldProviders = map[idp.EntityID]idp.NameIDScope{
		"https://a/": "sp:https://a/", "https://b/": "agency:Parks", "https://c/": "sp:https://c/#3", "Parks": "sp:Parks",
		"https://d/#x": "sp:https://d/##x", "https://d/#2": "sp:https://d/##2#2", "agency:Roads": "sp:agency:Roads", "sp:Left": "sp:sp:Left", "sp:https://a/": "agency:sp:Lakes",
	}
	newScopes = map[idp.NameIDScope]idp.NameIDScope{"sp:https://c/#3": "sp:https://c/", "sp:https://d/##2#2": "sp:https://d/##2"}
	// goneScopes belong to unregistered providers and agencies.
	goneScopes = []idp.NameIDScope{"agency:Left", "agency:agency:Left", "agency:sp:Left", "sp:https://gone/##y", "sp:sp:gone", "sp:Left"}
)

// newScope returns the scope of the new installation that matches an old one.
func newScope(scope idp.NameIDScope) idp.NameIDScope {
	if moved, ok := newScopes[scope]; ok {
		return moved
	}
	return scope
}

// Every exported field can be imported, and is exported unchanged again. A second import
// changes nothing.
func TestExportIsImportedAgain(t *testing.T) {
	t.Parallel()
	all := drawn{}
	rapid.Check(t, func(rt *rapid.T) {
		from, to := newHouse(t), newHouse(t)
		defer from.store.Close()
		defer to.store.Close()
		for id, scope := range oldProviders {
			from.provider(id, scope)
			to.provider(id, newScope(scope))
		}
		moveAll(rt, from, to, all)
	})
	if t.Failed() {
		return
	}
	for name := range fieldFates {
		if isExported(name, true) && !all[name] {
			t.Errorf("%s is in no user that was drawn", name)
		}
	}
}

func moveAll(t *rapid.T, from, to *house, all drawn) {
	ctx := from.t.Context()
	secrets := rapid.Bool().Draw(t, "secrets")
	var people []idp.ImportedUser
	var gone []*idp.User
	for i := range rapid.IntRange(0, 4).Draw(t, "people") {
		p := drawUser(t, from.now, i)
		people = append(people, p)
		if rapid.IntRange(0, 4).Draw(t, "deleted") == 0 {
			gone = append(gone, p.User)
		}
	}
	outcome, err := from.store.ImportUsers(ctx, people)
	if err = errors.Join(append(outcome, err)...); err != nil {
		t.Fatal(err)
	}
	from.remove(gone)

	file := from.exportAll(secrets, rapid.IntRange(1, 4).Draw(t, "page"))
	lines := to.lines(t, file)
	if diff := cmp.Diff(records(lines), records(to.lines(t, asArray(file)))); diff != "" {
		t.Fatalf("read from lines and from an array (-lines +array):\n%s", diff)
	}
	result, err := to.Import(ctx, lines, ImportOptions{}, actor)
	if err != nil || len(result.Problems) > 0 || result.AddedCount != strings.Count(file, "\n") {
		t.Fatalf("%v, %+v\n%s", err, result, file)
	}
	for _, p := range people {
		if slices.Contains(gone, p.User) {
			continue
		}
		checkSameUser(t, from, to, p, secrets, all)
	}
	// The order is that of the IDs, which are new.
	if diff := cmp.Diff(sortedLines(file), sortedLines(to.exportAll(secrets, 100))); diff != "" {
		t.Fatalf("exported again (-first +second):\n%s", diff)
	}
	result, err = to.Import(ctx, lines, ImportOptions{}, actor)
	if err != nil || result.AddedCount+result.ExtendedCount+len(result.Problems) > 0 || len(result.PresentLines) != len(lines) {
		t.Fatalf("imported again: %v, %+v\n%s", err, result, file)
	}
}

// checkSameUser compares what both stores have of a user, but for what an export does
// not have.
func checkSameUser(t *rapid.T, from, to *house, p idp.ImportedUser, secrets bool, all drawn) {
	ctx := from.t.Context()
	before, err := from.store.User(ctx, p.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	after, err := to.store.UserByEmail(ctx, before.Emails[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	wantProfile, profile := from.profile(before.ID), to.profile(after.ID)
	for scope, name := range p.NameIDs {
		if got, err := to.store.NameID(ctx, newScope(scope), after.ID); got != name || err != nil {
			t.Fatalf("%s knows the user as %q, %v; want %q", scope, got, err, name)
		}
	}
	all.note(before)
	all.note(wantProfile)
	keepExported(before, secrets)
	keepExported(wantProfile, secrets)
	keepExported(after, true)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Fatalf("user (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(wantProfile, profile); diff != "" {
		t.Fatalf("profile (-before +after):\n%s", diff)
	}
}

// asArray returns the file as export --json writes it.
func asArray(file string) string {
	return "[\n" + strings.ReplaceAll(strings.TrimSuffix(file, "\n"), "\n", "\n,") + "\n]\n"
}

func records(lines []ImportLine) (all []Record) {
	for _, l := range lines {
		all = append(all, l.Record)
	}
	return all
}

func sortedLines(file string) []string { return slices.Sorted(strings.Lines(file)) }

// drawUser draws a user, the n-th, as a store can have them.
func drawUser(t *rapid.T, now time.Time, n int) idp.ImportedUser {
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(-1e9, now.Unix()-1).Draw(t, "s"), rapid.SampledFrom([]int64{0, 1, 999_999_999}).Draw(t, "ns")).UTC()
	})
	maybe := rapid.OneOf(rapid.Just(time.Time{}), rapid.Just(time.Unix(0, 0).UTC()), at)
	u := &idp.User{
		ID: idp.UserID(fmt.Sprint("u", n)), CreatedAt: at.Draw(t, "created"), UpdatedAt: now,
		Role:    rapid.OneOf(rapid.Just(""), rapid.StringMatching(rolePattern.String())).Draw(t, "role"),
		Devices: []idp.RememberedDevice{{Hash: []byte("cookie"), At: now}},
	}
	for i := range rapid.SampledFrom([]int{1, 1, 2, maxEmails}).Draw(t, "emails") {
		e := idp.Email{ConfirmedAt: at.Draw(t, "confirmed"), LastSignInAt: maybe.Draw(t, "signed in"), DisclosedTo: drawProviders(t)}
		if i > 0 {
			e.ConfirmedAt = maybe.Draw(t, "maybe confirmed")
		}
		e.Address = drawAddress(t, fmt.Sprintf("%d.%d.", n, i))
		u.Emails = append(u.Emails, e)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "reserved") {
		u.ReservedEmails = append(u.ReservedEmails, idp.HashEmail(fmt.Sprintf("former%d.%d@x.gov", n, i)))
	}
	if rapid.Bool().Draw(t, "password") {
		u.PasswordHash, u.PasswordChangedAt = drawHash(t), at.Draw(t, "changed")
	}
	for range rapid.IntRange(0, MaxTOTPs).Draw(t, "totps") {
		period := rapid.SampledFrom([]int{30, 60}).Draw(t, "period")
		u.TOTPs = append(u.TOTPs, idp.TOTP{
			Name: drawText(t, "name"), Secret: rapid.SliceOfN(rapid.Byte(), minSecret, maxSecret).Draw(t, "secret"), Period: period,
			LastStep: rapid.Int64Range(0, now.Unix()/int64(period)+1).Draw(t, "step"), AddedAt: at.Draw(t, "added"),
		})
	}
	if rapid.Bool().Draw(t, "locked") {
		u.LockedAt = at.Draw(t, "locked at")
		u.LockReason = rapid.String().Filter(func(s string) bool { return checkLockReason(s) == nil }).Draw(t, "why")
	}
	p := idp.ImportedUser{User: u, NameIDs: map[idp.NameIDScope]idp.NameID{}, Event: newChangeEvent("test", u.ID, actor)}
	if rapid.Bool().Draw(t, "profile") {
		p.Profile = drawProfile(t, now, maybe)
	}
	scopes := append(slices.Sorted(maps.Values(oldProviders)), goneScopes...)
	if rapid.IntRange(0, 9).Draw(t, "busy") == 0 {
		for i := range 250 {
			scopes = append(scopes, idp.OwnScope(idp.EntityID(fmt.Sprintf("https://%d.example/", i))))
		}
	}
	for i, scope := range scopes {
		if rapid.Bool().Draw(t, "known") {
			name := strings.TrimSpace(norm.NFC.String(drawText(t, "value")))
			p.NameIDs[scope] = idp.NameID(fmt.Sprintf("%d.%d%s", n, i, name[:min(len(name), 2)]))
		}
	}
	for scope, name := range p.NameIDs {
		if checkNameID(name) != "" {
			delete(p.NameIDs, scope)
		}
	}
	if len(p.NameIDs) == 0 {
		p.NameIDs["sp:https://a/"] = idp.NameID(fmt.Sprint("only", n))
	}
	return p
}

// drawAddress draws an email address that begins with a text of its own.
func drawAddress(t *rapid.T, begin string) string {
	domain := rapid.SampledFrom([]string{"@x.gov", "@bücher.example", "@A.Example"}).Draw(t, "domain")
	text, err := NormalizeEmail(begin + rapid.StringMatching(`[A-Za-zäöß+'&-]{1,20}`).Draw(t, "local") + domain)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// drawProviders draws the service providers that an email address was disclosed to.
func drawProviders(t *rapid.T) (list []idp.EntityID) {
	for _, id := range append(slices.Sorted(maps.Keys(oldProviders)), "https://gone/", "urn:never") {
		if rapid.IntRange(0, 3).Draw(t, "disclosed") == 0 {
			list = append(list, id)
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "busy") == 0 {
		for i := range 150 {
			list = append(list, idp.EntityID(fmt.Sprintf("https://%d.example/", i)))
		}
	}
	return list
}

func drawHash(t *rapid.T) string {
	bytes := func(from, to int) []byte { return rapid.SliceOfN(rapid.Byte(), from, to).Draw(t, "bytes") }
	h := phc{alg: algPBKDF2, iterations: rapid.IntRange(minIterations, maxIterations).Draw(t, "iterations"), salt: bytes(minSalt, maxSalt), key: bytes(minKey, maxKey)}
	if rapid.Bool().Draw(t, "argon2") {
		h.alg, h.memory, h.time, h.threads = algArgon2id, rapid.Uint32Range(64, 4096).Draw(t, "memory"), rapid.Uint32Range(1, maxTime).Draw(t, "time"), 1
	}
	return h.String()
}

// drawText draws text that a name can have, or none.
func drawText(t *rapid.T, label string) string {
	text := rapid.StringN(0, 12, 40).Filter(func(s string) bool {
		_, ok := cleanText(s)
		return ok && strings.TrimSpace(s) == s
	}).Draw(t, label)
	return norm.NFC.String(text)
}

func drawProfile(t *rapid.T, now time.Time, at *rapid.Generator[time.Time]) *idp.Profile {
	p := &idp.Profile{
		Level: rapid.SampledFrom([]string{idp.IALVerified, idp.IALFacialMatch}).Draw(t, "level"), VerifiedAt: at.Draw(t, "verified"),
		Zipcode: rapid.SampledFrom([]string{"", "12345", "00501-1234"}).Draw(t, "zip"), DOB: rapid.SampledFrom([]string{"", "1900-01-01", "2000-02-29"}).Draw(t, "dob"),
		SSN: rapid.SampledFrom([]string{"", "900-11-2222", "900112222"}).Draw(t, "ssn"), Phone: rapid.SampledFrom([]string{"", "+12025550123"}).Draw(t, "phone"),
	}
	for _, f := range profileFields {
		if f.rule == textRule {
			*f.locate(p) = drawText(t, f.name)
		}
	}
	p.FirstName, p.LastName = "A"+p.FirstName, "Ł"+p.LastName
	kept, err := CheckProfile(p, now)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// sendLine returns a line as the server gets it from the command.
func sendLine(t fataler, l ImportLine) (got ImportLine) {
	d := json.NewDecoder(strings.NewReader(mustJSON(t, l)))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}
