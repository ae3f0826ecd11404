// Package saml has the protocol messages and the bindings they travel by.
//
// The way of a message in, each step a gate that the next one relies on. Package inbound
// takes the last four of them:
//
//	Read, ReadSOAP     query, form or envelope -> parameters, each once
//	                   base64, DEFLATE -> bytes, capped before and after
//	                   xmltree.Parse -> one tree; nothing is verified yet
//	ClaimedIssuer      whose certificates to look up, and nothing else
//	Message.Verify     xmldsig -> the element that may be read
//	ParseAuthnRequest  that element -> fields, strictly; or ParseLogoutRequest
//	AppendFindings     fields against this address and this moment, rule by rule
//
// Failures are *idp.Refusal, in the words of the standard. Functions take no
// HTTP types, keep nothing between calls, and look nothing up: which service
// provider it is, which addresses it registered and whether a message was seen
// before is for others.
package saml
