package migration_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/rotation"
)

// TestRequestCertEndsWithLastOne checks that a service provider needs a new request
// certificate when its last one expires.
func TestRequestCertEndsWithLastOne(t *testing.T) {
	t.Parallel()
	now := at(2027, 3, 15)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	tests := []struct {
		name   string
		active bool
		ends   []time.Time
		endAt  time.Time
		ended  bool
	}{
		{"valid", true, []time.Time{day(100)}, day(100), false},
		{"ended", true, []time.Time{day(-1)}, day(-1), true},
		{"ends now", true, []time.Time{now}, now, true},
		{"ends in a second", true, []time.Time{now.Add(time.Second)}, now.Add(time.Second), false},
		{"ended beside a valid one", true, []time.Time{day(-1), day(100)}, day(100), false},
		{"valid beside an ended one, registered first", true, []time.Time{day(100), day(-1)}, day(100), false},
		{"all ended", true, []time.Time{day(-30), day(-1), day(-5)}, day(-1), true},
		{"none", true, nil, time.Time{}, false},
		{"ended, inactive", false, []time.Time{day(-1)}, time.Time{}, false},
		{"valid, inactive", false, []time.Time{day(100)}, time.Time{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, now)
			w.add("urn:a", func(p *idp.ServiceProvider) {
				p.Active, p.Certs = tt.active, nil
				for _, end := range tt.ends {
					p.Certs = append(p.Certs, requestCert(end).pem)
				}
				if len(tt.ends) == 0 {
					p.SignRequests = idp.SignRequestsOptional
				}
			})
			w.add("urn:valid")
			b := w.show(w.server())
			l := line(t, b, "urn:a")
			if got := l.HasRequestCertEnded(); got != tt.ended {
				t.Errorf("ended: %v", got)
			}
			if got := l.RequestCertsEndAt(); !got.Equal(tt.endAt) {
				t.Errorf("the last one ends at %s, want %s", got, tt.endAt)
			}
			var want []rotation.Attention
			if tt.ended {
				want = []rotation.Attention{rotation.Attention{Code: rotation.RequestCertEnded, Args: rotation.Args{SPs: []idp.EntityID{"urn:a"}, At: tt.endAt}}.Suggest()}
			}
			if diff := cmp.Diff(want, b.Attention()); diff != "" {
				t.Errorf("attention (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRequestCertEndedLater checks the line a year later, when the second certificate has
// expired too.
func TestRequestCertEndedLater(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, at(2027, 3, 15))
	w.add("urn:a", func(p *idp.ServiceProvider) {
		p.Certs = []string{requestCert(at(2027, 3, 1)).pem, requestCert(at(2028, 3, 1)).pem}
	})
	s := w.server()
	codes := func() (codes []rotation.AttentionCode) {
		for _, a := range w.show(s).Attention() {
			codes = append(codes, a.Code)
		}
		return codes
	}
	if got := codes(); got != nil {
		t.Errorf("beside a valid one: %v", got)
	}
	w.Clock.Set(at(2028, 3, 1))
	if diff := cmp.Diff([]rotation.AttentionCode{rotation.RequestCertEnded}, codes()); diff != "" {
		t.Errorf("after the last one (-want +got):\n%s", diff)
	}
}
