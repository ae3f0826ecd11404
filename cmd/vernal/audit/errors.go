package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
	"vernal/idp/partnercert"
	"vernal/templates"
)

// ErrorsCommand returns the command "errors" and its subcommands.
func ErrorsCommand(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{Use: "errors", Short: "Look up an error ID", Example: `    vernal errors show 7KQM2ZV4H0A9XW3T`}
	c.AddCommand(&cobra.Command{
		Use:   "show ID",
		Short: "Show what happened, by the error ID on a page",
		Long: `Show the records of an error ID from a page, or of a request ID from
the log: the time, the actor, the reason, the other actions of that request, and an
explanation. The message itself is only in the log, under the same ID.`,
		Example: `    vernal errors show 7KQM2ZV4H0A9XW3T
    at       2027-03-02T09:14:07Z
    what     refusal: signature_mismatch
    ...`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id := parseErrorID(args[0])
			if id == "" {
				return cli.Usage(c, "%q is not an error ID, which has 16 letters and digits", args[0])
			}
			return a.showError(c.Context(), id)
		},
	})
	return c
}

// parseErrorID normalizes an error ID that was read out or typed: our alphabet has no I, L, O or U.
func parseErrorID(text string) string {
	id := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	if len(id) != 16 || strings.Trim(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
		return ""
	}
	return id
}

// maxRequestTime is the maximum time between the records of one request.
const maxRequestTime = 5 * time.Minute

// ErrorReport contains everything recorded under an error ID.
type ErrorReport struct {
	ID string `json:"id"`
	// Records are the records of the same request, oldest first.
	Records []idp.AuditRecord `json:"records"`
	SPName  string            `json:"sp_name,omitempty"`
	// Meaning is the text for the operators of the service provider.
	Meaning string `json:"meaning,omitempty"`
	// RequestCerts are the registered request certificates that a refused signature is compared
	// with. Other refusals have none.
	RequestCerts []RequestCert `json:"request_certificates,omitempty"`
}

// RequestCert is a certificate as operators compare it.
type RequestCert struct {
	SHA256 string    `json:"sha256"`
	EndsAt time.Time `json:"ends_at"`
}

// readRequestCerts returns the certificates that a signature was compared with. It returns none
// for another kind of refusal.
func readRequestCerts(code string, p *idp.ServiceProvider) (list []RequestCert, err error) {
	switch idp.RefusalCode(code) {
	case idp.RefusedSignature, idp.RefusedDigest:
	default:
		return nil, nil
	}
	for _, text := range p.Certs {
		partnerCerts, err := partnercert.Read([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("read request certificates of %s: %w", p.EntityID, err)
		}
		for _, c := range partnerCerts {
			list = append(list, RequestCert{SHA256: certs.CertSHA256(c), EndsAt: c.NotAfter.UTC()})
		}
	}
	return list, nil
}

func (a *commands) showError(ctx context.Context, id string) error {
	records, _, err := a.findAudit(ctx, ops.AuditQuery{Filter: audit.Filter{ID: id}}, 1)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("no audit record for error ID %s: look for it in the log\n  during a flood, refusals are counted and not recorded one by one", id)
	}
	report := ErrorReport{ID: id, Records: records}
	if request := records[0].RequestID; request != "" {
		// The records of one request are written within moments.
		q := ops.AuditQuery{Filter: audit.Filter{ID: request, Since: records[0].At.Add(-maxRequestTime)}}
		if requestRecords, _, err := a.findAudit(ctx, q, 50); err == nil && len(requestRecords) > 0 {
			slices.Reverse(requestRecords)
			report.Records = requestRecords
		}
	}
	record := records[0]
	if record.SP != "" {
		provider, err := cli.Ask(ctx, a.App, ops.ShowSP, ops.SPRequest{EntityID: record.SP})
		if err != nil && !errors.Is(err, idp.ErrNotFound) {
			return err
		}
		if err == nil {
			report.SPName = provider.Name
			if report.RequestCerts, err = readRequestCerts(record.Outcome, provider); err != nil {
				return err
			}
		}
	}
	if report.Meaning, err = explainRefusal(record); err != nil {
		return err
	}
	return a.Print(report, func() error { return a.printErrorReport(&report, &record) })
}

// explainRefusal returns the explanation of a refusal.
func explainRefusal(r idp.AuditRecord) (string, error) {
	if r.Kind != idp.AuditRefusal || r.Detail["field"] == "" {
		return "", nil
	}
	set, err := templates.New()
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	page := templates.RefusalPage{
		Refusal:   &idp.Refusal{Code: idp.RefusalCode(r.Outcome), Field: r.Detail["field"], Seen: r.Detail["seen"]},
		OmitsSeen: r.Detail["seen"] == "",
	}
	if err := set.WriteText(&b, page); err != nil {
		return "", nil // a code of another version
	}
	return strings.TrimSpace(b.String()), nil
}

func (a *commands) printErrorReport(report *ErrorReport, record *idp.AuditRecord) error {
	list := [][2]string{{"at", cli.FormatTime(record.At)}, {"what", string(record.Kind) + ": " + record.Outcome}, {"record", fmt.Sprintf("#%d", record.Seq)}}
	list = append(list, listRecordPairs(record)...)
	list = append(list, [2]string{"sp name", report.SPName})
	if err := cli.WritePairs(a.Out, list); err != nil {
		return err
	}
	if len(report.Records) > 1 {
		fmt.Fprintln(a.Out, "\nin the same request:")
		if err := a.printRecords(report.Records); err != nil {
			return err
		}
	}
	if len(report.RequestCerts) > 0 {
		fmt.Fprintln(a.Out, "\nregistered request certificates:")
		for _, c := range report.RequestCerts {
			fmt.Fprintf(a.Out, "  %s, ends %s\n", c.SHA256, cli.FormatDay(c.EndsAt))
		}
	}
	switch {
	case report.Meaning == "":
	case record.Detail["seen"] != "":
		fmt.Fprintf(a.Out, "\nthe text of the page:\n\n%s\n", report.Meaning)
	default:
		fmt.Fprintf(a.Out, "\nthe text of the page, without the received value:\n\n%s\n", report.Meaning)
	}
	return nil
}
