package adminhttp

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/rotation"
)

// TestMissingRequestCertsAreCounted checks that the page's JSON and the metrics count
// exactly the service providers without a valid request certificate.
func TestMissingRequestCertsAreCounted(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	pemUntil := func(days int) string {
		end := w.Clock.Now().AddDate(0, 0, days)
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(days + 1000)), Subject: pkix.Name{CommonName: "sp"}, NotBefore: end.AddDate(-3, 0, 0), NotAfter: end}
		der, err := x509.CreateCertificate(rand.Reader, template, template, fixture.Key(0).Public(), fixture.Key(0))
		w.ok(err)
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	set := func(id idp.EntityID, active bool, days ...int) {
		_, err := w.Store.UpdateProvider(t.Context(), idp.ProviderUpdate{ID: id, Change: func(p *idp.ServiceProvider) error {
			p.Active, p.Certs = active, nil
			for _, n := range days {
				p.Certs = append(p.Certs, pemUntil(n))
			}
			return nil
		}})
		w.ok(err)
	}
	ended := w.register("ended")
	set(ended, true, -30, -1)
	set(w.register("replaced"), true, -1, 300)
	set(w.register("inactive"), false, -1)
	w.Clock.Advance(time.Minute) // whatever was read before is old
	var view struct {
		Status rotation.Status `json:"status"`
	}
	w.ok(json.Unmarshal(w.get("/rotation.json").Body.Bytes(), &view))
	var got [][]idp.EntityID
	for _, a := range view.Status.Attention {
		if a.Code == rotation.RequestCertEnded {
			got = append(got, a.Args.SPs)
		}
	}
	if diff := cmp.Diff([][]idp.EntityID{{ended}}, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if metrics := w.get("/metrics").Body.String(); !strings.Contains(metrics, "\nvernal_attention{code=\"request_certificate_ended\"} 1\n") {
		t.Error("the metrics count otherwise")
	}
}
