package idptest

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

// beginRotation makes the keys of a first start and those asked for, and records them.
func (i *IdP) beginRotation() {
	i.tb.Helper()
	now := i.Clock.Now()
	var made []rotation.MadeKey
	if !i.options.FirstStart {
		years := append(i.Policy.FirstYears(now), i.options.Years...)
		slices.Sort(years)
		for _, y := range years {
			k := i.NewYear(y)
			if err := i.Keys.Save(k); err != nil {
				i.tb.Fatal(err)
			}
			made = append(made, keyring.DescribeKey(k))
		}
	}
	if len(made) > 0 && len(i.options.Years) > 0 {
		i.recordSteps(made, now)
	}
	if err := i.Rotation.Begin(context.Background()); err != nil {
		i.tb.Fatal(err)
	}
}

// recordSteps records the history of an installation that has taken each step of its years,
// the oldest first, on its date.
func (i *IdP) recordSteps(made []rotation.MadeKey, now time.Time) {
	h := i.Policy.Adopt(rotation.History{}, made, now)
	for n, m := range made {
		d := i.Policy.Dates(m.Year)
		if n == 0 || !d.PublishAt.After(now) {
			h = h.Apply(rotation.Step{Kind: rotation.StepPublish, Year: m.Year}, now)
		}
		if n == 0 || !d.PreferAt.After(now) {
			h = h.Apply(rotation.Step{Kind: rotation.StepPrefer, Year: m.Year}, now)
		}
	}
	err := i.Store.UpdateDocuments(context.Background(), idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) (err error) { d.Data, err = json.Marshal(h); return err })
	if err != nil {
		i.tb.Fatal(err)
	}
}

// Year returns the preferred year.
func (i *IdP) Year() idp.Year {
	e, err := i.Years.Preferred(i.Clock.Now())
	if err != nil {
		i.tb.Fatal(err)
	}
	return e.Key.Year
}

// OtherKey returns a key that no test provider is registered with.
func OtherKey() *rsa.PrivateKey { return fixture.Key(3) }

// Retire ends a year at once, as a revocation does: its certificate stays and its endpoint
// URLs answer 410. A missing year is made first and must be newer than the preferred one. If
// it was the last year that could sign, a successor takes its place.
func (i *IdP) Retire(y idp.Year) {
	i.tb.Helper()
	ctx := context.Background()
	if _, ok := i.Years.Lookup(y, i.Clock.Now()); !ok {
		if _, err := i.Rotation.Take(ctx, rotation.Step{Kind: rotation.StepCreate, Year: y}, "test", false); err != nil {
			i.tb.Fatal(err)
		}
	}
	if _, err := i.Rotation.Take(ctx, rotation.Step{Kind: rotation.StepRevoke, Year: y, Reason: "test"}, "test", false); err != nil {
		i.tb.Fatal(err)
	}
}

// NewOtherCert returns a certificate of OtherKey.
func (i *IdP) NewOtherCert() *x509.Certificate { return createSelfSigned(i, OtherKey()) }
