// Package inbound is the one place where a message from a service provider (SP) is
// verified and judged. Packages sso and logout act upon what it accepts, and package
// inspect shows all that it finds.
//
// The flow, from the parsed message to one that is accepted:
//
//	saml.Read         bytes -> one tree, of which nothing is verified (by the handler)
//	  LookupSender    the claimed Issuer -> its registration           sender.go
//	  Verify          its certificates -> the element that may be read  sender.go
//	  Parse           that element -> fields                            request.go
//	  AppendFindings  every rule about the fields, in a fixed order     request.go
//	the year          may the sender use it? (package yearaccess, by the handler)
//	  OpenName        an encrypted name, with our key of that year      name.go
//
// Accept takes the steps down to AppendFindings, for the server: it returns the first
// refusal. An inspection takes them one by one and goes on after a refusal with what the
// message claims. So nothing but Accept says that a message may be acted upon.
//
// It knows no HTTP and keeps nothing. Whether a message came before is for those who
// record the answer.
package inbound
