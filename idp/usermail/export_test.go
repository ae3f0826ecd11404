package usermail

import (
	"maps"
	"slices"

	"vernal/idp"
)

// ChangeKinds returns the kinds of audit record of which users get a notice.
func ChangeKinds() []idp.AuditKind {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(changes)), func(k idp.AuditKind) bool { return !changes[k] })
}
