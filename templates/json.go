package templates

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"vernal/idp"
)

// jsonPage is a page that programs can get as JSON. It has the content of the HTML. Its names and
// codes are stable, unlike its texts.
type jsonPage interface {
	Page
	answer(c catalogue) (any, error)
}

// WriteJSON writes a page of a failure for a program.
func (s *Set) WriteJSON(w io.Writer, p Page) error {
	page, ok := p.(jsonPage)
	if !ok {
		return fmt.Errorf("page %s has no JSON", pageFileName(p))
	}
	answer, err := page.answer(s.selectLanguage(p.language()).catalogue)
	if err != nil {
		return fmt.Errorf("render JSON of page %s: %w", pageFileName(p), err)
	}
	return json.NewEncoder(w).Encode(answer)
}

// textList reads texts of the catalogue until one fails.
type textList struct {
	catalogue
	err error
}

func (l *textList) read(key Key, args ...string) string {
	text, err := l.text(key, args...)
	if err != nil && l.err == nil {
		l.err = err
	}
	return text
}

// refusalAnswer is the JSON of a refusal.
type refusalAnswer struct {
	Code          idp.RefusalCode `json:"code"`
	Title         string          `json:"title"`
	Field         string          `json:"field"`
	Seen          string          `json:"seen"`
	Expected      string          `json:"expected"`
	Fix           string          `json:"fix"`
	Documentation string          `json:"documentation,omitempty"`
	ErrorID       string          `json:"error_id"`
	SPName        string          `json:"sp_name,omitempty"`
	StartURL      string          `json:"start_url,omitempty"`
	SignInURL     string          `json:"sign_in_url,omitempty"`
	// Lacks is the assurance.Lack of the user, "" for other refusals.
	Lacks string `json:"lacks,omitempty"`
}

func (p RefusalPage) answer(c catalogue) (any, error) { return p.refusalAnswer(c) }

func (p RefusalPage) refusalAnswer(c catalogue) (refusalAnswer, error) {
	r, texts := p.Refusal, textList{catalogue: c}
	a := refusalAnswer{
		Code: r.Code, Field: r.Field, Seen: r.Seen, ErrorID: p.ErrorID,
		Title:    texts.read(refusalKey(r.Code, "title"), r.Args...),
		Expected: texts.read(refusalKey(r.Code, "expected"), r.Args...),
		Fix:      texts.read(refusalKey(r.Code, "remedy"), r.Args...),
		SPName:   p.SPName, StartURL: p.StartURL, SignInURL: p.SignInURL,
	}
	if text, err := c.seenText(r); err != nil {
		return a, err
	} else if text != "" {
		a.Seen = text
	}
	if path := contextsURL(r); path != "" {
		a.Documentation = p.BaseURL + path
	}
	return a, texts.err
}

// refusalPage returns the refusal on the page, for a client that does not accept HTML.
func (p LackPage) refusalPage() RefusalPage {
	return RefusalPage{Base: p.Base, Refusal: p.Refusal, ErrorID: p.ErrorID, StartURL: p.LeaveURL, BaseURL: p.BaseURL}
}

func (p LackPage) answer(c catalogue) (any, error) {
	a, err := p.refusalPage().refusalAnswer(c)
	a.Lacks = p.Lacks
	return a, err
}

// errorAnswer is the JSON of a failure that is not a refusal.
type errorAnswer struct {
	Code     string `json:"code"`
	Title    string `json:"title"`
	Text     string `json:"text"`
	ErrorID  string `json:"error_id,omitempty"`
	StartURL string `json:"start_url,omitempty"`
}

func (p ErrorPage) answer(c catalogue) (any, error) {
	texts := textList{catalogue: c}
	return errorAnswer{
		Code: p.Code, Title: texts.read(p.Title, p.Args...), Text: texts.read(p.Text, p.Args...),
		ErrorID: p.ErrorID, StartURL: p.StartURL,
	}, texts.err
}

func (p NotFoundPage) answer(c catalogue) (any, error) {
	texts := textList{catalogue: c}
	return errorAnswer{Code: "not_found", Title: texts.read("not_found.title"), Text: texts.read("not_found.text")}, texts.err
}

// noYearAnswer is the JSON of NoYearPage.
type noYearAnswer struct {
	Code  string    `json:"code"`
	Path  string    `json:"path"`
	Title string    `json:"title"`
	Fix   string    `json:"fix"`
	Years []YearURL `json:"years"`
}

func (p NoYearPage) answer(c catalogue) (any, error) {
	texts, fix := textList{catalogue: c}, Key("no_year.fix")
	if len(p.Years) == 0 {
		fix = "no_year.none"
	}
	a := noYearAnswer{Code: "year_not_found", Path: p.Path, Title: texts.read("no_year.title"), Fix: texts.read(fix), Years: p.Years}
	if a.Years == nil {
		a.Years = []YearURL{} // programs expect a list
	}
	return a, texts.err
}

// retiredAnswer is the JSON of RetiredPage. NewYear and its fields are absent if no year
// replaces the retired one.
type retiredAnswer struct {
	Code        string          `json:"code"`
	Title       string          `json:"title"`
	Text        string          `json:"text"`
	Year        idp.Year        `json:"year"`
	Revoked     bool            `json:"revoked"`
	EndedAt     *time.Time      `json:"ended_at,omitempty"`
	NewYear     idp.Year        `json:"new_year,omitempty"`
	Changes     []retiredChange `json:"changes"`
	Fingerprint string          `json:"new_certificate_sha256,omitempty"`
	EntityID    string          `json:"entity_id"`
	ErrorID     string          `json:"error_id"`
}

type retiredChange struct {
	Endpoint string `json:"endpoint"`
	Old      string `json:"old_url"`
	New      string `json:"new_url"`
}

func (p RetiredPage) answer(c catalogue) (any, error) {
	texts, text := textList{catalogue: c}, Key("retired.text")
	if p.IsRevoked {
		text = "revoked.text"
	}
	a := retiredAnswer{
		Code: "year_retired", Title: texts.read("retired.title", string(p.Year)), Text: texts.read(text, string(p.Year)),
		Year: p.Year, Revoked: p.IsRevoked, NewYear: p.NewYear, Changes: make([]retiredChange, len(p.Changes)),
		Fingerprint: p.Fingerprint, EntityID: p.EntityID, ErrorID: p.ErrorID,
	}
	if !p.EndedAt.IsZero() {
		at := p.EndedAt.UTC()
		a.EndedAt = &at
	}
	for i, change := range p.Changes {
		a.Changes[i] = retiredChange{Endpoint: endpoints[change.Text], Old: change.Old, New: change.New}
	}
	return a, texts.err
}

// endpoints are the names, for programs, of the URLs that change with the year.
var endpoints = map[Key]string{
	ChangeMetadata: "metadata", ChangeAuth: "auth", ChangeLogout: "logout",
	ChangeRemoteLogout: "remotelogout", ChangeCertificate: "certificate",
}
