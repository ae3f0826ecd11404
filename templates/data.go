package templates

// DataPage says which data about a user is stored, and offers it as a file.
type DataPage struct {
	AccountBase
	Action      string // where the form is posted whose answer is the file
	HasIdentity bool   // a verified identity is stored
}
