package rotator_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/rotation"
)

// load is a load of users that sign in all the time while steps are taken. Each year has its
// own persistent connections.
type load struct {
	i  *idptest.IdP
	sp *idptest.Provider
	// allowed is what each stage allows a year's address to answer.
	allowed []map[idp.Year]int
	// stage is the one that is reached: what the step before it did is done.
	stage  atomic.Int32
	signed chan struct{} // a token for each answer; dropped if no one waits
}

// TestSignInsSurviveEveryStep signs in concurrently through every step of a spring and an
// emergency. Each request must get the Response of the year it asked for. An endpoint URL
// may refuse only before its year is published and after its year is revoked.
func TestSignInsSurviveEveryStep(t *testing.T) {
	t.Parallel()
	const shut, works, gone = http.StatusNotFound, http.StatusOK, http.StatusGone
	i := idptest.New(t, idptest.Options{Now: day(2027, 1, 10).Add(12 * time.Hour)})
	l := &load{i: i, sp: i.AddProvider("https://a.example"), signed: make(chan struct{}, 1)}
	steps := []rotation.Step{
		{Kind: rotation.StepCreate, Year: "2027"},
		{Kind: rotation.StepPublish, Year: "2027"},
		{Kind: rotation.StepPrefer, Year: "2027"},
		{Kind: rotation.StepRollback, Year: "2026", Reason: "test"},
		{Kind: rotation.StepResume},
		{Kind: rotation.StepPrefer, Year: "2027"},
		{Kind: rotation.StepRevoke, Year: "2026", Reason: "test"},
	}
	for _, answers := range [][2]int{ // before the first step, and after each
		{works, shut}, {works, shut}, {works, works}, {works, works}, {works, works}, {works, works}, {works, works}, {gone, works},
	} {
		l.allowed = append(l.allowed, map[idp.Year]int{"2026": answers[0], "2027": answers[1]})
	}
	var people [][]*http.Cookie
	for n := range 4 {
		b := i.Browser()
		if page := b.SignIn(b.Get(l.sp.URL(&idptest.Request{})), i.AddUser(fmt.Sprintf("p%d@example.gov", n))); page.Response() == nil {
			t.Fatalf("sign-in: %d\n%s", page.Status, page.Text())
		}
		people = append(people, b.Cookies())
	}

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, cookies := range people {
		for _, y := range []idp.Year{"2026", "2027"} {
			wg.Go(func() { l.run(ctx, t, y, cookies) })
		}
	}
	for _, step := range steps {
		l.await(t, 25)
		takeStep(t, i, step)
		l.stage.Add(1)
	}
	l.await(t, 25)
	stop()
	wg.Wait()
}

// await waits for so many answers.
func (l *load) await(t *testing.T, n int) {
	t.Helper()
	late := time.After(time.Minute)
	for range n {
		select {
		case <-l.signed:
		case <-late:
			t.Fatal("no user can sign in")
		}
	}
}

// run signs in until ctx ends.
func (l *load) run(ctx context.Context, t *testing.T, y idp.Year, cookies []*http.Cookie) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		from := int(l.stage.Load())
		status, body, err := ask(client, l.sp.URL(&idptest.Request{Year: y}), cookies)
		if err != nil {
			t.Errorf("stage %d, %s: %v", from, y, err)
			return
		}
		// The next step may be done before stage says so.
		to := min(int(l.stage.Load())+1, len(l.allowed)-1)
		allowed := map[int]bool{}
		for s := from; s <= to; s++ {
			allowed[l.allowed[s][y]] = true
		}
		if !allowed[status] {
			t.Errorf("from stage %d to %d: %s answers %d", from, to, y, status)
		} else if status == http.StatusOK {
			if err := signedBy(l.i, responseIn(body), y); err != nil {
				t.Errorf("from stage %d to %d: %s: %v", from, to, y, err)
			}
		}
		select {
		case l.signed <- struct{}{}:
		default:
		}
	}
}

// ask asks as a browser does that is signed in.
func ask(client *http.Client, address string, cookies []*http.Cookie) (status int, body []byte, err error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

var responseField = regexp.MustCompile(`name="SAMLResponse" value="([^"]*)"`)

// responseIn returns the Response in a page, nil if the page posts none.
func responseIn(page []byte) []byte {
	m := responseField.FindSubmatch(page)
	if m == nil {
		return nil
	}
	response, err := base64.StdEncoding.DecodeString(string(bytes.ReplaceAll(m[1], []byte("&#43;"), []byte("+"))))
	if err != nil {
		return nil
	}
	return response
}
