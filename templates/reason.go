package templates

import (
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// Phrases renders the rotation's codes in one language: reasons, attention and suggestions.
// The texts are in the catalogue under "reason.CODE", "attention.CODE" and "suggest.LABEL".
// Each {name} in one is the argument with that JSON name, and a part in [[…]] is omitted when
// an argument in it is empty. It is read-only.
type Phrases struct {
	c    catalogue
	date func(time.Time) (string, error)
	// mails is nil for pages, which contain none.
	mails func() (*texttemplate.Template, error)
}

// codePrefixes are the prefixes of keys that code outside this package chooses.
var codePrefixes = []string{"needs.", "reason.", "reason_part.", "attention.", "comes.", "past.", "means.", "calendar.", "finding.", suggestPrefix}

// PhrasesIn returns the phrases of a language for pages and mails; English for an unknown
// language. It panics in a build whose catalogues cannot be read, which serves no page either
// (New).
func PhrasesIn(lang Lang) *Phrases {
	s, err := New()
	if err != nil {
		panic(err)
	}
	l := s.selectLanguage(lang)
	p := newPhrases(l.catalogue)
	p.mails = l.mails
	return p
}

// TerminalPhrases returns the English phrases with dates as tools sort them
// (2027-04-01).
func TerminalPhrases() *Phrases {
	iso := func(t time.Time) (string, error) { return t.UTC().Format(time.DateOnly), nil }
	return &Phrases{c: PhrasesIn(fallback).c, date: iso}
}

func newPhrases(c catalogue) *Phrases {
	return &Phrases{c: c, date: func(t time.Time) (string, error) { return c.formatDate("date", t) }}
}

// Reason renders a reason; "" for none.
func (p *Phrases) Reason(r rotation.Reason) string {
	if r.IsZero() {
		return ""
	}
	return p.fillText("reason."+string(r.Code), p.argTexts(r.Args))
}

// Reasons renders several reasons as one sentence.
func (p *Phrases) Reasons(all []rotation.Reason) string {
	texts := make([]string, len(all))
	for i, r := range all {
		texts[i] = p.Reason(r)
	}
	return strings.Join(texts, p.c["semicolon"]+" ")
}

// Attention renders an item that needs an operator's attention.
func (p *Phrases) Attention(a rotation.Attention) string {
	values := p.argTexts(a.Args)
	values["year"], values["because"] = string(a.Year), p.Reasons(a.Reasons)
	return p.fillText("attention."+string(a.Code), values)
}

// Refusal renders the reason for refusing a step.
func (p *Phrases) Refusal(e *rotation.RefusedError) string {
	text, err := p.c.text("reason_part.refused", string(e.Kind), string(e.Year), p.Reason(e.Reason))
	if err != nil {
		return e.Error()
	}
	return strings.Join(strings.Fields(text), " ")
}

// FutureText describes the effect of a step on a year in the future tense. Without a step it
// describes the end of the year's certificate.
func (p *Phrases) FutureText(step rotation.StepKind, y idp.Year) string {
	return p.Text(StepKey(step), string(y))
}

// PastText returns the text of FutureText in the past tense.
func (p *Phrases) PastText(step rotation.StepKind, y idp.Year) string {
	return p.Text("past."+stepName(step), string(y))
}

// Meaning returns the meaning of a step for operators, "" if the catalogue has none.
func (p *Phrases) Meaning(step rotation.StepKind) string { return p.c["means."+stepName(step)] }

// Text returns a text of the catalogue about a year or a command line.
func (p *Phrases) Text(key Key, args ...string) string {
	text, err := p.c.text(key, args...)
	if err != nil {
		return string(key)
	}
	return text
}

// maxNamed is how many service providers are named in a sentence.
const maxNamed = 5

// argTexts returns the arguments as texts, by their JSON names.
func (p *Phrases) argTexts(a rotation.Args) map[string]string {
	v := map[string]string{
		"year": string(a.Year), "step": string(a.Step), "sha256": a.SHA256, "value": oneLine(a.Value),
		"days": p.formatDays(a.Days), "days_left": p.formatDays(a.DaysLeft), "count": p.c.formatNumber(a.Count), "entity_ids": p.listNames(a.SPs),
	}
	if a.State != "" {
		v["state"] = p.c[Key("year."+string(a.State))]
	}
	for name, t := range map[string]time.Time{"from": a.FromAt, "to": a.ToAt, "date": a.At, "until": a.EndAt} {
		if !t.IsZero() {
			v[name] = p.dateText(t)
		}
	}
	return v
}

func (p *Phrases) formatDays(n int) string {
	text, err := p.c.formatCount("reason_part.days", n)
	if err != nil {
		return fmt.Sprint(n)
	}
	return text
}

// listNames lists service providers, at most maxNamed.
func (p *Phrases) listNames(all []idp.EntityID) string {
	named := make([]string, 0, maxNamed)
	for _, id := range all[:min(len(all), maxNamed)] {
		named = append(named, oneLine(string(id)))
	}
	list := strings.Join(named, ", ")
	if more := len(all) - len(named); more > 0 {
		if text, err := p.c.text("reason_part.more", list, p.c.formatNumber(more)); err == nil {
			return text
		}
	}
	return list
}

// Days is a number of days, which Fill renders with the word.
type Days int

// Fill renders a text of the catalogue with values by name: string, int, Days, time.Time and
// []idp.EntityID. Parts in [[…]] with an empty text, list or time are omitted. A missing text is
// rendered as its key.
func (p *Phrases) Fill(key Key, values map[string]any) string {
	text, ok := p.c[key]
	if !ok {
		return string(key)
	}
	return fill(text, func(name string) string { return p.valueText(values[name]) })
}

func (p *Phrases) valueText(v any) string {
	switch v := v.(type) {
	case string:
		return oneLine(v)
	case int:
		return p.c.formatNumber(v)
	case Days:
		return p.formatDays(int(v))
	case time.Time:
		return p.dateText(v)
	case []idp.EntityID:
		return p.listNames(v)
	}
	return ""
}

// dateText renders a date; "" for the zero time.
func (p *Phrases) dateText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	text, err := p.date(t)
	if err != nil {
		return t.UTC().Format(time.DateOnly)
	}
	return text
}

// fillText renders a text. A missing text is rendered as its code: the code of a newer program
// is better than nothing, and an old audit record contains words in its place.
func (p *Phrases) fillText(key string, values map[string]string) string {
	text, ok := p.c[Key(key)]
	if !ok {
		_, code, _ := strings.Cut(key, ".")
		return oneLine(code)
	}
	return fill(text, func(name string) string { return values[name] })
}

// FillStatus renders every reason of a status into its Text, for clients that read JSON.
func (p *Phrases) FillStatus(st *rotation.Status) {
	p.FillSteps(st.Steps)
	for i := range st.DueSteps {
		p.fillEvent(&st.DueSteps[i].Cause, st.DueSteps[i].Waits)
	}
	for _, y := range st.Years {
		if y.Next != nil {
			p.fillEvent(&y.Next.Cause, y.Next.Waits)
		}
	}
	for i := range st.Attention {
		p.FillReasons(st.Attention[i].Reasons)
		st.Attention[i].Text = p.Attention(st.Attention[i])
	}
}

// FillSteps renders the reason of each step into its Text.
func (p *Phrases) FillSteps(steps []rotation.Step) {
	for i := range steps {
		p.fillEvent(&steps[i].Cause, nil)
	}
}

// FillPlan renders every reason of a plan into its Text.
func (p *Phrases) FillPlan(plan []rotation.UpcomingStep) {
	for i := range plan {
		p.fillEvent(&plan[i].Cause, plan[i].Waits)
	}
}

// FillReasons renders the reasons into their Text.
func (p *Phrases) FillReasons(all []rotation.Reason) {
	for i := range all {
		all[i].Text = p.Reason(all[i])
	}
}

// fillEvent renders the reason for an event, and the reasons why it waits.
func (p *Phrases) fillEvent(why *rotation.Reason, waits []rotation.Reason) {
	why.Text = p.Reason(*why)
	p.FillReasons(waits)
}

// reasonFuncs returns the functions that pages call to render the rotation's codes.
func (p *Phrases) reasonFuncs() map[string]any {
	return map[string]any{
		"reason":    func(r rotation.Reason) htmltemplate.HTML { return escapeHTML(p.Reason(r)) },
		"reasons":   func(all []rotation.Reason) htmltemplate.HTML { return escapeHTML(p.Reasons(all)) },
		"attention": func(a rotation.Attention) htmltemplate.HTML { return escapeHTML(p.Attention(a)) },
	}
}

func escapeHTML(text string) htmltemplate.HTML {
	return htmltemplate.HTML(htmltemplate.HTMLEscapeString(text))
}
