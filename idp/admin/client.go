package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"vernal/idp"
	"vernal/idp/sp"
)

// maxAnswer bounds what the client reads: a long list of providers with their
// certificates.
const maxAnswer = 256 << 20

// Client gives commands. Errors of the service are *Error; others are of the
// way to it.
type Client struct{ http *http.Client }

// OverSocket makes a client of the server that uses the data folder.
func OverSocket(dataDir string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, dataDir) },
	}}}
}

// InProcess makes a client that calls the service in this process, as caller.
func InProcess(s *Service, caller Caller) *Client {
	return &Client{http: &http.Client{Transport: &direct{handler: s.Handler(), caller: caller}}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call sends one command. The host is not looked at: the transport knows where
// to go.
func call[Answer any](ctx context.Context, c *Client, path string, request any) (Answer, error) {
	var answer Answer
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("write command %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://vernal/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return answer, fmt.Errorf("write command %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return answer, fmt.Errorf("send command %s: %w", path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return answer, readError(path, resp.Status, data)
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return answer, nil
}

func readError(path, status string, data []byte) error {
	e := new(Error)
	if err := json.Unmarshal(data, e); err != nil || e.Code == "" {
		return fmt.Errorf("command %s: the server answers %q; is it of another version than this command?", path, status)
	}
	return e
}

// Ping asks whether the server is there.
func (c *Client) Ping(ctx context.Context) (Pong, error) {
	return call[Pong](ctx, c, "ping", Empty{})
}

// AddSP registers a service provider.
func (c *Client) AddSP(ctx context.Context, change SPChange) (*sp.Change, error) {
	return call[*sp.Change](ctx, c, "sp/add", change)
}

// EditSP changes a registration.
func (c *Client) EditSP(ctx context.Context, change SPChange) (*sp.Change, error) {
	return call[*sp.Change](ctx, c, "sp/edit", change)
}

// RemoveSP takes a registration away.
func (c *Client) RemoveSP(ctx context.Context, id idp.EntityID) error {
	_, err := call[Empty](ctx, c, "sp/remove", SPRequest{EntityID: id})
	return err
}

// SP returns one registration.
func (c *Client) SP(ctx context.Context, id idp.EntityID) (*idp.ServiceProvider, error) {
	return call[*idp.ServiceProvider](ctx, c, "sp/show", SPRequest{EntityID: id})
}

// SPs returns all registrations, sorted by EntityID. With an *idp.TamperedError it
// returns those that are authentic.
func (c *Client) SPs(ctx context.Context) ([]*idp.ServiceProvider, error) {
	list, err := call[SPList](ctx, c, "sp/list", Empty{})
	if err == nil && len(list.Tampered) > 0 {
		err = &idp.TamperedError{Providers: list.Tampered}
	}
	return list.SPs, err
}

// AddUser makes a person.
func (c *Client) AddUser(ctx context.Context, u NewUser) (UserAdded, error) {
	return call[UserAdded](ctx, c, "user/add", u)
}

// User returns one person.
func (c *Client) User(ctx context.Context, email string) (User, error) {
	return call[User](ctx, c, "user/show", UserRequest{Email: email})
}

// Users returns everybody, by ID.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	all := []User{}
	var req UsersRequest
	for {
		list, err := call[UserList](ctx, c, "user/list", req)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Users...)
		if list.Next == "" {
			return all, nil
		}
		req.After = list.Next
	}
}

// ChangeUser does one of "lock", "unlock", "set-password" and "reset-mfa", and
// returns the person as they stand then.
func (c *Client) ChangeUser(ctx context.Context, verb string, req UserRequest) (UserChanged, error) {
	return call[UserChanged](ctx, c, "user/"+verb, req)
}

// DeleteUser removes a person and ends their sessions.
func (c *Client) DeleteUser(ctx context.Context, email string) error {
	_, err := call[Empty](ctx, c, "user/delete", UserRequest{Email: email})
	return err
}

// Metadata returns a year's document, or with "" the stable one.
func (c *Client) Metadata(ctx context.Context, y idp.Year) (Document, error) {
	return call[Document](ctx, c, "metadata/show", MetadataRequest{Year: y})
}

// Years returns every year that was made, oldest first.
func (c *Client) Years(ctx context.Context) ([]Year, error) {
	list, err := call[YearList](ctx, c, "year/list", Empty{})
	return list.Years, err
}

// RotationStatus says how every year stands.
func (c *Client) RotationStatus(ctx context.Context) (RotationStatus, error) {
	return call[RotationStatus](ctx, c, "rotation/status", Empty{})
}

// RotationPlan says what comes in the next years.
func (c *Client) RotationPlan(ctx context.Context, years int) (RotationPlan, error) {
	return call[RotationPlan](ctx, c, "rotation/plan", PlanRequest{Years: years})
}

// RotationStep takes a step by hand or, for a dry run, says what it would do.
func (c *Client) RotationStep(ctx context.Context, req StepRequest) (RotationChange, error) {
	return call[RotationChange](ctx, c, "rotation/step", req)
}

// RotationReport returns the notices to service providers that have to act, and
// sends them if asked.
func (c *Client) RotationReport(ctx context.Context, req ReportRequest) (RotationReport, error) {
	return call[RotationReport](ctx, c, "rotation/report", req)
}

// RotationCSR makes a key that waits for its certificate, and the request for
// that.
func (c *Client) RotationCSR(ctx context.Context, req YearRequest) (CSR, error) {
	return call[CSR](ctx, c, "rotation/csr", req)
}

// RotationImport brings a certificate from elsewhere.
func (c *Client) RotationImport(ctx context.Context, req ImportRequest) (Imported, error) {
	return call[Imported](ctx, c, "rotation/import", req)
}

// RotationExport makes the files that prove a year out of band.
func (c *Client) RotationExport(ctx context.Context, y idp.Year) (Export, error) {
	return call[Export](ctx, c, "rotation/export", YearRequest{Year: y})
}
