package sp

import (
	"slices"
	"strconv"

	"vernal/idp"
)

// ChooseACS returns the URL that the Response to a request goes to: the registered one that equals
// the request's AssertionConsumerServiceURL, otherwise the one of its
// AssertionConsumerServiceIndex, otherwise the default. The index is ignored if the request has a
// URL. URLs are compared byte by byte, because looser comparisons have been used to redirect
// assertions. An unregistered URL is refused or, for a service provider that was built for
// Login.gov, ignored. The error is an *idp.Refusal that quotes the values of the request and never
// the registered ones.
func (p *Provider) ChooseACS(url string, hasURL bool, index int, hasIndex bool) (string, error) {
	switch {
	case hasURL && url != "" && slices.Contains(p.ACSURLs, url):
		return url, nil
	case hasURL && p.IsLoginGovCompatible() && len(p.ACSURLs) > 0:
		return p.ACSURLs[0], nil
	case hasURL:
		return "", idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", url)
	case hasIndex:
		if i := p.lookupACSPosition(index); i >= 0 {
			return p.ACSURLs[i], nil
		}
		return "", idp.Refuse(idp.RefusedACSIndex, "AssertionConsumerServiceIndex", strconv.Itoa(index))
	case len(p.ACSURLs) == 0:
		return "", idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", "")
	}
	return p.ACSURLs[0], nil
}

// lookupACSPosition returns the position of a registered index, or -1.
func (p *Provider) lookupACSPosition(index int) int {
	if len(p.ACSIndexes) > 0 {
		index = slices.Index(p.ACSIndexes, index)
	}
	if index < 0 || index >= len(p.ACSURLs) {
		return -1
	}
	return index
}
