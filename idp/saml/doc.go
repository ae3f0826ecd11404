// Package saml implements the protocol messages and their bindings.
//
// These are the steps of an incoming message. Each one is a gate that the next one relies on.
// Package inbound runs the last four of them:
//
//	Read, ReadSOAP     query, form or envelope -> parameters, each once
//	                   base64, DEFLATE -> bytes, capped before and after
//	                   xmltree.Parse -> one tree, not verified yet
//	ClaimedIssuer      the entity whose certificates to look up, not trusted otherwise
//	Message.Verify     xmldsig -> the element that may be read
//	ParseAuthnRequest  that element -> fields, strictly; or ParseLogoutRequest
//	AppendFindings     fields against the URL and time of arrival, rule by rule
//
// Failures are *idp.Refusal, in the terms of the standard. Functions take no HTTP types, keep no
// state between calls, and look nothing up. Other packages identify the service provider, know its
// registered URLs and recognize a message that was seen before.
package saml
