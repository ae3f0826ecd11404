package adminhttp

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"vernal/idp/sharelink"
)

// BenchmarkPages renders the pages with 10,000 service providers, all of which
// have used two years. Each has to take less than a second.
func BenchmarkPages(b *testing.B) {
	w := newDeployment(b)
	for i := range 10000 {
		id := w.register(fmt.Sprintf("Agency%05d", i))
		w.use(id, "2030", 2*day)
		w.use(id, "2031", time.Hour)
	}
	w.ok(w.watch.Board.Usage.Flush(b.Context()))
	wall, _ := w.link(sharelink.Link{Kind: sharelink.Wallboard})
	for _, path := range []string{boardPath, boardPath + "?show=both&page=20", boardPath + "?q=agency09999", wall, dataPath} {
		name := path
		if path == wall {
			name = "wall"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if rec := w.get(path); rec.Code != http.StatusOK {
					b.Fatal(rec.Code)
				}
			}
			if per := b.Elapsed() / time.Duration(b.N); per > time.Second {
				b.Errorf("%s a page", per)
			}
		})
	}
}
