package metadata

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// consumer is an AssertionConsumerService in the document.
type consumer struct {
	binding    string
	url        string     // "" if the binding is not HTTP-POST, or the URL cannot be used
	refusal    string     // reason why the registry refuses url, or ""
	permission idp.Option // option that permits it
	index      int        // -1 if absent
	isDefault     bool       // isDefault="true"
	isNotDefault    bool       // isDefault="false"
}

// readConsumers reads the Assertion Consumer Services and keeps those that we can post to.
func (r *spReader) readConsumers(sp *xmltree.Element) {
	var kept, others []consumer
	for _, e := range sp.Children(namespace, "AssertionConsumerService") {
		c := r.readConsumer(e)
		if c.binding == saml.BindingURIPOST && c.url != "" {
			kept = append(kept, c)
			continue
		}
		others = append(others, c)
	}
	kept = r.dropRefused(kept)
	if len(kept) == 0 {
		if !slices.ContainsFunc(r.pendingNotes, func(n Note) bool { return n.Part == PartACS }) {
			r.addFault(PartACS, "The metadata has no AssertionConsumerService.")
		}
		r.settleParts(false, PartACS)
		return
	}
	r.settleParts(true, PartACS)
	kept = r.settleIndexes(kept, others)
	if slices.ContainsFunc(others, func(c consumer) bool { return c.isDefault }) {
		r.addNote(PartDefault, "The default AssertionConsumerService cannot be used; %s is the default.", kept[findDefault(kept)].url)
	}
	for _, c := range kept {
		r.descriptor.ACS = append(r.descriptor.ACS, ACS{c.url, c.index})
	}
	first := findDefault(kept)
	r.descriptor.ACS = slices.Concat(r.descriptor.ACS[first:first+1], r.descriptor.ACS[:first], r.descriptor.ACS[first+1:])
	if n := len(r.descriptor.ACS); n > idp.MaxList {
		r.addNote(PartACS, "The metadata has %d AssertionConsumerServices; the first %d are used.", n, idp.MaxList)
		r.descriptor.ACS = r.descriptor.ACS[:idp.MaxList]
	}
}

func (r *spReader) readConsumer(e *xmltree.Element) consumer {
	binding, _ := e.Attr("Binding")
	c := consumer{binding: strings.TrimSpace(binding), index: -1}
	value, known := r.readBoolean(e, PartDefault)
	c.isDefault, c.isNotDefault = value, known && !value
	if text, ok := e.Attr("index"); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil {
			r.addFault(PartIndex, "The index of an AssertionConsumerService is %q, which is not a number from 0 to %d.", text, idp.MaxIndex)
		} else {
			c.index = int(n)
		}
	}
	if c.binding != saml.BindingURIPOST {
		r.addFault(PartACS, "One AssertionConsumerService cannot be used: its binding is %s, and Responses are sent by HTTP-POST only.", shortenBinding(c.binding))
		return c
	}
	c.url, c.refusal, c.permission = r.readLocation(e, "Location", PartACS)
	return c
}

// dropRefused leaves out URLs that the registry refuses, unless none would be left. Then
// the registry reports the refusal, with the option that permits the URL.
func (r *spReader) dropRefused(list []consumer) []consumer {
	good := slices.DeleteFunc(slices.Clone(list), func(c consumer) bool { return c.refusal != "" })
	if len(good) == 0 && !r.options.HasACS {
		return list
	}
	for _, c := range list {
		if c.refusal != "" {
			r.recordNote(Note{PartACS, fmt.Sprintf("The AssertionConsumerService %q cannot be used: it %s.", c.url, c.refusal), c.permission})
		}
	}
	return good
}

// settleIndexes ensures that each index means one URL. A URL may have several. An index with
// two meanings is removed from both, so that a request with it is refused. A service without
// an index gets a free one.
func (r *spReader) settleIndexes(kept, others []consumer) []consumer {
	urls := make(map[int]string) // meaning of each index
	taken := make(map[int]bool)  // indexes that must not be assigned
	double := make(map[int]bool) // indexes with two meanings
	var once []consumer          // without exact duplicates
	for _, c := range kept {
		same := func(o consumer) bool { return o.url == c.url && (o.index == c.index || c.index < 0) }
		if i := slices.IndexFunc(once, same); i >= 0 {
			once[i].isDefault = once[i].isDefault || c.isDefault
			r.addNote(PartACS, "The AssertionConsumerService %s is there twice.", c.url)
			continue
		}
		once = append(once, c)
		if c.index < 0 {
			continue
		}
		if before, ok := urls[c.index]; ok {
			double[c.index] = true
			r.addNote(PartIndex, "Two AssertionConsumerServices have the index %d: %s and %s. Both are registered; a request by that index is refused.", c.index, before, c.url)
		} else {
			urls[c.index] = c.url
		}
		taken[c.index] = true
	}
	for _, c := range others {
		if url, ok := urls[c.index]; ok && c.binding != saml.BindingURIPOST {
			r.addNote(PartIndex, "The index %d belongs to two AssertionConsumerServices; it means %s, the one with the binding HTTP-POST.", c.index, url)
		}
		if c.index >= 0 {
			taken[c.index] = true // a request with it must not be sent to another URL
		}
	}
	for i := range once {
		c := &once[i]
		if c.index >= 0 && !double[c.index] {
			continue
		}
		n := findFreeIndex(taken)
		if c.index < 0 {
			r.addNote(PartIndex, "The AssertionConsumerService %s has no index that can be used; it was given %d.", c.url, n)
		}
		c.index, taken[n] = n, true
	}
	return once
}

func findFreeIndex(taken map[int]bool) int {
	for n := 0; ; n++ {
		if !taken[n] {
			return n
		}
	}
}

// findDefault applies saml-metadata §2.2.3: the first with isDefault="true", else the first
// without isDefault="false", else the first.
func findDefault(list []consumer) int {
	if i := slices.IndexFunc(list, func(c consumer) bool { return c.isDefault }); i >= 0 {
		return i
	}
	return max(0, slices.IndexFunc(list, func(c consumer) bool { return !c.isNotDefault }))
}

// readLogout reads the URL for a LogoutResponse.
func (r *spReader) readLogout(sp *xmltree.Element) {
	var other []string
	for _, e := range sp.Children(namespace, "SingleLogoutService") {
		binding, _ := e.Attr("Binding")
		if strings.TrimSpace(binding) != saml.BindingURIPOST {
			location, _ := e.Attr("Location")
			other = append(other, shortenBinding(binding)+" at "+strings.TrimSpace(location))
			continue
		}
		where := "Location"
		if text, ok := e.Attr("ResponseLocation"); ok {
			where = "ResponseLocation"
			if strings.TrimSpace(text) == "" {
				where = "Location"
				r.addFault(PartLogout, "ResponseLocation of SingleLogoutService is empty; its Location is used.")
			}
		}
		url, refused, permission := r.readLocation(e, where, PartLogout)
		switch {
		case refused != "":
			r.recordNote(Note{PartLogout, fmt.Sprintf("The SingleLogoutService %q cannot be used: it %s.", url, refused), permission})
		case r.descriptor.LogoutURL == "":
			r.descriptor.LogoutURL = url
		case url != "" && url != r.descriptor.LogoutURL:
			r.addNote(PartLogout, "There are several SingleLogoutServices with the binding HTTP-POST; %s is used, not %s.", r.descriptor.LogoutURL, url)
		}
	}
	if r.descriptor.LogoutURL == "" && len(other) > 0 {
		r.addNote(PartLogout, "No SingleLogoutService has the binding HTTP-POST (only %s), so no LogoutResponse can be sent. If one of these takes a posted LogoutResponse, too, register it as logout_url.", strings.Join(other, ", "))
	}
}

// shortenBinding returns a binding's name without the common prefix.
func shortenBinding(binding string) string {
	if binding = strings.TrimSpace(binding); binding == "" {
		return "(none)"
	}
	return strings.TrimPrefix(binding, "urn:oasis:names:tc:SAML:2.0:bindings:")
}
