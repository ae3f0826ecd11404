package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"vernal/idp"
	"vernal/idp/outbound"
	"vernal/idp/web"
)

func listBaseURLChecks() []Check {
	return []Check{
		{Name: "listen", Codes: []Code{BaseURLLocal, ForwardedForIgnored}, Run: (*Service).checkListen},
		{
			Name: "base_url", Network: true, NeedsServer: true, Run: (*Service).checkBaseURL,
			Codes: []Code{BaseURLUnreachable, BaseURLStatus, BaseURLOtherInstallation,
				ProxyNotTrusted, ForwardedForMissing, ForwardedProtoHTTP, HostChanged, CookieChanged, SecurityHeadersLost},
		},
	}
}

// checkListen compares the listener with base_url, and reports the last peer whose
// X-Forwarded-For was ignored. Anyone can send that header, so this alone is not a problem.
func (s *Service) checkListen(context.Context, Options) (findings []Finding, err error) {
	base, err := url.Parse(s.IdP.BaseURL)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(s.Settings.Listen)
	if err == nil && idp.IsLoopback(base.Hostname()) && !idp.IsLoopback(host) {
		findings = append(findings, Finding{Code: BaseURLLocal, Level: Problem, Args: Args{URL: s.IdP.BaseURL, Host: s.Settings.Listen}})
	}
	if last, ok := s.UntrustedPeers.Last(); ok && s.Clock.Now().Sub(last.At).Abs() < day {
		args := Args{Peer: last.Peer.String(), Date: last.At}
		findings = append(findings, Finding{Code: ForwardedForIgnored, Level: Information, Args: args})
	}
	return findings, nil
}

// maxMetadata bounds the answer of base_url.
const maxMetadata = 1 << 20

// checkBaseURL fetches the preferred year's metadata from base_url, as a service provider
// does. The request carries a token, so that the listener recognizes it and notes how it
// arrived.
func (s *Service) checkBaseURL(ctx context.Context, _ Options) ([]Finding, error) {
	preferred, err := s.Years.Preferred(s.Clock.Now())
	if err != nil {
		return nil, err // checkRotation has the finding
	}
	metadataURL := s.IdP.MetadataURL(preferred.Year())
	token, take := s.Probe.Await()
	resp, err := s.Outbound.Do(ctx, &outbound.Request{
		URL: metadataURL, Trust: outbound.Operator, MaxBytes: maxMetadata, AllowHTTP: true,
		Header: http.Header{web.ProbeHeader: {token}},
	})
	sighting := take()
	newFindings := func(code Code, args Args) []Finding {
		args.URL = metadataURL
		return []Finding{{Code: code, Level: Problem, Args: args}}
	}
	switch {
	case outbound.HasCode(err, outbound.CodeCertificate):
		return nil, fmt.Errorf("the TLS certificate of %s is not valid: see the findings about it", s.IdP.BaseURL) // of checkTLS
	case err != nil:
		return newFindings(BaseURLUnreachable, Args{Value: formatError(err)}), nil
	case resp.Status != http.StatusOK:
		return newFindings(BaseURLStatus, Args{Count: resp.Status}), nil
	}
	sum := sha256.Sum256(preferred.Key.Cert.Raw)
	if !slices.ContainsFunc(findCertificates(resp.Body), func(der []byte) bool { return sha256.Sum256(der) == sum }) {
		return newFindings(BaseURLOtherInstallation, Args{Year: preferred.Year(), Value: hex.EncodeToString(sum[:])}), nil
	}
	if sighting == nil {
		// A cache or another server of the same installation answered.
		return nil, fmt.Errorf("the answer of %s is right, but the request did not arrive here with its %s header: configure the proxy to pass on all headers, and not to answer from a cache", metadataURL, web.ProbeHeader)
	}
	return append(s.judgeSighting(sighting), s.judgeAnswer(resp.Header)...), nil
}

var certificateElement = regexp.MustCompile(`X509Certificate[^>]*>([^<]+)<`)

// findCertificates returns the certificates in a metadata document.
func findCertificates(doc []byte) (list [][]byte) {
	for _, m := range certificateElement.FindAllSubmatch(doc, -1) {
		if der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(m[1]), nil))); err == nil {
			list = append(list, der)
		}
	}
	return list
}
