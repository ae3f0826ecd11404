// Package admin carries the commands of operators to the installation: over a unix socket to a
// running server, or in process if none runs.
//
//	command -> Call(op) -> socket ----> Endpoint -> op.Do -> registry, accounts, …
//	                   \-> in process -/
//
// An operation that returns more than fits into memory is a Stream.
//
// Every call is a POST of one JSON object to /v1/NOUN/VERB, answered with one JSON object: the
// result, or an Error. The kernel names the user at the other end of the socket. Only the data
// folder's owner and root may give commands, and their changes are recorded under their names.
//
// Package ops declares the operations.
package admin
