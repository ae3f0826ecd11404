package idp

// The two parties of a rehearsal, in which the server's own operator walks
// through a year. They exist while one runs, in memory, and are made for one
// another: the person cannot sign in, and is answered for to this service
// provider alone; the service provider is told of nobody else.
const (
	// RehearsalSP is the service provider. Nobody can register it.
	RehearsalSP EntityID = "urn:vernal:rehearsal"
	// RehearsalUser is the person. There is no record, and so no password, no
	// address and nothing to be listed or changed.
	RehearsalUser UserID = "rehearsal"
)
