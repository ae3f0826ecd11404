package discovery_test

import (
	"mime"
	"net/http"
	"testing"
	"time"

	"vernal/idp/idptest"
)

// TestDocumentsHaveFileNames checks that the file name of a saved document names the
// installation and the year, and that a browser still shows the document in place.
func TestDocumentsHaveFileNames(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Now: time.Date(2027, 2, 15, 12, 0, 0, 0, time.UTC)})
	i.Retire("2026")
	for path, want := range map[string]string{
		"metadata":            "vernal-metadata.xml",
		"metadata2027":        "vernal-metadata-2027.xml",
		"certificate2027.pem": "vernal-signing-certificate-2027.pem",
		"certificate2026.pem": "vernal-signing-certificate-2026.pem", // stays after retirement
		"metadata2026":        "",
		"metadata2099":        "",
	} {
		page := i.Browser().Get(i.URL + "/api/saml/" + path)
		header := page.Header.Get("Content-Disposition")
		if want == "" {
			if header != "" || page.Status == http.StatusOK {
				t.Errorf("%s: %d, Content-Disposition %q", path, page.Status, header)
			}
			continue
		}
		kind, parameters, err := mime.ParseMediaType(header)
		if err != nil || kind != "inline" || parameters["filename"] != want || page.Status != http.StatusOK {
			t.Errorf("%s: %d, Content-Disposition %q, want the name %s", path, page.Status, header, want)
		}
	}
}
