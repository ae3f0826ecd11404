package metadata

import (
	"slices"
	"strconv"
	"strings"

	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// consumer is an AssertionConsumerService as it stands in the document.
type consumer struct {
	binding string
	url     string // "" if the binding is not HTTP-POST, or the address is bad
	index   int    // -1 if there is none
	isTrue  bool   // isDefault="true"
	isFalse bool   // isDefault="false"
}

// consumers reads the Assertion Consumer Services and keeps those that we can
// post to.
func (r *spReader) consumers(sp *xmltree.Element) {
	all := sp.Children(namespace, "AssertionConsumerService")
	var kept, others []consumer
	for _, e := range all {
		c := r.consumer(e)
		if c.binding == saml.BindingURIPOST {
			kept = append(kept, c)
			continue
		}
		others = append(others, c)
		r.warn("An AssertionConsumerService with the binding %s was left out; Responses are sent by HTTP-POST only.", short(c.binding))
	}
	if len(kept) == 0 {
		r.problem("There is no AssertionConsumerService with the binding HTTP-POST (%d with others).", len(others))
		return
	}
	r.indexes(kept, others)
	if slices.ContainsFunc(others, func(c consumer) bool { return c.isTrue }) {
		r.warn("The default AssertionConsumerService has a binding that was left out; %s is the default.", kept[defaultOf(kept)].url)
	}
	first := defaultOf(kept)
	r.d.ACS = append(r.d.ACS, ACS{kept[first].url, kept[first].index})
	for i, c := range kept {
		if i != first {
			r.d.ACS = append(r.d.ACS, ACS{c.url, c.index})
		}
	}
}

func (r *spReader) consumer(e *xmltree.Element) consumer {
	binding, _ := e.Attr("Binding")
	c := consumer{binding: strings.TrimSpace(binding), index: -1}
	if _, said := e.Attr("isDefault"); said {
		c.isTrue = r.boolean(e, "isDefault")
		c.isFalse = !c.isTrue
	}
	if text, ok := e.Attr("index"); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil {
			r.problem("The index of an AssertionConsumerService is %q, which is not a number from 0 to 65535.", text)
		} else {
			c.index = int(n)
		}
	}
	if c.binding == saml.BindingURIPOST {
		c.url = r.location(e, "Location")
	}
	return c
}

// indexes checks that a request which gives an index means one address, and
// numbers the services that have no index.
func (r *spReader) indexes(kept, others []consumer) {
	taken := make(map[int]string)
	for _, c := range kept {
		if c.index < 0 {
			continue
		}
		if before, ok := taken[c.index]; ok {
			r.problem("Two AssertionConsumerServices have the index %d: %s and %s.", c.index, before, c.url)
		}
		taken[c.index] = c.url
	}
	for _, c := range others {
		if url, ok := taken[c.index]; ok {
			r.warn("The index %d belongs to two AssertionConsumerServices; it stands for %s, the one with the binding HTTP-POST.", c.index, url)
		}
	}
	for i := range kept {
		if kept[i].index >= 0 {
			continue
		}
		n := firstFree(taken)
		kept[i].index = n
		taken[n] = kept[i].url
		r.warn("The AssertionConsumerService %s has no index; it was given %d.", kept[i].url, n)
	}
}

func firstFree(taken map[int]string) int {
	for n := 0; ; n++ {
		if _, ok := taken[n]; !ok {
			return n
		}
	}
}

// defaultOf applies saml-metadata §2.2.3: the first that says so, else the
// first that does not say it is not, else the first.
func defaultOf(list []consumer) int {
	if i := slices.IndexFunc(list, func(c consumer) bool { return c.isTrue }); i >= 0 {
		return i
	}
	return max(0, slices.IndexFunc(list, func(c consumer) bool { return !c.isFalse }))
}

// logout finds where a LogoutResponse is posted.
func (r *spReader) logout(sp *xmltree.Element) {
	services := sp.Children(namespace, "SingleLogoutService")
	var other []string
	for _, e := range services {
		binding, _ := e.Attr("Binding")
		if strings.TrimSpace(binding) != saml.BindingURIPOST {
			location, _ := e.Attr("Location")
			other = append(other, short(binding)+" at "+strings.TrimSpace(location))
			continue
		}
		where := "Location"
		if _, ok := e.Attr("ResponseLocation"); ok {
			where = "ResponseLocation"
		}
		url := r.location(e, where)
		if r.d.LogoutURL == "" {
			r.d.LogoutURL = url
		} else if url != "" && url != r.d.LogoutURL {
			r.warn("There are several SingleLogoutServices with the binding HTTP-POST; %s is used, not %s.", r.d.LogoutURL, url)
		}
	}
	if r.d.LogoutURL == "" && len(other) > 0 {
		r.warn("There is no SingleLogoutService with the binding HTTP-POST (only %s), so no LogoutResponse can be sent. If one of these takes a posted LogoutResponse, too, register it as logout_url.", strings.Join(other, ", "))
	}
}

// short is a binding's name without the part that all share.
func short(binding string) string {
	if binding = strings.TrimSpace(binding); binding == "" {
		return "(none)"
	}
	return strings.TrimPrefix(binding, "urn:oasis:names:tc:SAML:2.0:bindings:")
}
