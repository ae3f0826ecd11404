package templates

// AttributesPage lists for integrators the attributes that can be sent and the
// levels that can be asked for.
type AttributesPage struct {
	Base
	Rows    []AttributeRow
	Example string // an AuthnContextClassRef that asks for some
	// ClassRefs are the values of AuthnContextClassRef that are known.
	ClassRefs []string
}

// AttributeRow is one attribute: its name, which has a text in the catalogues,
// the last word of its NameFormat, and the level at which it is released, an
// assurance.Level, which has a text too.
type AttributeRow struct {
	Name, Format, Level string
	Always              bool // whatever the level
	NotYet              bool // this version has no value for it
}
