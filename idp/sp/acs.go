package sp

import (
	"slices"
	"strconv"

	"vernal/idp"
)

// ChooseACS gives the address that the Response to a request goes to: the
// registered one that equals the request's AssertionConsumerServiceURL, else
// the one of its AssertionConsumerServiceIndex, else the default. The index says
// nothing beside an address. An address is compared byte by byte: anything looser
// has been a way to lead an assertion elsewhere. One that is not registered is
// refused or, for a provider that was built for Login.gov, passed over. The error is
// an *idp.Refusal that quotes what the request held and never what is registered.
func (p *Provider) ChooseACS(address string, hasURL bool, index int, hasIndex bool) (string, error) {
	switch {
	case hasURL && address != "" && slices.Contains(p.ACSURLs, address):
		return address, nil
	case hasURL && p.IsLoginGovCompatible() && len(p.ACSURLs) > 0:
		return p.ACSURLs[0], nil
	case hasURL:
		return "", idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", address)
	case hasIndex:
		if i := p.acsPosition(index); i >= 0 {
			return p.ACSURLs[i], nil
		}
		return "", idp.Refuse(idp.RefusedACSIndex, "AssertionConsumerServiceIndex", strconv.Itoa(index))
	case len(p.ACSURLs) == 0:
		return "", idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", "")
	}
	return p.ACSURLs[0], nil
}

// acsPosition finds an index among the registered ones; -1 if it is not there.
func (p *Provider) acsPosition(index int) int {
	if len(p.ACSIndexes) > 0 {
		index = slices.Index(p.ACSIndexes, index)
	}
	if index < 0 || index >= len(p.ACSURLs) {
		return -1
	}
	return index
}
