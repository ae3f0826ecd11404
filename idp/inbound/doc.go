// Package inbound verifies and checks every message from a service provider (SP). Packages sso and
// logout act on the messages that it accepts, and package inspect shows all its findings.
//
// The flow, from the parsed message to one that is accepted:
//
//	saml.Read         bytes -> one tree, not verified (by the handler)
//	  LookupSender    the claimed Issuer -> its registration           sender.go
//	  Verify          its certificates -> the element that may be read  sender.go
//	  Parse           that element -> fields                            request.go
//	  AppendFindings  every rule about the fields, in a fixed order     request.go
//	the year          whether the sender may use it (package yearaccess, by the handler)
//	  OpenName        an encrypted name, with our key of that year      name.go
//
// The server calls Accept, which runs the steps up to AppendFindings and returns the first refusal.
// An inspection runs each step and continues after a refusal with the claimed content. So only
// Accept decides whether the server acts on a message.
//
// The package uses no HTTP types and stores no data. The packages that record the answer check
// whether a message was received before.
package inbound
