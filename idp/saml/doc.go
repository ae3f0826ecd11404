// Package saml implements the protocol messages and their bindings.
//
// An incoming message passes these steps in order. Each step relies on the checks before it.
// Package inbound runs the last four steps:
//
//	Read, ReadSOAP     query, form or envelope -> parameters, each once
//	                   base64, DEFLATE -> bytes, with a limit before and after
//	                   xmltree.Parse -> one tree, not verified yet
//	ClaimedIssuer      the entity whose certificates to look up, not trusted otherwise
//	Message.Verify     xmldsig -> the element that may be read
//	ParseAuthnRequest  that element -> fields, strictly; or ParseLogoutRequest
//	AppendFindings     fields against the URL and time of arrival, rule by rule
//
// Failures are *idp.Refusal, in the terms of the standard. Functions take no HTTP types and keep no
// state between calls. Other packages look up the service provider and its registered URLs, and
// recognize repeated messages.
package saml
