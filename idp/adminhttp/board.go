package adminhttp

import (
	"bytes"
	"encoding/json"
	"net/http"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/web"
	"vernal/templates"
)

const (
	// pageSize is the number of service providers on a page.
	pageSize = 200
	// maxAttention and maxFetches bound the lists around the table, and maxOfOne those of
	// one service provider.
	maxAttention = 20
	maxFetches   = 50
	maxOfOne     = 20
)

// showBoard renders the migration board for operators. It does not reload, so that it does
// not interrupt reading.
func (h *Handler) showBoard(w http.ResponseWriter, r *http.Request) error {
	v, err := h.view(r.Context())
	if err != nil {
		return err
	}
	f := readFilter(r.URL.Query())
	page := h.boardPage(v, f)
	page.Base = h.Pages.Base(r, "")
	page.Nonce = web.AllowScript(w)
	return h.Pages.Render(w, http.StatusOK, page)
}

func (h *Handler) boardPage(v *view, f filter) templates.BoardPage {
	lines, counts := f.apply(v.Board.SPs), countMoves(v.Board)
	p := templates.BoardPage{
		At: v.Status.At, Preferred: v.Status.Preferred, Manual: h.Rotation.Policy.Manual, Held: v.Status.Hold.IsActive(v.Status.At),
		DataURL: dataPath, Years: v.years(h.Rotation.Policy), NextSteps: v.listComing(),
		Moves: f.moves(counts, v.Board), InYears: f.inYears(v.Board), Search: f.search(),
		All: len(v.Board.SPs), Total: len(lines),
	}
	p.Target = v.Board.Target
	if len(v.listLeaving()) > 0 {
		p.Moved, p.Seen = counts[migration.Moved], counts[migration.Moved]+counts[migration.Both]+counts[migration.Unmoved]
	}
	p.StatusCommand, p.AddCommand = h.commandLine(idp.Suggest(idp.DoRotationStatus)), h.commandLine(idp.Suggest(idp.DoSPAdd))
	for i := range p.Years {
		if y := &p.Years[i]; y.Leaving {
			y.UnmovedURL = f.narrowTo(migration.Unmoved, y.Year).url()
			y.Current = f.Show == migration.Unmoved && f.Year == y.Year
		}
	}
	for i, a := range v.Status.Attention {
		if i == maxAttention {
			p.MoreAttention = len(v.Status.Attention) - i
			break
		}
		shown := templates.BoardAttention{Attention: a}
		if len(a.Suggestions) > 0 {
			shown.Command = h.commandLine(a.Suggestions[0])
		}
		p.Attention = append(p.Attention, shown)
	}
	first := min((f.Page-1)*pageSize, len(lines))
	last := min(first+pageSize, len(lines))
	p.First, p.Last = first+1, last
	if f.Page > 1 {
		p.PreviousURL = f.page(f.Page - 1).url()
	}
	if last < len(lines) {
		p.NextURL = f.page(f.Page + 1).url()
	}
	for i := range lines[first:last] {
		p.SPs = append(p.SPs, boardSP(&lines[first+i]))
	}
	p.Fetches = fetches(v.Board.Fetches, maxFetches)
	return p
}

func boardSP(l *migration.Line) templates.BoardSP {
	s := templates.BoardSP{
		EntityID: l.SP, Name: l.Name, Move: templates.MoveKey(moveOf(l)), Warnings: l.Warnings,
		Contacts: l.Contacts, Fetches: fetches(l.Fetches, maxOfOne),
	}
	for _, y := range l.Years {
		s.Years = append(s.Years, templates.BoardUse(y))
	}
	for _, c := range l.Certs {
		s.Certs = append(s.Certs, templates.BoardCert(c))
	}
	return s
}

func fetches(list []migration.Fetches, limit int) (all []templates.BoardFetch) {
	for _, f := range list[:min(limit, len(list))] {
		all = append(all, templates.BoardFetch{Year: f.Year, Hint: string(f.Hint), Address: f.Address, UserAgent: f.UserAgent, LastAt: f.LastAt, Count: f.Count})
	}
	return all
}

// data is the JSON of rotation.json.
type data struct {
	Status    rotation.Status         `json:"status"`
	Automatic bool                    `json:"automatic"`
	Plan      []rotation.UpcomingStep `json:"plan"`
	Board     *migration.Board        `json:"board"`
}

// showData answers with the whole migration board as JSON.
func (h *Handler) showData(w http.ResponseWriter, r *http.Request) error {
	v, err := h.view(r.Context())
	if err != nil {
		return err
	}
	// Empty lists must be [] in JSON, not null.
	v.Status.Years, v.Status.Steps = append([]rotation.YearStatus{}, v.Status.Years...), append([]rotation.Step{}, v.Status.Steps...)
	v.Status.DueSteps, v.Status.Attention = append([]rotation.DueStep{}, v.Status.DueSteps...), append([]rotation.Attention{}, v.Status.Attention...)
	phrases := templates.TerminalPhrases()
	phrases.FillStatus(&v.Status)
	phrases.FillPlan(v.Plan)
	for i := range v.Board.SPs {
		phrases.FillReasons(v.Board.SPs[i].Warnings)
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data{v.Status, !h.Rotation.Policy.Manual, append([]rotation.UpcomingStep{}, v.Plan...), v.Board}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body.Bytes())
	return nil
}
