package developers

import (
	"net/http"

	"vernal/idp/assurance"
	"vernal/templates"
)

// showAttributes serves GET /developers/attributes: the supported attributes, from the table
// by which they are released, and the values of AuthnContextClassRef.
func (h *Handler) showAttributes(w http.ResponseWriter, r *http.Request) error {
	page := templates.AttributesPage{
		Base:      h.Pages.Base(r, ""),
		Example:   assurance.RequestAttributes("email", "first_name", "last_name"),
		ClassRefs: assurance.ListClassRefs(),
	}
	for _, row := range assurance.Table() {
		page.Rows = append(page.Rows, templates.AttributeRow{
			Name: row.Name, Format: row.Format(), Level: string(row.Level), IsAlwaysReleased: row.IsAlwaysSent, IsUnsupported: !row.HasValue(),
		})
	}
	return h.Pages.Render(w, http.StatusOK, page)
}
