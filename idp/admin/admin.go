// Package admin carries the commands of operators to the installation: over a unix socket
// to a running server, or in process where none runs.
//
//	command -> Call(op) -> socket ----> Endpoint -> op.Do -> registry, accounts, …
//	                   \-> in process -/
//
// An operation that returns more than fits into memory is a Stream.
//
// Every call is a POST of one JSON object to /v1/NOUN/VERB, answered with one JSON object:
// the result, or an Error. The kernel names the user at the other end of the socket. Only
// the data folder's owner and root may give commands, and what they change is recorded
// under their name.
//
// The package knows no operation; package ops declares them.
package admin
