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
//	the year          may the sender use it? (package yearaccess, by the handler)
//	  OpenName        an encrypted name, with our key of that year      name.go
//
// Accept takes the steps down to AppendFindings, for the server, and returns the first refusal. An
// inspection takes them one by one and continues after a refusal with the claimed content. So only
// Accept decides that a message may be acted on.
//
// The package knows no HTTP and stores nothing. The packages that record the answer check whether a
// message was received before.
package inbound
