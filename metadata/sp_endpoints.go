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
	binding      string
	url          string     // "" if the binding is not HTTP-POST, or the URL cannot be used
	refusal      string     // reason why the registry refuses url, or ""
	permission   idp.Option // option that permits it
	index        int        // -1 if absent
	isDefault    bool       // isDefault="true"
	isNotDefault bool       // isDefault="false"
}

// readConsumers reads the Assertion Consumer Services and keeps those that we can post to.
func (r *spReader) readConsumers(sp *xmltree.Element) {
	var consumers, others []consumer
	for _, e := range sp.Children(namespace, "AssertionConsumerService") {
		c := r.readConsumer(e)
		if c.binding == saml.BindingURIPOST && c.url != "" {
			consumers = append(consumers, c)
			continue
		}
		others = append(others, c)
	}
	consumers = r.dropRefused(consumers)
	if len(consumers) == 0 {
		if !slices.ContainsFunc(r.pendingNotes, func(n Note) bool { return n.Part == PartACS }) {
			r.addFault(PartACS, "The metadata has no AssertionConsumerService.")
		}
		r.settleParts(false, PartACS)
		return
	}
	r.settleParts(true, PartACS)
	consumers = r.settleIndexes(consumers, others)
	if slices.ContainsFunc(others, func(c consumer) bool { return c.isDefault }) {
		r.addNote(PartDefault, "The default AssertionConsumerService cannot be used, so %s is the default.", consumers[findDefault(consumers)].url)
	}
	for _, c := range consumers {
		r.descriptor.ACS = append(r.descriptor.ACS, ACS{c.url, c.index})
	}
	first := findDefault(consumers)
	r.descriptor.ACS = slices.Concat(r.descriptor.ACS[first:first+1], r.descriptor.ACS[:first], r.descriptor.ACS[first+1:])
	if n := len(r.descriptor.ACS); n > idp.MaxList {
		r.addNote(PartACS, "The metadata has %d AssertionConsumerServices. Only the first %d are used.", n, idp.MaxList)
		r.descriptor.ACS = r.descriptor.ACS[:idp.MaxList]
	}
}

func (r *spReader) readConsumer(e *xmltree.Element) consumer {
	binding, _ := e.Attr("Binding")
	c := consumer{binding: strings.TrimSpace(binding), index: -1}
	value, isKnown := r.readBoolean(e, PartDefault)
	c.isDefault, c.isNotDefault = value, isKnown && !value
	if text, ok := e.Attr("index"); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil {
			r.addFault(PartIndex, "The index of an AssertionConsumerService is %q, which is not a number from 0 to %d.", text, idp.MaxIndex)
		} else {
			c.index = int(n)
		}
	}
	if c.binding != saml.BindingURIPOST {
		r.addFault(PartACS, "One AssertionConsumerService cannot be used: its binding is %s, but Responses are sent by HTTP-POST only.", shortenBinding(c.binding))
		return c
	}
	c.url, c.refusal, c.permission = r.readLocation(e, "Location", PartACS)
	return c
}

// dropRefused leaves out URLs that the registry refuses, unless no URL would remain. Then
// the registry reports the refusal, with the option that permits the URL.
func (r *spReader) dropRefused(list []consumer) []consumer {
	candidates := slices.DeleteFunc(slices.Clone(list), func(c consumer) bool { return c.refusal != "" })
	if len(candidates) == 0 && !r.options.HasACS {
		return list
	}
	for _, c := range list {
		if c.refusal != "" {
			r.recordNote(Note{PartACS, fmt.Sprintf("The AssertionConsumerService %q cannot be used: it %s.", c.url, c.refusal), c.permission})
		}
	}
	return candidates
}

// settleIndexes ensures that each index means one URL. A URL may have several indexes. An index
// of two URLs is removed from both, so that a request with it is refused. A service without
// an index gets a free one.
func (r *spReader) settleIndexes(consumers, others []consumer) []consumer {
	urls := make(map[int]string)           // meaning of each index
	usedIndexes := make(map[int]bool)      // indexes that must not be assigned
	ambiguousIndexes := make(map[int]bool) // indexes with two meanings
	var result []consumer                  // has no exact duplicates
	for _, c := range consumers {
		isSame := func(o consumer) bool { return o.url == c.url && (o.index == c.index || c.index < 0) }
		if i := slices.IndexFunc(result, isSame); i >= 0 {
			result[i].isDefault = result[i].isDefault || c.isDefault
			r.addNote(PartACS, "The AssertionConsumerService %s occurs twice.", c.url)
			continue
		}
		result = append(result, c)
		if c.index < 0 {
			continue
		}
		if before, ok := urls[c.index]; ok {
			ambiguousIndexes[c.index] = true
			r.addNote(PartIndex, "Two AssertionConsumerServices have the index %d: %s and %s. Both are registered, and a request with that index is refused.", c.index, before, c.url)
		} else {
			urls[c.index] = c.url
		}
		usedIndexes[c.index] = true
	}
	for _, c := range others {
		if url, ok := urls[c.index]; ok && c.binding != saml.BindingURIPOST {
			r.addNote(PartIndex, "The index %d belongs to two AssertionConsumerServices. It selects %s, which has the binding HTTP-POST.", c.index, url)
		}
		if c.index >= 0 {
			usedIndexes[c.index] = true // a request with it must not be sent to another URL
		}
	}
	for i := range result {
		c := &result[i]
		if c.index >= 0 && !ambiguousIndexes[c.index] {
			continue
		}
		n := findFreeIndex(usedIndexes)
		if c.index < 0 {
			r.addNote(PartIndex, "The AssertionConsumerService %s has no usable index and got the index %d.", c.url, n)
		}
		c.index, usedIndexes[n] = n, true
	}
	return result
}

func findFreeIndex(usedIndexes map[int]bool) int {
	for n := 0; ; n++ {
		if !usedIndexes[n] {
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
	var otherEndpoints []string
	for _, e := range sp.Children(namespace, "SingleLogoutService") {
		binding, _ := e.Attr("Binding")
		if strings.TrimSpace(binding) != saml.BindingURIPOST {
			location, _ := e.Attr("Location")
			otherEndpoints = append(otherEndpoints, shortenBinding(binding)+" at "+strings.TrimSpace(location))
			continue
		}
		attribute := "Location"
		if text, ok := e.Attr("ResponseLocation"); ok {
			attribute = "ResponseLocation"
			if strings.TrimSpace(text) == "" {
				attribute = "Location"
				r.addFault(PartLogout, "ResponseLocation of SingleLogoutService is empty, so its Location is used.")
			}
		}
		url, refusal, permission := r.readLocation(e, attribute, PartLogout)
		switch {
		case refusal != "":
			r.recordNote(Note{PartLogout, fmt.Sprintf("The SingleLogoutService %q cannot be used: it %s.", url, refusal), permission})
		case r.descriptor.LogoutURL == "":
			r.descriptor.LogoutURL = url
		case url != "" && url != r.descriptor.LogoutURL:
			r.addNote(PartLogout, "Several SingleLogoutServices have the binding HTTP-POST. %s is used, not %s.", r.descriptor.LogoutURL, url)
		}
	}
	if r.descriptor.LogoutURL == "" && len(otherEndpoints) > 0 {
		r.addNote(PartLogout, "No SingleLogoutService has the binding HTTP-POST (only %s), so no LogoutResponse can be sent. If one of them also accepts a posted LogoutResponse, register it as logout_url.", strings.Join(otherEndpoints, ", "))
	}
}

// shortenBinding returns a binding's name without the common prefix.
func shortenBinding(binding string) string {
	if binding = strings.TrimSpace(binding); binding == "" {
		return "(none)"
	}
	return strings.TrimPrefix(binding, "urn:oasis:names:tc:SAML:2.0:bindings:")
}
