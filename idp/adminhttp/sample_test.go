package adminhttp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

// TestMeasuresOfTheBoard checks that no entry of the registry spoils a scrape, whatever it
// contains.
func TestMeasuresOfTheBoard(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 15, 12, 0, 0, 0, time.UTC)
	ended := migration.RequestCert{SHA256: "00112233445566778899aabb", EndAt: at.AddDate(0, 0, -1), Ended: true}
	b := &migration.Board{
		Target: "2027",
		Years:  []migration.Year{{Year: "2026", State: rotation.Expiring, SPs: 3, UnmovedCount: 2}, {Year: "2027", State: rotation.Preferred, SPs: 1}},
		SPs: []migration.Line{
			{SP: "urn:a", Active: true, Move: migration.Unmoved, Certs: []migration.RequestCert{ended, ended}},
			{SP: "urn:b", Active: true, Move: migration.Unmoved, Certs: []migration.RequestCert{{SHA256: "ff", EndAt: at}}},
			{SP: "urn:\xff", Active: true, Move: migration.Moved, Certs: []migration.RequestCert{{SHA256: "ff", EndAt: at}}},
			{SP: "urn:\xfe", Active: true, Move: migration.Both, Certs: []migration.RequestCert{{SHA256: "ff", EndAt: at}, {}}},
			{SP: "urn:gone", Move: migration.Unmoved, Certs: []migration.RequestCert{{SHA256: "ff", EndAt: at}}},
			{SP: "urn:gone-ended", Move: migration.Unmoved, Certs: []migration.RequestCert{ended}},
			{SP: "urn:replaced", Active: true, Move: migration.Moved, Certs: []migration.RequestCert{ended, {SHA256: "ff", EndAt: at}}},
		},
	}
	s := newSample()
	s.setBoard(b)
	s.setAttention(b.Attention())
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			name := f.GetName()
			for _, l := range metric.GetLabel() {
				name += " " + l.GetValue()
			}
			if v := metric.GetGauge().GetValue(); v != 0 {
				got[name] = v
			}
		}
	}
	const end = "vernal_request_certificate_end_timestamp_seconds "
	want := map[string]float64{
		"vernal_year_sps 2026": 3, "vernal_year_unmoved_sps 2026": 2, "vernal_year_sps 2027": 1,
		"vernal_sps unmoved": 2, "vernal_sps moved": 2, "vernal_sps both": 1,
		end + "urn:a 0011223344556677":               float64(ended.EndAt.Unix()),
		end + "urn:b ff":                             float64(at.Unix()),
		end + "urn:� ff":                             float64(at.Unix()),
		end + "urn:replaced 0011223344556677":        float64(ended.EndAt.Unix()),
		end + "urn:replaced ff":                      float64(at.Unix()),
		"vernal_attention request_certificate_ended": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
}

// BenchmarkMeasures measures the board of a big registry, which must fit in one scrape.
func BenchmarkMeasures(b *testing.B) {
	list := &migration.Board{}
	for n := range 10_000 {
		list.SPs = append(list.SPs, migration.Line{SP: idp.EntityID("https://sp.example/" + string(rune('a'+n%26)) + time.Duration(n).String()),
			Active: true, Move: migration.Moved, Certs: []migration.RequestCert{{SHA256: "00112233445566778899aabb", EndAt: time.Unix(1e9, 0)}}})
	}
	for b.Loop() {
		newSample().setBoard(list)
	}
}
