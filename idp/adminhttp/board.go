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
	maxSPFetches     = 20
)

// showBoard renders the migration board for operators. It does not reload, so that it does
// not interrupt reading.
func (h *Handler) showBoard(w http.ResponseWriter, r *http.Request) error {
	v, err := h.readView(r.Context())
	if err != nil {
		return err
	}
	f := readFilter(r.URL.Query())
	page := h.buildBoardPage(v, f)
	page.Base = h.Pages.Base(r, "")
	page.Nonce = web.AllowScript(w)
	return h.Pages.Render(w, http.StatusOK, page)
}

func (h *Handler) buildBoardPage(v *view, f filter) templates.BoardPage {
	lines, counts := f.apply(v.Board.SPs), countMoves(v.Board)
	p := templates.BoardPage{
		At: v.Status.At, Preferred: v.Status.Preferred, IsManual: h.Rotation.Policy.Manual, IsHeld: v.Status.Hold.IsActive(v.Status.At),
		DataURL: dataPath, Years: v.listYears(h.Rotation.Policy), NextSteps: v.listNextSteps(),
		Moves: f.linkMoves(counts, v.Board), InYears: f.linkYears(v.Board), Search: f.buildSearch(),
		RegisteredCount: len(v.Board.SPs), Total: len(lines),
	}
	p.Target = v.Board.Target
	if len(v.listYearsToLeave()) > 0 {
		p.MovedCount, p.ActiveCount = counts[migration.Moved], counts[migration.Moved]+counts[migration.Both]+counts[migration.Unmoved]
	}
	p.StatusCommand, p.AddCommand = h.renderCommand(idp.Suggest(idp.DoRotationStatus)), h.renderCommand(idp.Suggest(idp.DoSPAdd))
	for i := range p.Years {
		if y := &p.Years[i]; y.MustBeLeft {
			y.UnmovedURL = f.selectLines(migration.Unmoved, y.Year).buildURL()
			y.IsCurrent = f.Show == migration.Unmoved && f.Year == y.Year
		}
	}
	for i, a := range v.Status.Attention {
		if i == maxAttention {
			p.MoreAttention = len(v.Status.Attention) - i
			break
		}
		shown := templates.BoardAttention{Attention: a}
		if len(a.Suggestions) > 0 {
			shown.Command = h.renderCommand(a.Suggestions[0])
		}
		p.Attention = append(p.Attention, shown)
	}
	first := min((f.Page-1)*pageSize, len(lines))
	last := min(first+pageSize, len(lines))
	p.First, p.Last = first+1, last
	if f.Page > 1 {
		p.PreviousURL = f.selectPage(f.Page - 1).buildURL()
	}
	if last < len(lines) {
		p.NextURL = f.selectPage(f.Page + 1).buildURL()
	}
	for i := range lines[first:last] {
		p.SPs = append(p.SPs, buildBoardSP(&lines[first+i]))
	}
	p.Fetches = convertFetches(v.Board.Fetches, maxFetches)
	return p
}

func buildBoardSP(l *migration.Line) templates.BoardSP {
	s := templates.BoardSP{
		EntityID: l.SP, Name: l.Name, Move: templates.MoveKey(findMove(l)), Warnings: l.Warnings,
		Contacts: l.Contacts, Fetches: convertFetches(l.Fetches, maxSPFetches),
	}
	for _, y := range l.Years {
		s.Years = append(s.Years, templates.BoardUse(y))
	}
	for _, c := range l.Certs {
		s.Certs = append(s.Certs, templates.BoardCert(c))
	}
	return s
}

func convertFetches(list []migration.Fetches, limit int) (all []templates.BoardFetch) {
	for _, f := range list[:min(limit, len(list))] {
		all = append(all, templates.BoardFetch{Year: f.Year, Hint: string(f.Hint), ClientIP: f.IPAddress, UserAgent: f.UserAgent, LastAt: f.LastAt, Count: f.Count})
	}
	return all
}

// boardData is the JSON of rotation.json.
type boardData struct {
	Status    rotation.Status         `json:"status"`
	Automatic bool                    `json:"automatic"`
	Plan      []rotation.UpcomingStep `json:"plan"`
	Board     *migration.Board        `json:"board"`
}

// showData answers with the whole migration board as JSON.
func (h *Handler) showData(w http.ResponseWriter, r *http.Request) error {
	v, err := h.readView(r.Context())
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
	if err := enc.Encode(boardData{v.Status, !h.Rotation.Policy.Manual, append([]rotation.UpcomingStep{}, v.Plan...), v.Board}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body.Bytes())
	return nil
}
